// SPDX-License-Identifier: Apache-2.0
// Seam: what a debugger asks of a processor; owned by x86, implemented by debug. The guest sees nothing of it.
#pragma once

#include "words/addresses.h"

namespace vitrine {

class Cpu;

class DebugHooks {
public:
    virtual ~DebugHooks() = default;
    /// Asked before each block while the hooks are set: how far behind `from` the first breakpoint lies; `bytes` or more if it is not
    /// among them. The processor stops before an instruction that begins there.
    virtual u64 next_breakpoint(Linear from, u64 bytes) = 0;
    /// True when some watchpoint lies in the linear page: its accesses then go the slow way.
    virtual bool watches(Linear page) = 0;
    /// An access to a watched page is done. True: stop after the instruction.
    virtual bool access(Cpu& cpu, Linear at, unsigned size, bool write) = 0;
};

} // namespace vitrine
