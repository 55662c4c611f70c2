// SPDX-License-Identifier: Apache-2.0
// How things go wrong: errors for people, checks of our own logic, and the loud stop for what is not implemented.
#pragma once

#include "words/integers.h"
#include "words/result.h"

#include <string>
#include <string_view>

namespace vitrine {

/// Exit statuses of the programs; the machine's own outcomes are even (see README).
enum class Status : int {
    ok = 0,
    usage = 2,
    triple_fault = 4,
    unimplemented = 6,
    reset = 8,
    limit = 10,
    panic = 12,
    bug = 70,
    host_short = 74,
};

/// Bad input or a refusing host: one sentence that names the option or file and what would be right.
struct [[nodiscard]] Error {
    std::string message;
    Status status = Status::usage;
    const char* file = ""; ///< where it was born, for --trace machine
    int line = 0;

    Error() = default;

    explicit Error(std::string text, Status s = Status::usage, const char* f = __builtin_FILE(), int l = __builtin_LINE())
        : message(std::move(text)), status(s), file(f), line(l) {}
};

template <class T = void> using Expected = Result<T, Error>;

/// Called once before a bug of ours ends the process: prints the replay position, for instance. Null clears it.
/// Thread local, since the machine that runs on this thread is the one that matters.
void set_bug_context(std::string (*describe)(void*), void* context);

/// A bug of ours: prints the condition, the place and the bug context, and ends the process with status 70.
[[noreturn]] void bug(std::string_view condition, const char* file, int line);

} // namespace vitrine

/// Our own logic, checked in every build.
#define VERIFY(condition) ((condition) ? static_cast<void>(0) : ::vitrine::bug(#condition, __FILE__, __LINE__))

/// The same on hot paths: only where the build asks for it.
#ifdef VITRINE_DCHECK
#define DCHECK(condition) VERIFY(condition)
#else
#define DCHECK(condition) static_cast<void>(0)
#endif
