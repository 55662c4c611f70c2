// SPDX-License-Identifier: Apache-2.0
// One function per component shows its whole state; snapshot, restore, hash, dump and live view are its visitors.
#pragma once

#include "words/addresses.h"
#include "words/integers.h"

#include <array>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace vitrine {

/// Walks state. The same calls in the same order save, load, hash or print; a loading visitor writes through the references.
class Visitor {
public:
    virtual ~Visitor() = default;

    /// An unsigned number of `width` bytes (1, 2, 4 or 8).
    virtual void number(std::string_view name, u64& value, unsigned width) = 0;

    /// A block of bytes of fixed size.
    virtual void bytes(std::string_view name, std::span<u8> data) = 0;

    /// A block of bytes whose size is state too; at most `limit` bytes are accepted from a file.
    virtual void blob(std::string_view name, std::vector<u8>& data, u64 limit) = 0;

    /// The number of elements of a list, which the caller resizes to what this returns; at most `limit` from a file.
    virtual u64 count(std::string_view name, u64 n, u64 limit) = 0;

    /// A named part; parts nest.
    virtual void begin(std::string_view name) = 0;
    virtual void end() = 0;

    /// True when the visitor writes into the state. A component may then rebuild what it derives.
    virtual bool loading() const = 0;

    /// Called by a component whose loaded value makes no sense: the load fails with this sentence.
    virtual void refuse(std::string_view why) = 0;

    template <class T> void field(std::string_view name, T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            u64 n = value;
            number(name, n, 1);
            value = n != 0;
        } else if constexpr (std::is_enum_v<T>) {
            u64 n = static_cast<u64>(static_cast<std::underlying_type_t<T>>(value)) & low_mask(8 * sizeof(T));
            number(name, n, sizeof(T));
            value = static_cast<T>(static_cast<std::underlying_type_t<T>>(n));
        } else if constexpr (std::is_integral_v<T>) {
            u64 n = static_cast<std::make_unsigned_t<T>>(value);
            number(name, n, sizeof(T));
            value = static_cast<T>(n);
        } else {
            visit(name, value);
        }
    }

private:
    template <class Tag> void visit(std::string_view name, Address<Tag>& value) { number(name, value.value, 8); }

    template <class T, std::size_t N> void visit(std::string_view name, std::array<T, N>& values) {
        elements(name, std::span<T>(values));
    }

    template <class T, std::size_t N> void visit(std::string_view name, T (&values)[N]) {
        elements(name, std::span<T>(values));
    }

    template <class T> void visit(std::string_view name, std::vector<T>& values) {
        values.resize(count(name, values.size(), list_limit));
        elements(name, std::span<T>(values));
    }

    template <class T> void visit(std::string_view name, std::deque<T>& values) {
        values.resize(count(name, values.size(), list_limit));
        begin(name);
        for (T& v : values)
            field("", v);
        end();
    }

    void visit(std::string_view name, std::string& text) {
        std::vector<u8> data(text.begin(), text.end());
        blob(name, data, list_limit);
        text.assign(data.begin(), data.end());
    }

    /// Anything else has a state() of its own.
    template <class T> void visit(std::string_view name, T& value) {
        begin(name);
        value.state(*this);
        end();
    }

    template <class T> void elements(std::string_view name, std::span<T> values) {
        if constexpr (std::is_same_v<T, u8>) {
            bytes(name, values);
        } else {
            begin(name);
            for (T& v : values)
                field("", v);
            end();
        }
    }

    static constexpr u64 list_limit = 1 << 24;
};

} // namespace vitrine
