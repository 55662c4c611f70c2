// SPDX-License-Identifier: Apache-2.0
// The console: who gets the bytes that are typed, and what the escape key does.
#include "host/console.h"

#include "host/descriptor.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <unistd.h>

namespace vitrine::host {

namespace {

constexpr u8 escape_key = 1; // Ctrl-A
constexpr std::size_t read_ahead = 4096;

} // namespace

Console::Console(Options options, int in, int out)
    : in_(in), out_(out), options_(options), terminal_(::isatty(in)), monitor_focus_(!options.has_serial), raw_(in) {}

void Console::End::put(std::span<const u8> data) {
    if (console_.refused_)
        return;
    if (const int error = write_all(console_.out_, data))
        console_.refused_.emplace(std::string("standard output: ") + std::strerror(error), Status::host_short);
}

std::size_t Console::End::take(std::span<u8> data) {
    console_.fill();
    const std::size_t n = std::min(data.size(), waiting_.size());
    std::copy_n(waiting_.begin(), n, data.begin());
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<long>(n));
    return n;
}

void Console::fill() {
    // What has been read waits here; nothing more is read before the machine has taken it, so the host's flow control
    // works.
    if (!open_ || serial_.waiting_.size() >= read_ahead || monitor_.waiting_.size() >= read_ahead)
        return;
    std::array<u8, read_ahead> buffer;
    const long n = read_now(in_, buffer);
    if (n < 0) {
        open_ = false;
        return;
    }
    for (long i = 0; i < n; ++i)
        consume(buffer[static_cast<std::size_t>(i)]);
}

void Console::consume(u8 byte) {
    auto& focus = monitor_focus_ ? monitor_.waiting_ : serial_.waiting_;
    if (!terminal_ && !options_.always_escapes) {
        focus.push_back(byte);
        return;
    }
    if (!escaped_) {
        if (byte == escape_key)
            escaped_ = true;
        else
            focus.push_back(byte);
        return;
    }
    escaped_ = false;
    switch (byte) {
    case 'x':
        wish_ = Wish::quit;
        break;
    case 'c':
        if (options_.has_monitor) {
            if (options_.has_serial)
                monitor_focus_ = !monitor_focus_;
            if (monitor_focus_)
                wish_ = Wish::monitor;
        }
        break;
    case 'a':
    case escape_key:
        focus.push_back(escape_key);
        break;
    case 'h':
    case '?':
        say("\r\nCtrl-A x  quit\r\nCtrl-A c  the monitor, and back\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n");
        break;
    default:
        break;
    }
}

void Console::say(std::string_view text) {
    (void)write_all(out_, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

} // namespace vitrine::host
