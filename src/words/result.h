// SPDX-License-Identifier: Apache-2.0
// A value or the reason why there is none, and TRY to pass the reason on; freestanding.
#pragma once

#include "words/integers.h"

#include <type_traits>
#include <new>
#include <utility>

namespace vitrine {

/// Holds a `T`, or an `E` that says what went wrong. For an empty `E` (see x86 Fault) it is a value and a bool.
template <class T, class E> class [[nodiscard]] Result {
public:
    constexpr Result(T value) : ok_(true), value_(std::move(value)) {}

    constexpr Result(E error) : ok_(false), error_(std::move(error)) {}

    constexpr Result(const Result& other) : ok_(other.ok_) { copy(other); }

    constexpr Result(Result&& other) noexcept : ok_(other.ok_) { move(std::move(other)); }

    constexpr Result& operator=(Result other) noexcept {
        destroy();
        ok_ = other.ok_;
        move(std::move(other));
        return *this;
    }

    constexpr ~Result() { destroy(); }

    constexpr bool ok() const { return ok_; }

    constexpr explicit operator bool() const { return ok_; }

    constexpr T& value() & { return value_; }

    constexpr const T& value() const& { return value_; }

    constexpr T&& value() && { return std::move(value_); }

    constexpr E& error() & { return error_; }

    constexpr const E& error() const& { return error_; }

    constexpr E&& error() && { return std::move(error_); }

private:
    template <class U> static constexpr void build(U* at, auto&& from) { ::new (at) U(std::forward<decltype(from)>(from)); }

    constexpr void copy(const Result& other) {
        if (ok_)
            build(&value_, other.value_);
        else
            build(&error_, other.error_);
    }

    constexpr void move(Result&& other) {
        if (ok_)
            build(&value_, std::move(other.value_));
        else
            build(&error_, std::move(other.error_));
    }

    constexpr void destroy() {
        if (ok_)
            value_.~T();
        else
            error_.~E();
    }

    bool ok_;
    union {
        T value_;
        E error_;
    };
};

/// Trivial payloads keep the class trivial, so that it travels in registers: the interpreter's memory path needs that.
template <class T, class E>
    requires(std::is_trivially_copyable_v<T> && std::is_empty_v<E>)
class [[nodiscard]] Result<T, E> {
public:
    constexpr Result(T value) : value_(value), ok_(true) {}

    constexpr Result(E) : value_{}, ok_(false) {}

    constexpr bool ok() const { return ok_; }

    constexpr explicit operator bool() const { return ok_; }

    constexpr const T& value() const { return value_; }

    constexpr E error() const { return E{}; }

private:
    T value_;
    bool ok_;
};

/// No value, only success or the reason.
template <class E> class [[nodiscard]] Result<void, E> {
public:
    constexpr Result() : ok_(true) {}

    constexpr Result(E error) : ok_(false), error_(std::move(error)) {}

    constexpr bool ok() const { return ok_; }

    constexpr explicit operator bool() const { return ok_; }

    constexpr void value() const {}

    constexpr const E& error() const { return error_; }

private:
    bool ok_;
    E error_{};
};

} // namespace vitrine

/// The value of a Result, or return its error from the enclosing function.
#define TRY(...)                                                                                                       \
    __extension__({                                                                                                    \
        auto&& try_result = (__VA_ARGS__);                                                                             \
        if (!try_result.ok()) [[unlikely]]                                                                             \
            return std::move(try_result).error();                                                                      \
        std::move(try_result).value();                                                                                 \
    })
