// SPDX-License-Identifier: Apache-2.0
// When x87 and vector instructions may run at all, and how the guest's x87 gets into the host's. Shared by ops/vector* and ops/x87*.
#pragma once

#include "x86/cpu.h"
#include "x86/instruction.h"
#include "x86/thunk.h"

namespace vitrine {

/// The register sets, each with rules of its own (SDM volume 3, System Programming for Instruction Set Extensions).
enum class FpuUnit : u8 { x87, mmx, sse, avx, avx512 };

/// The handler that raises #UD or #NM where the mode forbids the unit; null where it may run.
Handler refused(const CodeMode& mode, FpuUnit unit);

/// Handlers that always fault; the block ends there by itself.
Outcome raise_ud(Cpu& cpu, const Instruction& insn);
Outcome raise_nm(Cpu& cpu, const Instruction& insn);

/// Loads the guest's x87 registers into the host's.
void load_x87(Cpu& cpu);
/// #MF is pending and CR0.NE says what to do about it.
Faultable<> pending_x87_exception(Cpu& cpu);

inline u16 x87_status() {
    u16 status;
    asm volatile("fnstsw %0" : "=a"(status));
    return status;
}

inline constexpr u16 x87_es = 0x80; ///< status word: an unmasked exception is pending

/// What every waiting x87 or MMX instruction does first: the guest's registers into the host's, and #MF if one is pending.
inline Faultable<> enter_x87(Cpu& cpu) {
    if (!cpu.x87_in_host) [[unlikely]]
        load_x87(cpu);
    if (x87_status() & x87_es) [[unlikely]]
        return pending_x87_exception(cpu);
    return {};
}

inline u32 run_thunk(Cpu& cpu, const Instruction& i, void* memory) {
    return reinterpret_cast<Thunk>(reinterpret_cast<u64>(i.extra))(&cpu, memory);
}

/// An unmasked SIMD floating-point exception.
inline Fault simd_exception(Cpu& cpu) { return cpu.raise(cpu.cr4 & cr4::osxmmexcpt ? Vector::xm : Vector::ud); }

} // namespace vitrine
