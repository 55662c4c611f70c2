// SPDX-License-Identifier: Apache-2.0
// ACPI resource descriptors (ACPI 6.4, section 6.4) and the template buffer that holds them.
#pragma once

#include "firmware/aml.h"

namespace vitrine::firmware::aml {

/// A ResourceTemplate() under construction.
class Resources {
public:
    Resources& io(u16 base, u8 length);         ///< IO (Decode16, ...), fixed
    Resources& irq(u8 n);                       ///< IRQNoFlags: edge, active high
    Resources& irqs_level_low_shared(u16 mask); ///< IRQ (Level, ActiveLow, Shared)
    Resources& memory32_fixed(u32 base, u32 length, bool writable);
    Resources& bus_numbers(u16 first, u16 last);      ///< WordBusNumber, producer
    Resources& io_window(u16 first, u16 last);        ///< WordIO, producer
    Resources& memory_window_32(u32 first, u32 last); ///< DWordMemory, producer, non-cacheable
    Resources& memory_window_64(u64 first, u64 last); ///< QWordMemory, producer, non-cacheable

    Code code() const; ///< the buffer, with its end tag

private:
    Resources& address_space(u8 descriptor, unsigned width, u8 type, u8 type_flags, u64 first, u64 last);

    std::vector<u8> bytes_;
};

} // namespace vitrine::firmware::aml
