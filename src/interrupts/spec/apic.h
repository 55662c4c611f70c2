// SPDX-License-Identifier: Apache-2.0
// Registers, fields and messages of the local APIC and the I/O APIC as the manuals print them; freestanding.
// Intel SDM, "Advanced Programmable Interrupt Controller (APIC)"; 82093AA and ICH9 datasheets for the I/O APIC.
#pragma once

#include "words/bits.h"
#include "words/integers.h"

namespace vitrine::apic {

/// How an interrupt message is to be delivered: bits 10:8 of the ICR, of a local vector table entry and of message
/// data.
enum class DeliveryMode : u8 {
    fixed = 0,
    lowest_priority = 1,
    smi = 2,
    reserved = 3, ///< remote read in the oldest APICs
    nmi = 4,
    init = 5,
    start_up = 6, ///< only in the ICR
    ext_int = 7,
};

/// Offsets in the xAPIC page; the x2APIC MSR is 800h + offset / 16.
enum Offset : u16 {
    id = 0x020,
    version = 0x030,
    task_priority = 0x080,
    arbitration_priority = 0x090,
    processor_priority = 0x0a0,
    eoi = 0x0b0,
    remote_read = 0x0c0,
    logical_destination = 0x0d0,
    destination_format = 0x0e0,
    spurious_vector = 0x0f0,
    in_service = 0x100,
    trigger_mode = 0x180,
    interrupt_request = 0x200,
    error_status = 0x280,
    lvt_cmci = 0x2f0,
    interrupt_command = 0x300,
    interrupt_command_high = 0x310,
    lvt_timer = 0x320,
    lvt_thermal = 0x330,
    lvt_performance = 0x340,
    lvt_lint0 = 0x350,
    lvt_lint1 = 0x360,
    lvt_error = 0x370,
    initial_count = 0x380,
    current_count = 0x390,
    divide_configuration = 0x3e0,
    self_ipi = 0x3f0,
};

inline constexpr u32 x2apic_first_msr = 0x800, x2apic_last_msr = 0x8ff, tsc_deadline_msr = 0x6e0;

/// The x2APIC MSR of the register at an xAPIC offset.
constexpr u32 msr_of(u16 offset) {
    return x2apic_first_msr + offset / 16u;
}

/// 14h, seven local vector table entries, EOI-broadcast suppression.
inline constexpr u32 version_value = 0x0106'0014;

struct ApicBase { // IA32_APIC_BASE
    Field bsp{8, rw, "BSP", "bootstrap processor"};
    Field extd{10, rw, "EXTD", "x2APIC mode"};
    Field en{11, rw, "EN", "APIC global enable"};
    Field base{12, 51, rw, "BASE", "physical address of the page"};
} inline constexpr apic_base;

struct SpuriousVector {
    Field vector{0, 7, rw, "VECTOR", "spurious vector"};
    Field enable{8, rw, "ENABLE", "APIC software enable"};
    Field suppress_eoi_broadcast{12, rw, "SEB", "suppress EOI broadcasts"};
} inline constexpr svr;

struct LocalVector { // the union of what the entries have; the register table says which bits an entry implements
    Field vector{0, 7, rw, "VECTOR", "vector"};
    Field delivery_mode{8, 10, rw, "DM", "delivery mode"};
    Field delivery_status{12, ro, "DS", "delivery status"};
    Field polarity{13, rw, "POL", "active low"};
    Field remote_irr{14, ro, "RIRR", "remote IRR"};
    Field level{15, rw, "TM", "level triggered"};
    Field mask{16, rw, "MASK", "masked"};
    Field timer_mode{17, 18, rw, "MODE", "timer mode"};
} inline constexpr lvt;

enum class TimerMode : u8 { one_shot = 0, periodic = 1, tsc_deadline = 2, reserved = 3 };

struct InterruptCommand {
    Field vector{0, 7, rw, "VECTOR", "vector"};
    Field delivery_mode{8, 10, rw, "DM", "delivery mode"};
    Field logical{11, rw, "DEST", "logical destination mode"};
    Field delivery_status{12, ro, "DS", "delivery status"};
    Field assert_level{14, rw, "LEVEL", "assert"};
    Field level{15, rw, "TM", "level triggered"};
    Field shorthand{18, 19, rw, "SH", "destination shorthand"};
    Field xapic_destination{56, 63, rw, "DEST", "destination in xAPIC mode"};
    Field x2apic_destination{32, 63, rw, "DEST", "destination in x2APIC mode"};
} inline constexpr icr;

enum class Shorthand : u8 { none = 0, self = 1, all_including_self = 2, all_excluding_self = 3 };

struct ErrorStatus {
    Field send_illegal_vector{5, ro, "SIV", "send illegal vector"};
    Field receive_illegal_vector{6, ro, "RIV", "receive illegal vector"};
    Field illegal_register{7, ro, "IRA", "illegal register address"};
} inline constexpr esr;

struct MessageAddress { // of a message-signalled interrupt, compatibility format
    Field logical{2, rw, "DM", "destination mode"};
    Field redirection_hint{3, rw, "RH", "redirection hint"};
    Field remappable{4, rw, "IF", "interrupt format: remappable"};
    Field destination{12, 19, rw, "DEST", "destination id"};
    Field fee{20, 31, rw, "FEE", "FEEh"};
} inline constexpr msi_address;

struct MessageData {
    Field vector{0, 7, rw, "VECTOR", "vector"};
    Field delivery_mode{8, 10, rw, "DM", "delivery mode"};
    Field assert_level{14, rw, "LEVEL", "assert"};
    Field level{15, rw, "TM", "level triggered"};
} inline constexpr msi_data;

// What each register takes. `writable` are the bits that software sets; `status` are read-only bits that it may write
// back unharmed. In x2APIC mode any other bit raises #GP.
struct RegisterRow {
    u16 offset;
    const char* name;
    bool xapic_read, xapic_write, x2apic_read, x2apic_write;
    u32 writable;
    u32 status;
};

// clang-format off
inline constexpr RegisterRow registers[] = {
    //                          xAPIC r      w      x2APIC r   w
    {id,                     "ID",   true,  true,  true,  false, 0xff00'0000, 0},
    {version,                "VER",  true,  false, true,  false, 0,           0},
    {task_priority,          "TPR",  true,  true,  true,  true,  0x0000'00ff, 0},
    {arbitration_priority,   "APR",  true,  false, false, false, 0,           0},
    {processor_priority,     "PPR",  true,  false, true,  false, 0,           0},
    {eoi,                    "EOI",  false, true,  false, true,  0,           0},
    {remote_read,            "RRD",  true,  false, false, false, 0,           0},
    {logical_destination,    "LDR",  true,  true,  true,  false, 0xff00'0000, 0},
    {destination_format,     "DFR",  true,  true,  false, false, 0xf000'0000, 0},
    {spurious_vector,        "SVR",  true,  true,  true,  true,  0x0000'11ff, 0},
    {error_status,           "ESR",  true,  true,  true,  true,  0,           0},
    {lvt_cmci,               "CMCI", true,  true,  true,  true,  0x0001'07ff, 0x1000},
    {interrupt_command,      "ICR",  true,  true,  true,  true,  0x000c'cfff, 0x1000},
    {interrupt_command_high, "ICR2", true,  true,  false, false, 0xff00'0000, 0},
    {lvt_timer,              "LVTT", true,  true,  true,  true,  0x0007'00ff, 0x1000},
    {lvt_thermal,            "LVTH", true,  true,  true,  true,  0x0001'07ff, 0x1000},
    {lvt_performance,        "LVTP", true,  true,  true,  true,  0x0001'07ff, 0x1000},
    {lvt_lint0,              "LVT0", true,  true,  true,  true,  0x0001'a7ff, 0x5000},
    {lvt_lint1,              "LVT1", true,  true,  true,  true,  0x0001'a7ff, 0x5000},
    {lvt_error,              "LVTE", true,  true,  true,  true,  0x0001'00ff, 0x1000},
    {initial_count,          "TICR", true,  true,  true,  true,  0xffff'ffff, 0},
    {current_count,          "TCCR", true,  false, true,  false, 0,           0},
    {divide_configuration,   "TDCR", true,  true,  true,  true,  0x0000'000b, 0},
    {self_ipi,               "SELF", false, false, false, true,  0x0000'00ff, 0},
};

// clang-format on

/// The row of the register at an offset; the eight words of ISR, TMR and IRR are not rows. Null where there is none.
constexpr const RegisterRow* find(u16 offset) {
    for (const RegisterRow& row : registers)
        if (row.offset == offset)
            return &row;
    return nullptr;
}

struct RedirectionEntry { // I/O APIC; in remappable format (VT-d) bits 63:49 and 11 are the handle
    Field vector{0, 7, rw, "VECTOR", "vector"};
    Field delivery_mode{8, 10, rw, "DM", "delivery mode"};
    Field logical{11, rw, "DEST", "logical destination mode"};
    Field delivery_status{12, ro, "DS", "delivery status"};
    Field polarity{13, rw, "POL", "active low"};
    Field remote_irr{14, ro, "RIRR", "remote IRR"};
    Field level{15, rw, "TM", "level triggered"};
    Field mask{16, rw, "MASK", "masked"};
    Field remappable{48, rw, "IF", "interrupt format: remappable"};
    Field extended_destination{49, 55, rw, "EDID", "low bits of the handle"};
    Field destination{56, 63, rw, "DEST", "destination id"};
} inline constexpr redirection;

inline constexpr unsigned io_apic_pins = 24;
inline constexpr u32 io_apic_version = 0x0017'0020; ///< version 20h (has an EOI register), last pin 17h

} // namespace vitrine::apic
