// SPDX-License-Identifier: Apache-2.0
// Formatted text: "{}" is a number or a text, "{x}" a number in hexadecimal, "{5}" and "{-12}" a width (right, left).
#pragma once

#include "words/integers.h"

#include <string_view>
#include <type_traits>

namespace vitrine::pane {

/// Somewhere that characters go.
struct Out {
    void (*put)(void* context, char c);
    void* context;
};

/// One argument, whatever its type was.
struct PrintArgument {
    enum class Kind : u8 { number, negative, text, character } kind;
    u64 number = 0;
    std::string_view text;

    template <class T> static PrintArgument of(const T& value) {
        if constexpr (std::is_same_v<T, char>)
            return {Kind::character, static_cast<u64>(value), {}};
        else if constexpr (std::is_same_v<T, bool>)
            return {Kind::text, 0, value ? "yes" : "no"};
        else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
            return value < 0 ? PrintArgument{Kind::negative, 0 - static_cast<u64>(value), {}}
                             : PrintArgument{Kind::number, static_cast<u64>(value), {}};
        else if constexpr (std::is_integral_v<T>)
            return {Kind::number, static_cast<u64>(value), {}};
        else
            return {Kind::text, 0, std::string_view(value)};
    }
};

void print_arguments(const Out& out, std::string_view format, const PrintArgument* arguments, unsigned count);

template <class... T> void print(const Out& out, std::string_view format, const T&... values) {
    const PrintArgument arguments[] = {PrintArgument::of(values)..., {}};
    print_arguments(out, format, arguments, sizeof...(T));
}

} // namespace vitrine::pane
