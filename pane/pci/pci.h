// SPDX-License-Identifier: Apache-2.0
// The machine's PCI functions: configuration space by ECAM, a list made once, capabilities, BARs (PCI Express Base 5.0, chapter 7).
#pragma once

#include "words/bits.h"
#include "words/integers.h"

#include "pci/spec/capabilities.h"
#include "pci/spec/config.h"

#include <string_view>

namespace vitrine::pane {

struct Guest;
struct MachineTables;

struct Bar {
    u64 address = 0, size = 0; ///< size 0: not there
    bool memory = true, wide = false, prefetchable = false;
};

/// A function that is there. Its id is what it calls itself on the bus: bus 15:8, device 7:3, function 2:0.
struct Function {
    static constexpr unsigned bar_count = pci::bar_count;

    u16 id = 0;
    u16 vendor = 0, device = 0;
    u32 class_code = 0; ///< base class 23:16, sub-class 15:8, interface 7:0
    bool bridge = false;
    const Function* physical = nullptr; ///< of a virtual function: the one that it belongs to
    u16 express = 0, msi = 0, msix = 0; ///< where its capabilities lie; 0: it has none
    Bar bars[bar_count];

    Guest* owner = nullptr;     ///< the guest that it is assigned to
    const char* user = nullptr; ///< the part of Pane that drives it
    bool offered = false;       ///< a virtual function that `device vf` may take

    bool free() const { return !owner && !user && !bridge; }
};

/// Where the machine tells of its PCI functions. Without ECAM there are none for Pane, which says so in one line.
void pci_start(const MachineTables& machine);

inline constexpr unsigned most_functions = 288;
extern Function* functions[most_functions];
extern unsigned function_count;

/// Null when there is no such function.
Function* function_of(u16 id);

/// One more function than the buses show by themselves: a virtual one that has been switched on. `bars` are its own, not its physical
/// function's; the capabilities are looked for here. Null when the list is full.
Function* offer_virtual_function(const Function& physical, u16 id, u16 vendor, u16 device, const Bar (&bars)[Function::bar_count]);

/// Configuration space; `size` is 1, 2 or 4, and `offset` a multiple of it. Where nothing is reads are all ones.
u32 config_read(u16 id, unsigned offset, unsigned size);
void config_write(u16 id, unsigned offset, unsigned size, u32 value);

/// A register of a capability at `at`, by its layout.
template <class Layout> u32 capability_read(u16 id, unsigned at, const Layout& layout) { return config_read(id, at + layout.offset, layout.width); }

template <class Layout> void capability_write(u16 id, unsigned at, const Layout& layout, u64 value) {
    config_write(id, at + layout.offset, layout.width, static_cast<u32>(value));
}

/// Offset of the structure, 0 when there is none.
u16 find_capability(u16 id, pci::CapabilityId capability);
u16 find_extended_capability(u16 id, pci::ExtendedId capability);

/// Sets and clears bits of the command register.
void command_bits(const Function& function, u64 set, u64 clear);

/// Function-level reset, and its BARs and command register as before. False: it has none.
bool reset_function(const Function& function);

/// "01:00.0", for the configuration and for messages.
struct FunctionName {
    char text[8];

    explicit FunctionName(u16 id);
    operator std::string_view() const { return {text, 7}; }
};

/// False: the text is no "bus:device.function".
bool parse_function_name(std::string_view text, u16& id);

} // namespace vitrine::pane
