// SPDX-License-Identifier: Apache-2.0
// The figures, for people and for the scripts that check them.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

/// Remembers what must be the same at the end.
void report_start();

void report_line(const Guest& guest);
void report_guest(const Guest& guest);
void report_all();

/// One line of figures for each guest as often as the configuration says; when the next ones are due (TSC).
u64 report_live(u64 now);

/// All guests have ended: the figures, the verdict, and the machine goes off.
[[noreturn]] void finish();

} // namespace vitrine::pane
