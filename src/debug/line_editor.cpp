// SPDX-License-Identifier: Apache-2.0
// Editing of a line: the few keys that matter.
#include "debug/line_editor.h"

#include <utility>

namespace vitrine::debug {

void LineEditor::show(std::string_view text) {
    if (echoes_)
        echo_ += text;
}

void LineEditor::replace(std::string line) {
    for (std::size_t i = 0; i < line_.size(); ++i)
        show("\b \b");
    line_ = std::move(line);
    show(line_);
}

/// ESC [ A and ESC [ B go through the history; other sequences end at their letter and do nothing.
void LineEditor::escape(u8 byte) {
    ++escape_;
    if (escape_ == 2 && (byte == '[' || byte == 'O'))
        return;
    if (escape_ > 2 && (byte < 0x40 || byte > 0x7e))
        return;
    escape_ = 0;
    if (byte == 'A' && at_ > 0)
        replace(history_[--at_]);
    else if (byte == 'B' && at_ < history_.size())
        replace(++at_ < history_.size() ? history_[at_] : "");
}

std::optional<std::string> LineEditor::take(u8 byte) {
    constexpr u8 interrupt = 3, backspace = 8, erase_line = 21, escape_key = 27, erase = 127;
    const bool second = std::exchange(after_return_, byte == '\r') && byte == '\n';
    if (second)
        return std::nullopt;
    if (escape_) {
        escape(byte);
        return std::nullopt;
    }
    switch (byte) {
    case '\r':
    case '\n': {
        show("\r\n");
        if (!line_.empty() && (history_.empty() || history_.back() != line_))
            history_.push_back(line_);
        at_ = history_.size();
        return std::exchange(line_, {});
    }
    case backspace:
    case erase:
        if (!line_.empty()) {
            line_.pop_back();
            show("\b \b");
        }
        break;
    case interrupt:
    case erase_line:
        replace({});
        break;
    case escape_key:
        escape_ = 1;
        break;
    default:
        if (byte >= 32 && line_.size() < longest) {
            line_ += static_cast<char>(byte);
            show(std::string_view(line_).substr(line_.size() - 1));
        }
        break;
    }
    return std::nullopt;
}

} // namespace vitrine::debug
