// SPDX-License-Identifier: Apache-2.0
// Standard input and output as the console of a serial port and of the monitor, with the escape key that people know
// from QEMU.
#pragma once

#include "host/character.h"
#include "host/terminal.h"

#include <optional>
#include <vector>

namespace vitrine::host {

/// Ctrl-A x quits, Ctrl-A c switches between the machine and the monitor, Ctrl-A Ctrl-A (or Ctrl-A a) sends Ctrl-A,
/// Ctrl-A h says so. Escapes are taken from a terminal; a pipe's bytes pass untouched unless `always_escapes`.
class Console {
public:
    struct Options {
        bool has_serial = true;
        bool has_monitor = false; ///< also when it is only reached by Ctrl-A c
        bool always_escapes = false;
    };

    explicit Console(Options options, int in = 0, int out = 1);

    Character& serial() { return serial_; }

    Character& monitor() { return monitor_; }

    bool monitor_has_focus() const { return monitor_focus_; }

    void focus_monitor(bool on) { monitor_focus_ = on; }

private:
    class End final : public Character {
    public:
        End(Console& console, bool monitor) : console_(console), is_monitor_(monitor) {}

        void put(std::span<const u8> data) override;
        std::size_t take(std::span<u8> data) override;

        bool open() const override { return console_.open_; }

        int waits_on() const override { return console_.open_ ? console_.in_ : -1; }

        bool interactive() const override { return console_.terminal_; }

        Wish wish() override { return std::exchange(console_.wish_, Wish::none); }

        const Error* refused() const override { return console_.refused_ ? &*console_.refused_ : nullptr; }

    private:
        friend class Console;
        Console& console_;
        bool is_monitor_;
        std::vector<u8> waiting_; ///< read from the host, not yet taken
    };

    void fill();
    void consume(u8 byte);
    void say(std::string_view text);

    int in_, out_;
    Options options_;
    bool terminal_;
    bool open_ = true;
    bool escaped_ = false;
    bool monitor_focus_;
    Wish wish_ = Wish::none;
    std::optional<Error> refused_;
    End serial_{*this, false}, monitor_{*this, true};
    RawTerminal raw_;
};

} // namespace vitrine::host
