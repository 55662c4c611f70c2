// SPDX-License-Identifier: Apache-2.0
// Typed bytes into lines: backspace, Ctrl-U and the arrow keys at a raw terminal, plain lines from elsewhere.
#pragma once

#include "words/integers.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrine::debug {

class LineEditor {
public:
    /// With `echo` every byte is answered with what the terminal shall show (take_echo()).
    explicit LineEditor(bool echo) : echoes_(echo) {}

    /// One byte; a whole line when it ended one.
    std::optional<std::string> take(u8 byte);

    std::string take_echo() { return std::exchange(echo_, {}); }

    static constexpr std::size_t longest = 1024;

private:
    void show(std::string_view text);
    void replace(std::string line);
    void escape(u8 byte);

    bool echoes_;
    std::string line_, echo_;
    unsigned escape_ = 0; ///< bytes of an escape sequence so far
    bool after_return_ = false;
    std::vector<std::string> history_;
    std::size_t at_ = 0; ///< in the history; its size: the line that is being typed
};

} // namespace vitrine::debug
