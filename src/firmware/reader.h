// SPDX-License-Identifier: Apache-2.0
// Bounds-checked little-endian reading of untrusted files: a read that does not fit gives no value.
#pragma once

#include "words/integers.h"

#include <concepts>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vitrine::firmware {

class Reader {
public:
    explicit Reader(std::span<const u8> data) : data_(data) {}

    u64 size() const { return data_.size(); }

    bool has(u64 offset, u64 length) const { return offset <= data_.size() && length <= data_.size() - offset; }

    template <std::unsigned_integral T>
    std::optional<T> get(u64 offset) const {
        if (!has(offset, sizeof(T)))
            return {};
        T value;
        std::memcpy(&value, data_.data() + offset, sizeof value);
        return value;
    }

    /// The same where absence reads as zero: for magics and for fields of a header whose presence has been checked.
    template <std::unsigned_integral T>
    T peek(u64 offset) const {
        return get<T>(offset).value_or(T{});
    }

    std::optional<std::span<const u8>> bytes(u64 offset, u64 length) const {
        if (!has(offset, length))
            return {};
        return data_.subspan(offset, length);
    }

    bool matches(u64 offset, std::string_view text) const {
        return has(offset, text.size()) && std::memcmp(data_.data() + offset, text.data(), text.size()) == 0;
    }

    std::span<const u8> all() const { return data_; }

private:
    std::span<const u8> data_;
};

} // namespace vitrine::firmware
