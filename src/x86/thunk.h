// SPDX-License-Identifier: Apache-2.0
// Thunks: small pieces of host code, each holding one guest vector or x87 instruction with the registers it names brought in from
// the guest's state and back, and its memory operand rewritten to [RSI]. The host's processor says what the instruction computes.
#pragma once

#include "words/integers.h"
#include "x86/host_faults.h"
#include "x86/instruction.h"
#include "x86/state.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace vitrine {

/// Runs the instruction on `state`, its memory operand being `memory`. Returns thunk_done or thunk_fault.
using Thunk = u32 (*)(State* state, void* memory);

inline constexpr u32 thunk_done = 0;
inline constexpr u32 thunk_fault = 1; ///< the host raised SIGFPE: an unmasked SIMD floating-point exception; nothing but MXCSR changed

/// The instruction's bytes as the host is to execute them in 64-bit mode.
struct HostForm {
    u8 bytes[16];
    u8 size = 0;
};

/// What a thunk needs around its instruction.
struct ThunkKind {
    bool floating = false; ///< reads or writes MXCSR: the guest's is in force while the instruction runs
    bool flags_in = false; ///< reads status flags (FCMOVcc)
    bool flags_out = false; ///< writes status flags
    bool x87 = false;      ///< registers are x87 or MMX ones, which are already in the host
    bool wide = false;     ///< a VEX or EVEX destination is written back up to bit 511
};

/// Which host registers stand for general registers in the fields of the encoding, and for the memory operand's address.
struct HostPlaces {
    u8 reg = 8, rm = 9, vvvv = 11;
    u8 memory = 6; ///< RSI
    i8 displacement = 0; ///< from there; only for a register that comes with one
};

/// Rewrites for the host: memory operand [RSI], general registers moved to scratch ones, extensions of other modes dropped.
/// Nothing when the instruction is of a kind that cannot be rewritten.
std::optional<HostForm> host_form(const Decoded& decoded, const HostPlaces& places = {});

/// Host code of all processors of a machine: mapped twice (to write, to run), bounded, one thunk for each distinct instruction.
class ThunkMemory {
public:
    explicit ThunkMemory(u64 size);
    ~ThunkMemory();
    ThunkMemory(const ThunkMemory&) = delete;
    ThunkMemory& operator=(const ThunkMemory&) = delete;

    /// The thunk for an instruction; null when it cannot be rewritten for the host.
    Thunk get(const Decoded& decoded, const ThunkKind& kind);

    /// Too full for another block's thunks: whoever holds thunks must forget them all, then call clear().
    bool full() const { return used_ + reserve > size_; }
    void clear();

    u64 count() const { return thunks_.size(); }
    u64 used() const { return used_; }

    static constexpr u64 reserve = 128 << 10; ///< room for one block's thunks

private:
    u64 size_, used_ = 0;
    u8* write_ = nullptr;
    u8* run_ = nullptr;
    std::optional<HostCodeRange> range_;
    std::unordered_map<std::string, u64> thunks_; ///< offset by key; order never matters
};

} // namespace vitrine
