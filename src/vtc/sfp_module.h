// SPDX-License-Identifier: Apache-2.0
// A module in an SFP+ cage: an EEPROM behind two wires, which a driver moves by hand. (SFF-8472.)
#pragma once

#include "base/visitor.h"

#include <span>

namespace vitrine::vtc {

struct SfpModule {
    /// `cable` is the EEPROM's content and outlives the module.
    explicit SfpModule(std::span<const u8> cable) : cable_(cable) {}

    bool clock = true, data = true, slave = true; ///< `slave`: what the module does to the data wire

    void move(bool clock_now, bool data_now);
    void reset() { *this = SfpModule(cable_); }
    void state(Visitor& v);

private:
    std::span<const u8> cable_;
    u8 count = 0, byte = 0, place = 0;
    bool selected = false, sending = false, addressed = false, heard = false;
};

} // namespace vitrine::vtc
