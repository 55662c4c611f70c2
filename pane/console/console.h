// SPDX-License-Identifier: Apache-2.0
// The multiplexer: all guests' consoles and Pane's prompt share one serial port. Ctrl-T is the key to it.
#pragma once

#include <string_view>

namespace vitrine::pane {

struct Guest;

/// "all" or a guest's name; panics for a name that is none.
void console_start(std::string_view focus);

/// A character that a guest has sent.
void console_write(Guest& guest, char c);

/// The rest of an unfinished line.
void console_flush(Guest& guest);

/// All guests share the terminal and nobody is typing: a line of Pane's own disturbs nothing.
bool console_shared();

/// Takes what has been typed.
void console_poll();

/// One guest has the terminal, or (null) all share it line by line and the keys are the prompt's.
void console_focus(Guest* guest);

} // namespace vitrine::pane
