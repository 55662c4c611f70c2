// SPDX-License-Identifier: Apache-2.0
// A character device of the host: what a serial port or the monitor talks to. Reading never waits.
#pragma once

#include "base/error.h"
#include "base/ports.h"
#include "words/integers.h"

#include <memory>
#include <span>
#include <string>

namespace vitrine::host {

/// What a person asks of the machine as a whole: with the escape key, at the monitor, with a signal, through a debugger.
enum class Wish : u8 { none, quit, monitor, debugger };

class Character : public ByteOutput {
public:
    /// Takes what is there now, at most as much as fits.
    virtual std::size_t take(std::span<u8> data) = 0;

    /// Whether more input can ever come. At its end an input has just no more.
    virtual bool open() const = 0;

    /// The descriptor that becomes readable when input comes; -1 where there is nothing to wait for.
    virtual int waits_on() const { return -1; }

    /// A person sits there, so idle time should pass as on a clock.
    virtual bool interactive() const { return false; }

    /// What has been wished since the last call.
    virtual Wish wish() { return Wish::none; }

    /// The first write that the host refused (a full disk), if any.
    virtual const Error* refused() const { return nullptr; }
};

/// `--serial file:PATH`: output alone.
Expected<std::unique_ptr<Character>> open_file(const std::string& path);

/// `--serial unix:PATH`: a listening socket that one client at a time may use. The path is removed at the end.
Expected<std::unique_ptr<Character>> open_unix(const std::string& path);

} // namespace vitrine::host
