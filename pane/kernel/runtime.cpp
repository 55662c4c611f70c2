// SPDX-License-Identifier: Apache-2.0
// What the compiler takes for granted: the memory functions, and the end of a pure virtual call.
#include "pane/kernel/panic.h"

#include <cstddef>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t n) {
    void* const start = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
    return start;
}

void* memset(void* to, int value, std::size_t n) {
    void* const start = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return start;
}

void* memmove(void* to, const void* from, std::size_t n) {
    if (to <= from || static_cast<const char*>(from) + n <= to)
        return memcpy(to, from, n);
    auto* t = static_cast<volatile char*>(to);
    const auto* f = static_cast<const char*>(from);
    while (n--)
        t[n] = f[n];
    return to;
}

int memcmp(const void* a, const void* b, std::size_t n) {
    const auto* x = static_cast<const volatile unsigned char*>(a);
    const auto* y = static_cast<const volatile unsigned char*>(b);
    for (; n; --n, ++x, ++y)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

const void* memchr(const void* memory, int value, std::size_t n) {
    const auto* at = static_cast<const volatile unsigned char*>(memory);
    for (; n; --n, ++at)
        if (*at == static_cast<unsigned char>(value))
            return const_cast<const unsigned char*>(at);
    return nullptr;
}

std::size_t strlen(const char* text) {
    const volatile char* end = text;
    while (*end)
        ++end;
    return static_cast<std::size_t>(end - text);
}
}

namespace std {
/// libstdc++'s string_view calls this for a position past its end: a bug of Pane.
__attribute__((__noreturn__)) void __throw_out_of_range_fmt(const char* what, ...) { vitrine::pane::panic("a bug of Pane: {}", what); }
} // namespace std
