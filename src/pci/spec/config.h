// SPDX-License-Identifier: Apache-2.0
// Configuration space as PCI Local Bus 3.0 (chapter 6), the PCI-to-PCI Bridge specification 1.2 (chapter 3) and PCI
// Express Base 5.0 (section 7.5) lay it out: offsets, widths and bits of the two header types. Capabilities are in
// capabilities.h.
#pragma once

#include "words/bits.h"

namespace vitrine::pci {

/// Sizes and numbers that the specifications fix.
inline constexpr unsigned conventional_size = 0x100; ///< reached through ports CF8h/CFCh
inline constexpr unsigned extended_size = 0x1000;    ///< reached through ECAM
inline constexpr unsigned bar_count = 6;             ///< in a type 0 header; a type 1 header has two
inline constexpr u8 first_capability = 0x40;

/// Registers without bits of their own.
enum ConfigOffset : u16 {
    vendor_id = 0x00,
    device_id = 0x02,
    command_offset = 0x04,
    status_offset = 0x06,
    revision_id = 0x08,
    class_code = 0x09,
    cache_line_size = 0x0c,
    latency_timer = 0x0d,
    header_type = 0x0e,
    bar0 = 0x10,
    subsystem_vendor_id = 0x2c,
    subsystem_id = 0x2e,
    capabilities_pointer = 0x34,
    interrupt_line = 0x3c,
    interrupt_pin = 0x3d,
    // type 1 only
    primary_bus = 0x18,
    secondary_bus = 0x19,
    subordinate_bus = 0x1a,
    secondary_latency = 0x1b,
    io_base = 0x1c,
    io_limit = 0x1d,
    secondary_status_offset = 0x1e,
    memory_base = 0x20,
    memory_limit = 0x22,
    prefetchable_base = 0x24,
    prefetchable_limit = 0x26,
    prefetchable_base_upper = 0x28,
    prefetchable_limit_upper = 0x2c,
    io_base_upper = 0x30,
    io_limit_upper = 0x32,
    bridge_control_offset = 0x3e,
};

inline constexpr u8 multi_function = 0x80; ///< of the header type

struct Command {
    static constexpr unsigned offset = command_offset, width = 2;
    static constexpr const char* name = "COMMAND";
    Field io_space{0, rw, "IOSE", "I/O space enable"};
    Field memory_space{1, rw, "MSE", "memory space enable"};
    Field bus_master{2, rw, "BME", "bus master enable"};
    Field parity_error_response{6, rw, "PERR", "parity error response"};
    Field serr_enable{8, rw, "SERR", "SERR# enable"};
    Field interrupt_disable{10, rw, "INTXD", "interrupt disable"};
} inline constexpr command;

struct PciStatus {
    static constexpr unsigned offset = status_offset, width = 2;
    static constexpr const char* name = "STATUS";
    Field interrupt_status{3, ro, "INTS", "interrupt status"};
    Field capabilities_list{4, ro, "CLIST", "capabilities list"};
    Field master_data_parity_error{8, rw1c, "MDPE", "master data parity error"};
    Field signaled_target_abort{11, rw1c, "STA", "signaled target abort"};
    Field received_target_abort{12, rw1c, "RTA", "received target abort"};
    Field received_master_abort{13, rw1c, "RMA", "received master abort"};
    Field signaled_system_error{14, rw1c, "SSE", "signaled system error"};
    Field detected_parity_error{15, rw1c, "DPE", "detected parity error"};
} inline constexpr status;

struct SecondaryStatus {
    static constexpr unsigned offset = secondary_status_offset, width = 2;
    static constexpr const char* name = "SECSTS";
    Field master_data_parity_error{8, rw1c, "MDPE", "master data parity error"};
    Field signaled_target_abort{11, rw1c, "STA", "signaled target abort"};
    Field received_target_abort{12, rw1c, "RTA", "received target abort"};
    Field received_master_abort{13, rw1c, "RMA", "received master abort"};
    Field received_system_error{14, rw1c, "RSE", "received system error"};
    Field detected_parity_error{15, rw1c, "DPE", "detected parity error"};
} inline constexpr secondary_status;

struct BridgeControl {
    static constexpr unsigned offset = bridge_control_offset, width = 2;
    static constexpr const char* name = "BCTRL";
    Field parity_error_response{0, rw, "PERE", "parity error response enable"};
    Field serr_enable{1, rw, "SERR", "SERR# enable"};
    Field isa_enable{2, rw, "ISAE", "ISA enable"};
    Field vga_enable{3, rw, "VGAE", "VGA enable"};
    Field vga_16_bit_decode{4, rw, "V16", "VGA 16-bit decode"};
    Field secondary_bus_reset{6, rw, "SBR", "secondary bus reset"};
} inline constexpr bridge_control;

/// Low bits of a base address register.
inline constexpr u32 bar_is_io = 1;
inline constexpr u32 bar_is_64_bit = 4;
inline constexpr u32 bar_is_prefetchable = 8;

} // namespace vitrine::pci
