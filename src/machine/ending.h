// SPDX-License-Identifier: Apache-2.0
// Why a run came back: the machine's own outcomes, and the limits and wishes of whoever runs it.
#pragma once

#include "base/error.h"
#include "words/integers.h"

#include <string>
#include <string_view>

namespace vitrine::machine {

enum class EndingKind : u8 {
    none,
    power_off,     ///< the guest switched itself off
    triple_fault,  ///< explained in the text
    unimplemented, ///< the guest needs something that is not there yet
    reset,         ///< the guest reset itself under no_reboot
    debug_exit,    ///< the guest's verdict
    panic,         ///< the guest told that it panicked
    halted,        ///< all processors are halted, nothing is due and no input can come
    instructions,  ///< the instruction count that was asked for has been reached
    time,          ///< the virtual time that was asked for has been reached
    script_over,   ///< a replay has nothing more to say
    diverged,      ///< a replay came to another state than the recording
    quit,          ///< somebody typed Ctrl-A x
    monitor,       ///< somebody typed Ctrl-A c
    debugger,      ///< a breakpoint or watchpoint
    refused,       ///< the host could not write output or disk
};

struct Ending {
    EndingKind kind = EndingKind::none;
    u64 verdict = 0; ///< debug_exit: the value that was written
    std::string text;

    explicit operator bool() const { return kind != EndingKind::none; }
};

struct EndingRow {
    EndingKind kind;
    std::string_view name; ///< in reports
    int status;            ///< exit status; -1: not an end of the program by itself
    std::string_view meaning;
};

// clang-format off
inline constexpr EndingRow endings[] = {
    {EndingKind::none,          "running",       -1, "still running"},
    {EndingKind::power_off,     "power-off",      0, "the guest powered itself off"},
    {EndingKind::triple_fault,  "triple-fault",   4, "a fault while a double fault was delivered"},
    {EndingKind::unimplemented, "unimplemented",  6, "the guest needs something that Vitrine does not implement"},
    {EndingKind::reset,         "reset",          8, "the guest reset itself under --no-reboot"},
    {EndingKind::debug_exit,    "debug-exit",    -1, "the guest's verdict: (value << 1) | 1"},
    {EndingKind::panic,         "panic",         12, "the guest told that it panicked"},
    {EndingKind::halted,        "halted",        10, "all processors are halted and nothing can wake them"},
    {EndingKind::instructions,  "instructions",  10, "the instruction limit was reached"},
    {EndingKind::time,          "time",          10, "the limit of virtual time was reached"},
    {EndingKind::script_over,   "replay-over",   10, "the recording ends here"},
    {EndingKind::diverged,      "diverged",      70, "the replay came to another state than the recording"},
    {EndingKind::quit,          "quit",           0, "ended from the terminal"},
    {EndingKind::monitor,       "monitor",       -1, "the monitor was asked for"},
    {EndingKind::debugger,      "debugger",      -1, "stopped for a debugger"},
    {EndingKind::refused,       "host-short",    74, "the host could not write what the machine gave it"},
};
// clang-format on

constexpr const EndingRow& row_of(EndingKind kind) {
    for (const EndingRow& row : endings)
        if (row.kind == kind)
            return row;
    return endings[0];
}

/// The program's exit status. A verdict is odd and never mistaken for an outcome of the machine.
inline int status_of(const Ending& ending) {
    return ending.kind == EndingKind::debug_exit ? static_cast<int>(((ending.verdict << 1) | 1) & 0xff) : row_of(ending.kind).status;
}

} // namespace vitrine::machine
