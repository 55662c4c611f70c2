// SPDX-License-Identifier: Apache-2.0
// The framing of GDB's remote serial protocol (GDB manual, Overview of the protocol).
#pragma once

#include "words/integers.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vitrine::debug {

/// Cuts a stream of bytes from gdb into packets. Anything else than well-formed packets is refused or skipped, never
/// kept.
class PacketReader {
public:
    static constexpr std::size_t largest = 16384; ///< longest packet taken; told to gdb as PacketSize

    enum class Kind : u8 { packet, interrupt, bad };

    struct Item {
        Kind kind = Kind::bad;
        std::string body; ///< unescaped
    };

    void feed(std::span<const u8> bytes);

    /// The next complete thing that came; nothing when more bytes are needed.
    std::optional<Item> next();

private:
    std::string pending_;
};

/// `$body#checksum`, special characters escaped.
std::string framed(std::string_view body);

std::string to_hex(std::span<const u8> bytes);
/// Nothing when the text is no even number of hexadecimal digits.
std::optional<std::string> from_hex(std::string_view text);
/// A hexadecimal number at the start of `text`, which is moved behind it; nothing when there is none.
std::optional<u64> take_hex(std::string_view& text);

} // namespace vitrine::debug
