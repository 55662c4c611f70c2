// SPDX-License-Identifier: Apache-2.0
// Pane's own prompt: a line is a command and mostly a guest's name.
#pragma once

namespace vitrine::pane {

void prompt_show();

/// A line has been begun.
bool prompt_busy();

/// True when the line is done and the keys may go back to the guest.
bool prompt_key(char c);

} // namespace vitrine::pane
