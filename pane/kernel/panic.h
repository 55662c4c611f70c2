// SPDX-License-Identifier: Apache-2.0
// The end of Pane: one sentence on the serial port, and nothing moves any more.
#pragma once

#include "pane/kernel/serial.h"

namespace vitrine::pane {

/// Stops this processor for good, after `failure_exit` has had its chance.
[[noreturn]] void stop_machine();

/// A port to which a byte is written when Pane ends badly, so that whoever runs it can tell; 0: none.
struct FailureExit {
    u16 port = 0;
    u8 value = 1;
};
extern FailureExit failure_exit;

template <class... T> [[noreturn]] void panic(std::string_view format, const T&... values) {
    print(serial_out, "\nPANE-PANIC ");
    print(serial_out, format, values...);
    print(serial_out, "\n");
    stop_machine();
}

} // namespace vitrine::pane
