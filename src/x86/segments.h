// SPDX-License-Identifier: Apache-2.0
// Segment and system descriptors: reading them from the GDT and LDT, the checks of each kind of load, and the loads themselves.
#pragma once

#include "x86/cpu.h"

namespace vitrine {

/// Types of system descriptors (SDM volume 3, System Descriptor Types); in IA-32e mode only ldt and the 32-bit numbers exist.
enum class SystemType : u8 {
    tss16 = 1, ldt = 2, tss16_busy = 3, call_gate16 = 4, task_gate = 5, interrupt_gate16 = 6, trap_gate16 = 7,
    tss = 9, tss_busy = 11, call_gate = 12, interrupt_gate = 14, trap_gate = 15,
};

/// A descriptor as it lies in a table. 16-byte ones have their upper half in `high`.
struct Descriptor {
    u64 low = 0, high = 0;
    Linear address{};

    u64 base32() const { return bits(low, 39, 16) | bits(low, 63, 56) << 24; }

    u64 base64() const { return base32() | bits(high, 31, 0) << 32; }

    /// In bytes, granularity applied.
    u32 limit() const {
        const u32 raw = static_cast<u32>(bits(low, 15, 0) | bits(low, 51, 48) << 16);
        return low & bit(55) ? raw << 12 | 0xfff : raw;
    }

    /// As the VMCS lays them out.
    u32 rights() const { return static_cast<u32>(low >> 40) & 0xf0ff; }

    u8 type() const { return static_cast<u8>(bits(low, 43, 40)); }

    SystemType system_type() const { return static_cast<SystemType>(type()); }

    u8 dpl() const { return static_cast<u8>(bits(low, 46, 45)); }

    bool present() const { return low & bit(47); }

    bool segment() const { return low & bit(44); } ///< code or data, not system

    bool code() const { return segment() && (type() & 8); }

    bool data() const { return segment() && !(type() & 8); }

    bool conforming() const { return code() && (type() & 4); }

    bool readable() const { return data() || (type() & 2); } ///< of a code or data segment

    bool writable() const { return data() && (type() & 2); }

    bool long_code() const { return low & bit(53); } ///< L

    bool big() const { return low & bit(54); } ///< D/B

    // Gates
    u16 gate_selector() const { return static_cast<u16>(bits(low, 31, 16)); }

    u32 gate_offset32() const { return static_cast<u32>(bits(low, 15, 0) | bits(low, 63, 48) << 16); }

    u64 gate_offset64() const { return gate_offset32() | bits(high, 31, 0) << 32; }

    u8 gate_count() const { return static_cast<u8>(bits(low, 36, 32)); }

    u8 gate_ist() const { return static_cast<u8>(bits(low, 34, 32)); }

    Segment cache(u16 selector) const {
        return {.base = base32(), .limit = limit(), .rights = rights(), .selector = selector};
    }
};

constexpr bool null_selector(u16 selector) { return (selector & 0xfffc) == 0; }

/// Error code of a selector: its index and table; `ext` is 1 while an event from outside the program is being delivered.
constexpr u32 selector_error(u16 selector, u32 ext = 0) { return (selector & 0xfffcu) | ext; }

bool canonical_address(const Cpu& cpu, u64 a);

/// For registers that hold addresses (MSRs, bases of segments and tables) and for INVPCID: the width counts that the processor
/// has, whether CR4.LA57 uses it or not.
bool canonical_base(const Cpu& cpu, u64 a);

/// Whether a non-null selector's descriptor lies within its table.
bool in_table(const Cpu& cpu, u16 selector);

/// Reads the 8 bytes of a non-null selector's descriptor. Outside its table: `v` with the selector.
Faultable<Descriptor> read_descriptor(Cpu& cpu, u16 selector, Vector v = Vector::gp, u32 ext = 0);

/// Reads the upper half of a 16-byte descriptor, whose type field there must be zero.
Faultable<> read_upper_half(Cpu& cpu, u16 selector, Descriptor& d, Vector v = Vector::gp, u32 ext = 0);

/// Sets the accessed bit in memory and in `d`.
Faultable<> mark_accessed(Cpu& cpu, Descriptor& d);

/// Sets or clears the busy bit of a TSS descriptor in memory.
Faultable<> mark_busy(Cpu& cpu, u16 tss_selector, bool busy);

/// What a segment register holds after a load in real or virtual-8086 mode.
Segment real_segment(const Cpu& cpu, SegmentName name, u16 selector);

/// What a null selector leaves in a register.
Segment null_segment(u16 selector, u8 cpl = 0);

/// MOV, POP, LDS and their kin to ES, SS, DS, FS or GS in the present mode; all or nothing.
Faultable<> load_segment(Cpu& cpu, SegmentName name, u16 selector);

/// The checks of an SS load for a stack at privilege `cpl` (transfers, task switches): `v` is #TS or #GP. Marks it accessed.
Faultable<Segment> stack_segment(Cpu& cpu, u16 selector, u8 cpl, Vector v, u32 ext = 0);

/// Commits CS and the privilege; the caller has checked everything.
void set_code_segment(Cpu& cpu, const Segment& code, u8 cpl);

/// LLDT and LTR.
Faultable<> load_ldtr(Cpu& cpu, u16 selector, Vector v = Vector::gp);
Faultable<> load_tr(Cpu& cpu, u16 selector);

/// After a return to an outer privilege level: data segments that it may not use become null.
void drop_inner_segments(Cpu& cpu);

} // namespace vitrine
