// SPDX-License-Identifier: Apache-2.0
// Signals that end a run. A handler can only reach static storage: what came, and the pipe that tells of it.
#include "host/signals.h"

#include "host/terminal.h"

#include <array>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

constexpr std::array ending{SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t came = 0;
volatile std::sig_atomic_t tell = -1;

void on_signal(int signal) {
    if (came) {
        RawTerminal::restore_now();
        ::signal(signal, SIG_DFL);
        ::raise(signal); // delivered when this handler returns
        return;
    }
    came = signal;
    if (tell >= 0)
        (void)!::write(tell, "!", 1);
}

} // namespace

EndingSignals::EndingSignals() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        read_ = Descriptor(ends[0]);
        write_ = Descriptor(ends[1]);
    }
    came = 0;
    tell = write_.get();

    struct sigaction action {
    }, before{};

    action.sa_handler = on_signal;
    for (const int signal : ending)
        if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL)
            ::sigaction(signal, &action, nullptr);
}

EndingSignals::~EndingSignals() {
    tell = -1;

    struct sigaction present {};

    for (const int signal : ending)
        if (::sigaction(signal, nullptr, &present) == 0 && present.sa_handler == on_signal)
            ::signal(signal, SIG_DFL);
}

int EndingSignals::caught() {
    return came;
}

void EndingSignals::die(int signal) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    std::_Exit(128 + signal); // it was blocked
}

} // namespace vitrine::host
