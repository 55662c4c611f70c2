// SPDX-License-Identifier: Apache-2.0
// How an instruction ends: Intel's exception vectors, the pending fault, and what the run loop does next.
#pragma once

#include "words/integers.h"
#include "words/result.h"

namespace vitrine {

/// Exception vectors (SDM volume 3, Exception and Interrupt Reference).
enum class Vector : u8 {
    de = 0, db = 1, nmi = 2, bp = 3, of = 4, br = 5, ud = 6, nm = 7, df = 8, ts = 10, np = 11,
    ss = 12, gp = 13, pf = 14, mf = 16, ac = 17, mc = 18, xm = 19, ve = 20, cp = 21,
};

/// What a handler tells the run loop. An enumeration and no class, so that handlers can end in a jump to the next one.
enum class [[nodiscard]] Outcome : u8 {
    next,   ///< done; go on with the next instruction of the block
    end,    ///< done; rip goes on sequentially, but the block must be left (something that decoding or events depend on changed)
    branch, ///< done; the handler has set rip
    fault,  ///< not done; Cpu::pending says why; rip stays
    repeat, ///< a REP instruction with iterations left: rip stays, registers show how far it came
    exited, ///< the processor left for another context (VM exit, VM entry): registers, rip included, are what that wants
    stop,   ///< the machine stops here: not implemented, or a watch of the debugger; not done
};

/// The mark of a guest fault on its way up; what it is stands in Cpu::pending. Empty, so that results stay in registers.
struct Fault {
    constexpr operator Outcome() const { return Outcome::fault; }
};

template <class T = void> using Faultable = Result<T, Fault>;

/// Success without a value travels as one byte.
template <> class [[nodiscard]] Result<void, Fault> {
public:
    constexpr Result() : ok_(true) {}

    constexpr Result(Fault) : ok_(false) {}

    constexpr bool ok() const { return ok_; }

    constexpr explicit operator bool() const { return ok_; }

    constexpr void value() const {}

    constexpr Fault error() const { return {}; }

private:
    bool ok_;
};

/// Why an event is being delivered; decides error codes, return rip and what VMX reports (SDM: Interruption-Information Field types).
enum class EventKind : u8 {
    external_interrupt = 0,
    nmi = 2,
    hardware_exception = 3,
    software_interrupt = 4,            ///< INT n
    privileged_software_exception = 5, ///< INT1
    software_exception = 6,            ///< INT3, INTO
    exit = 7, ///< no event: the interceptor has recorded a VM exit that is due instead of the fault (EPT violation, task switch)
};

/// An exception, interrupt or software interrupt to be delivered.
struct Event {
    Vector vector{};
    EventKind kind = EventKind::hardware_exception;
    bool has_error = false;
    u32 error = 0;
    u64 cr2 = 0;              ///< #PF
    u64 dr6 = 0;              ///< #DB: bits to be set in DR6
    u8 instruction_length = 0; ///< software events: the return rip is behind the instruction
    bool injected = false;     ///< by a VM entry: nothing but the delivery happens
};

} // namespace vitrine
