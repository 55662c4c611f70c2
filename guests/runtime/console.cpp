// SPDX-License-Identifier: Apache-2.0
// The serial port, traps, and memory functions that the compiler calls.
#include "runtime/console.h"

extern "C" {
extern guest::u8 entries[];
extern guest::u64 idt[];
volatile guest::u64 interrupts = 0;

void* memcpy(void* to, const void* from, guest::u64 size) {
    void* const result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void* memset(void* to, int value, guest::u64 size) {
    void* const result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}
}

namespace guest {

namespace {

constexpr u16 port = 0x3f8, verdict_port = 0xf4;

void put(char c) {
    while (!(in8(port + 5) & 0x20))
        ;
    out8(port, static_cast<u8>(c));
}

struct Trap {
    u64 saved[9], vector, error, rip, cs, rflags, rsp, ss;
};

} // namespace

void print(const char* text) {
    for (; *text; ++text)
        put(*text);
}

void print(u64 number, unsigned base) {
    char digits[24];
    unsigned n = 0;
    do
        digits[n++] = "0123456789abcdef"[number % base];
    while (number /= base);
    while (n)
        put(digits[--n]);
}

void finish(u8 verdict) {
    out8(verdict_port, verdict);
    for (;;)
        asm volatile("cli; hlt");
}

void begin() {
    out8(port + 3, 0x80); // the divisor: 1
    out8(port, 1);
    out8(port + 1, 0);
    out8(port + 3, 3); // eight bits
    for (u64 n = 0; n < 256; ++n) {
        const u64 at = reinterpret_cast<u64>(entries) + n * 16;
        idt[2 * n] = (at & 0xffff) | 0x0008'0000 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
        idt[2 * n + 1] = at >> 32;
    }
}

extern "C" void trapped(const Trap* t);
void trapped(const Trap* t) {
    if (t->vector >= 32) {
        interrupts = interrupts + 1;
        return;
    }
    say("unexpected exception ", t->vector, " error ", Hex{t->error}, " at ", Hex{t->rip});
    finish(0x7f);
}

} // namespace guest
