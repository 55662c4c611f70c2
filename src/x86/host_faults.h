// SPDX-License-Identifier: Apache-2.0
// Faults of the host's processor in generated code: the one registry of a process that says which code ranges we made, and where
// to go on when an instruction in one of them faults.
#pragma once

#include "words/integers.h"

namespace vitrine {

/// What the handler shows to the owner of the code.
struct HostFault {
    int signal;        ///< SIGFPE, SIGSEGV, SIGBUS or SIGILL
    u64 rip;           ///< of the faulting host instruction
    u64 address;       ///< of a memory fault
    long long* registers; ///< gregs of the ucontext: REG_R10 and so on; may be changed
};

/// A run of generated code. While an object lives, faults inside are given to `recover`, which returns the host address to go on
/// at, or 0: not ours. It runs in a signal handler: it may only look at memory that is not being changed.
class HostCodeRange {
public:
    using Recover = u64 (*)(void* owner, const HostFault& fault);

    HostCodeRange(const void* begin, u64 size, Recover recover, void* owner);
    ~HostCodeRange();
    HostCodeRange(const HostCodeRange&) = delete;
    HostCodeRange& operator=(const HostCodeRange&) = delete;

    /// Generated code that leaves no room below its stack pointer: from now on signals of this thread have a stack of their own.
    static void use_signal_stack();

    /// How many ranges a process may have at once.
    static constexpr unsigned limit = 256;

private:
    unsigned slot_;
};

} // namespace vitrine
