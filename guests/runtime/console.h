// SPDX-License-Identifier: Apache-2.0
// What a guest without an operating system has: the first serial port, a verdict for isa-debug-exit, traps.
#pragma once

#include "words/integers.h"

namespace guest {

using namespace vitrine;

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

inline u8 in8(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void print(const char* text);
void print(u64 number, unsigned base = 10);

template <class... More> void say(More... more) {
    (print(more), ...);
    print("\n");
}

/// A number in hexadecimal.
struct Hex {
    u64 value;
};

inline void print(Hex h) { print(h.value, 16); }

/// Ends the run: isa-debug-exit at F4h where there is one, then for ever nothing.
[[noreturn]] void finish(u8 verdict);

/// The serial port at 115200 8N1, and the IDT: an exception that nobody expects is told and ends the run; interrupts are counted.
void begin();

extern "C" volatile u64 interrupts; ///< vectors from 32 on

} // namespace guest
