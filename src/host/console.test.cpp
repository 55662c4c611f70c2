// SPDX-License-Identifier: Apache-2.0
// The console on a pseudo terminal and on pipes: escapes, the monitor's turn, the end of input, and the terminal given
// back.
#include "host/console.h"

#include "host/descriptor.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

using namespace vitrine;
using namespace vitrine::host;

namespace {

struct Pty {
    Pty() : master(::posix_openpt(O_RDWR | O_NOCTTY)) {
        ::grantpt(master.get());
        ::unlockpt(master.get());
        slave = Descriptor(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY));
    }

    void type(std::string_view s) {
        ASSERT_EQ(write_all(master.get(), {reinterpret_cast<const u8*>(s.data()), s.size()}), 0);
    }

    bool raw() const {
        termios t{};
        ::tcgetattr(slave.get(), &t);
        return !(t.c_lflag & ICANON);
    }

    Descriptor master, slave;
};

std::string take(Character& c) {
    u8 buffer[64];
    const std::size_t n = c.take(buffer);
    return {reinterpret_cast<const char*>(buffer), n};
}

} // namespace

TEST(Console, EscapesOnATerminal) {
    Pty pty;
    {
        Console console({.has_monitor = true}, pty.slave.get(), pty.slave.get());
        EXPECT_TRUE(pty.raw());
        EXPECT_TRUE(console.serial().interactive());
        pty.type("a\x03\x01\x01"
                 "b\x01z");
        EXPECT_EQ(take(console.serial()), "a\x03\x01"
                                          "b");
        EXPECT_EQ(console.serial().wish(), Wish::none);
        pty.type("\x01"
                 "cmon\x01"
                 "cser\x01x");
        EXPECT_EQ(take(console.serial()), "ser");
        EXPECT_EQ(take(console.monitor()), "mon");
        EXPECT_EQ(console.serial().wish(), Wish::quit);
        EXPECT_EQ(console.serial().wish(), Wish::none);
    }
    EXPECT_FALSE(pty.raw());
}

TEST(Console, APipeIsNotInterpretedAndHasAnEnd) {
    int in[2], out[2];
    ASSERT_EQ(::pipe(in) | ::pipe(out), 0);
    Descriptor read_in(in[0]), write_in(in[1]), read_out(out[0]), write_out(out[1]);
    Console console({}, read_in.get(), write_out.get());
    EXPECT_EQ(take(console.serial()), "");
    EXPECT_TRUE(console.serial().open());
    ASSERT_EQ(::write(write_in.get(), "\x01x!", 3), 3);
    EXPECT_EQ(take(console.serial()), "\x01x!");
    write_in.close();
    EXPECT_EQ(take(console.serial()), "");
    EXPECT_FALSE(console.serial().open());
    EXPECT_EQ(console.serial().waits_on(), -1);
    EXPECT_EQ(console.serial().wish(), Wish::none);
    console.serial().put(std::array<u8, 2>{'o', 'k'});
    char buffer[4];
    EXPECT_EQ(::read(read_out.get(), buffer, 4), 2);
}

TEST(Console, ASignalGivesTheTerminalBack) {
    for (const int signal : {SIGTERM, SIGHUP, SIGABRT, SIGPIPE}) {
        Pty pty;
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            Console console({}, pty.slave.get(), pty.slave.get());
            if (!pty.raw())
                ::_exit(1);
            ::raise(signal);
            ::_exit(2);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
        EXPECT_FALSE(pty.raw());
    }
}
