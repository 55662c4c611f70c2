// SPDX-License-Identifier: Apache-2.0
// Raw mode. A signal handler can only reach static storage: this file's is the terminal's saved mode, and the host has
// one terminal.
#include "host/terminal.h"

#include <array>
#include <csignal>
#include <cstdlib>

#include <termios.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

volatile std::sig_atomic_t raw_fd = -1;
termios saved, raw;

// The last four are crashes. The engines take those of their own code first and pass the others on to whoever was there before.
constexpr std::array ending{SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGABRT,
                            SIGXCPU, SIGXFSZ, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE};

void end(int signal) {
    RawTerminal::restore_now();
    ::signal(signal, SIG_DFL);
    ::raise(signal); // delivered when this handler returns
}

void suspend(int) {
    const int fd = raw_fd;
    RawTerminal::restore_now();
    ::raise(SIGSTOP);
    if (fd >= 0) {
        ::tcsetattr(fd, TCSADRAIN, &raw);
        raw_fd = fd;
    }
}

} // namespace

RawTerminal::RawTerminal(int fd) {
    if (raw_fd >= 0 || !::isatty(fd) || ::tcgetattr(fd, &saved) != 0)
        return;
    raw = saved;
    raw.c_iflag &= static_cast<tcflag_t>(~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON));
    raw.c_lflag &= static_cast<tcflag_t>(~(ECHO | ECHONL | ICANON | IEXTEN | ISIG));
    raw.c_cflag = (raw.c_cflag & static_cast<tcflag_t>(~(CSIZE | PARENB))) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;

    // Only what the process was not told to ignore, and nobody else has taken.
    struct sigaction action {
    }, before{};

    action.sa_handler = end;
    for (const int signal : ending)
        if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL)
            ::sigaction(signal, &action, nullptr);
    action.sa_handler = suspend;
    ::sigaction(SIGTSTP, &action, nullptr);
    std::atexit(restore_now);
    std::at_quick_exit(restore_now);

    if (::tcsetattr(fd, TCSADRAIN, &raw) != 0)
        return;
    raw_fd = fd;
    active_ = true;
}

RawTerminal::~RawTerminal() {
    if (active_)
        restore_now();
}

void RawTerminal::restore_now() {
    if (const int fd = raw_fd; fd >= 0) {
        raw_fd = -1;
        ::tcsetattr(fd, TCSADRAIN, &saved);
    }
}

} // namespace vitrine::host
