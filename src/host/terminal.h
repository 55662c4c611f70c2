// SPDX-License-Identifier: Apache-2.0
// The terminal in raw mode, given back as it was on every way out: return, exit, and every signal that ends the
// process.
#pragma once

#include "base/error.h"

namespace vitrine::host {

/// One per process, since a process has one terminal. Does nothing when `fd` is none.
class RawTerminal {
public:
    explicit RawTerminal(int fd);
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    /// Gives the terminal back from wherever: async-signal-safe, and harmless without a raw terminal.
    static void restore_now();

private:
    bool active_ = false;
};

} // namespace vitrine::host
