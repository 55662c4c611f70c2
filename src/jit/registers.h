// SPDX-License-Identifier: Apache-2.0
// Which host register holds what while translated code runs.
//
//   rcx rbx rbp rsi rdi r8 r12   the guest's registers of the same names
//   r9 r10 r11                   the guest's rax, rdx, rsp
//   rax rdx                      scratch; what LAHF, MUL and DIV insist on
//   r13                          the address of a memory operand
//   r14                          the TLB's tags
//   r15                          TranslatedRun::left
//   rsp                          the processor's State, where the guest's r9, r10, r11, r13, r14 and r15 stay; calls push into the room
//                                in front of it (CallRoom), signals get a stack of their own
//   ymm0 to ymm15, MXCSR         the guest's, while TranslatedRun::vectors says so: from the first instruction that uses them to the next
//                                handler or the end of the run
//
// A shift's count is where the host wants it, and a guest's rax never has to make way for flags.
#pragma once

#include "x86/state.h"
#include "x86/tlb.h"

#include <asmjit/x86.h>

#include <bit>
#include <cstddef>

namespace vitrine::jit {

namespace host = asmjit::x86;

inline constexpr u8 no_host = 0xff;
/// Host register of each guest register.
inline constexpr u8 pinned[16] = {9, 1, 10, 3, 11, 5, 6, 7, 8, no_host, no_host, no_host, 12, no_host, no_host, no_host};

inline constexpr host::Gp t1 = host::rax, t2 = host::rdx, address = host::r13, tags = host::r14, left = host::r15, state = host::rsp;

constexpr i32 at_gpr(unsigned offset) { return static_cast<i32>(offsetof(State, gpr) + offset); }

inline constexpr i32 at_status = static_cast<i32>(offsetof(State, status));
inline constexpr i32 at_flags = static_cast<i32>(offsetof(State, flags));

constexpr i32 at_vector(unsigned n) { return static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, zmm) + 64 * n); }

inline constexpr i32 at_fip = static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, fip));
inline constexpr i32 at_mxcsr = static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, mxcsr));

/// Where the tags of an address lie: (address >> tag_shift) & tag_mask from the first ones.
inline constexpr u32 tag_shift = 12 - std::countr_zero(sizeof(TlbTags)), tag_mask = (TlbTable::entries - 1) * sizeof(TlbTags);
inline constexpr i32 tag_read = offsetof(TlbTags, read), tag_write = offsetof(TlbTags, write), tag_exec = offsetof(TlbTags, exec),
                     tag_addend = offsetof(TlbTags, addend);
static_assert(std::has_single_bit(sizeof(TlbTags)) && std::has_single_bit(TlbTable::entries));

/// Where the target of an address lies: the address and the address shifted, exclusive or'ed, masked, times 8, from the
/// first tag and that.
inline constexpr u32 target_shift = 9, target_mask = 2 * (TlbTable::target_count - 1);
inline constexpr i32 at_targets = offsetof(TlbTable::Fast, targets),
                     at_any_targets = offsetof(TlbTable::Fast, any_targets);
static_assert(sizeof(Target) == 16 && std::has_single_bit(TlbTable::target_count) &&
              offsetof(TlbTable::Fast, tags) == 0);

/// A host register by number, `size` bytes of it.
inline host::Gp gp(unsigned n, unsigned size) {
    switch (size) {
    case 1: return host::gpb_lo(n);
    case 2: return host::gpw(n);
    case 4: return host::gpd(n);
    default: return host::gpq(n);
    }
}

inline host::Gp sized(const host::Gp& r, unsigned size) { return gp(r.id(), size); }

} // namespace vitrine::jit
