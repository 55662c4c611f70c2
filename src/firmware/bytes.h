// SPDX-License-Identifier: Apache-2.0
// A growing little-endian byte string, for tables that firmware makes.
#pragma once

#include "base/error.h"
#include "words/integers.h"

#include <concepts>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrine::firmware {

class Bytes {
public:
    Bytes() = default;

    explicit Bytes(u64 size) : data_(size) {}

    template <std::unsigned_integral T>
    Bytes& add(T value) {
        for (unsigned i = 0; i < sizeof value; ++i)
            data_.push_back(static_cast<u8>(static_cast<u64>(value) >> (8 * i)));
        return *this;
    }

    Bytes& byte(u64 v) { return add(static_cast<u8>(v)); }

    Bytes& word(u64 v) { return add(static_cast<u16>(v)); }

    Bytes& dword(u64 v) { return add(static_cast<u32>(v)); }

    Bytes& qword(u64 v) { return add(v); }

    Bytes& zeros(u64 n) {
        data_.resize(data_.size() + n);
        return *this;
    }

    Bytes& text(std::string_view s) {
        data_.insert(data_.end(), s.begin(), s.end());
        return *this;
    }

    /// Cut or filled with `fill` to exactly `width` bytes.
    Bytes& text(std::string_view s, u64 width, char fill) {
        for (u64 i = 0; i < width; ++i)
            byte(static_cast<u8>(i < s.size() ? s[i] : fill));
        return *this;
    }

    Bytes& append(std::span<const u8> more) {
        data_.insert(data_.end(), more.begin(), more.end());
        return *this;
    }

    Bytes& align(u64 to) {
        while (data_.size() % to)
            data_.push_back(0);
        return *this;
    }

    /// Overwrites what is there already.
    template <std::unsigned_integral T>
    void put(u64 offset, T value) {
        VERIFY(offset + sizeof value <= data_.size());
        for (unsigned i = 0; i < sizeof value; ++i)
            data_[offset + i] = static_cast<u8>(static_cast<u64>(value) >> (8 * i));
    }

    u64 size() const { return data_.size(); }

    std::span<const u8> span() const { return data_; }

    std::vector<u8> take() { return std::move(data_); }

private:
    std::vector<u8> data_;
};

} // namespace vitrine::firmware
