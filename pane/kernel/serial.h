// SPDX-License-Identifier: Apache-2.0
// The machine's own serial port (16550 at 3F8h): Pane's only voice.
#pragma once

#include "pane/kernel/print.h"

namespace vitrine::pane {

void serial_start();
void serial_put(char c);

/// -1 when nothing has come.
int serial_get();

/// Received characters raise IRQ 4 from now on.
void serial_interrupts_on();

extern const Out serial_out;

/// Says something in Pane's own name.
template <class... T> void say(std::string_view format, const T&... values) {
    print(serial_out, format, values...);
    serial_put('\n');
}

} // namespace vitrine::pane
