// SPDX-License-Identifier: Apache-2.0
// GDB's packets: framing, checksums and hexadecimal.
#include "debug/packets.h"

#include <fmt/format.h>

namespace vitrine::debug {

namespace {

int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

void PacketReader::feed(std::span<const u8> bytes) {
    pending_.append(bytes.begin(), bytes.end());
}

std::optional<PacketReader::Item> PacketReader::next() {
    while (!pending_.empty()) {
        if (pending_[0] == '\x03') {
            pending_.erase(0, 1);
            return Item{Kind::interrupt, {}};
        }
        if (pending_[0] != '$') { // acknowledgements and noise
            pending_.erase(0, 1);
            continue;
        }
        const std::size_t end = pending_.find('#');
        if (end == std::string::npos || pending_.size() < end + 3) {
            if (pending_.size() <= largest + 4)
                return std::nullopt;
            pending_.clear();
            return Item{};
        }
        const std::string raw = pending_.substr(1, end - 1);
        const int high = digit(pending_[end + 1]), low = digit(pending_[end + 2]);
        pending_.erase(0, end + 3);
        u8 sum = 0;
        for (const char c : raw)
            sum = static_cast<u8>(sum + static_cast<u8>(c));
        if (high < 0 || low < 0 || sum != high * 16 + low)
            return Item{};
        std::string body;
        for (std::size_t i = 0; i < raw.size(); ++i)
            body += raw[i] == '}' && i + 1 < raw.size() ? static_cast<char>(raw[++i] ^ 0x20) : raw[i];
        return Item{Kind::packet, std::move(body)};
    }
    return std::nullopt;
}

std::string framed(std::string_view body) {
    std::string text;
    for (const char c : body) {
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            text += '}';
            text += static_cast<char>(c ^ 0x20);
        } else {
            text += c;
        }
    }
    u8 sum = 0;
    for (const char c : text)
        sum = static_cast<u8>(sum + static_cast<u8>(c));
    return fmt::format("${}#{:02x}", text, sum);
}

std::string to_hex(std::span<const u8> bytes) {
    std::string text;
    for (const u8 b : bytes)
        text += fmt::format("{:02x}", b);
    return text;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2)
        return std::nullopt;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return std::nullopt;
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

std::optional<u64> take_hex(std::string_view& text) {
    u64 value = 0;
    std::size_t n = 0;
    while (n < text.size() && n < 16 && digit(text[n]) >= 0)
        value = value * 16 + static_cast<u64>(digit(text[n++]));
    if (n == 0)
        return std::nullopt;
    text.remove_prefix(n);
    return value;
}

} // namespace vitrine::debug
