// SPDX-License-Identifier: Apache-2.0
// The groups of system rows, and the few operand helpers that they share.
#pragma once

#include "x86/far.h"
#include "x86/ops.h"
#include "x86/ops/forms.h"

namespace vitrine::ops {

std::span<const OpRow> control_rows();    ///< control and debug registers (ops/system_control.cpp)
std::span<const OpRow> table_rows();      ///< descriptor tables and selectors (ops/system_tables.cpp)
std::span<const OpRow> segment_rows();    ///< segment registers and bases (ops/system_segments.cpp)
std::span<const OpRow> transfer_rows();   ///< system calls, interrupts, returns (ops/system_transfers.cpp)
std::span<const OpRow> processor_rows();  ///< flags, waiting, time, MSRs, CPUID, TLB (ops/system_processor.cpp)
std::span<const OpRow> vmx_rows();        ///< VMX instructions (ops/system_vmx.cpp)
std::span<const OpRow> io_rows();         ///< IN, OUT, INS, OUTS (ops/io.cpp)

/// The forms of MOV, PUSH, POP, JMP, CALL and RET that are the system's; null for others.
Handler bind_control_move(const Decoded& d, Instruction& out);
Handler bind_segment_form(const Decoded& d, Instruction& out);
Handler bind_far_form(const Decoded& d, Instruction& out);

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind_to(const Decoded&, Instruction&) { return handler; }

/// A register of 2, 4 or 8 bytes.
inline void set_sized(Cpu& cpu, u16 offset, unsigned size, u64 value) {
    if (size == 8)
        set<u64>(cpu, offset, value);
    else if (size == 4)
        set<u32>(cpu, offset, static_cast<u32>(value));
    else
        set<u16>(cpu, offset, static_cast<u16>(value));
}

inline void set_zf(Cpu& cpu, bool on) {
    constexpr u16 zf = 1 << 14;
    cpu.status = static_cast<u16>(on ? cpu.status | zf : cpu.status & ~zf);
}

/// CPL of real mode is 0, of virtual-8086 mode 3, so one comparison does.
inline bool privileged(const Cpu& cpu) { return cpu.cpl == 0; }

/// Instructions that real and virtual-8086 mode do not know.
inline bool protected_only(const Cpu& cpu) { return cpu.protected_mode() && !cpu.v86(); }

/// User-mode instruction prevention (SGDT, SIDT, SLDT, STR, SMSW).
inline bool prevented(const Cpu& cpu) { return (cpu.cr4 & cr4::umip) && cpu.cpl > 0; }

inline bool is_register_of(const Decoded& d, unsigned n, ZydisRegister first, ZydisRegister last) {
    return d.is_register(n) && d.operand(n).reg.value >= first && d.operand(n).reg.value <= last;
}

inline bool is_segment_register(const Decoded& d, unsigned n) {
    return is_register_of(d, n, ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS);
}

} // namespace vitrine::ops
