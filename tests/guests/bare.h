// SPDX-License-Identifier: Apache-2.0
// What the small guests of Pane share: a Multiboot entry, the serial port, an interrupt table, the end by ACPI.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

void start_c(u32 magic, const u32* info);

__asm__(".section .head, \"a\"\n"
        ".long 0x1badb002, 3, -(0x1badb002 + 3)\n"
        ".section .text\n"
        ".globl _start\n"
        "_start:\n"
        "    movl $stack_top, %esp\n"
        "    cld\n"
        "    pushl %ebx\n"
        "    pushl %eax\n"
        "    call start_c\n"
        "1:  cli\n"
        "    hlt\n"
        "    jmp 1b\n"
        // Entry points of all vectors, 16 bytes each: an error code where the processor gives none, the vector, then C.
        ".altmacro\n"
        ".macro stub n\n"
        "    .balign 16\n"
        ".if \\n == 8 || (\\n >= 10 && \\n <= 14) || \\n == 17\n"
        ".else\n"
        "    pushl $0\n"
        ".endif\n"
        "    pushl $\\n\n"
        "    jmp common\n"
        ".endm\n"
        ".balign 16\n"
        "stubs:\n"
        ".set n, 0\n"
        ".rept 256\n"
        "    stub %n\n"
        ".set n, n + 1\n"
        ".endr\n"
        "common:\n"
        "    pushal\n"
        "    pushl %esp\n"
        "    call interrupt\n"
        "    popl %eax\n"
        "    popal\n"
        "    addl $8, %esp\n"
        "    iret\n"
        ".section .bss\n"
        "    .balign 16\n"
        "    .skip 16384\n"
        "stack_top:\n"
        ".text\n");

/// What lies on the stack when `interrupt` is called.
struct frame {
    u32 edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags;
};

void interrupt(struct frame* f);

extern const u8 stubs[];
static u64 bare_idt[256], bare_gdt[3] = {0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};

static inline void load_tables(void) {
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) idt = {sizeof bare_idt - 1, (u32)bare_idt}, gdt = {sizeof bare_gdt - 1, (u32)bare_gdt};
    for (u32 n = 0; n < 256; ++n) {
        const u32 at = (u32)stubs + 16 * n;
        bare_idt[n] = (at & 0xffff) | 8u << 16 | (u64)0x8e00 << 32 | (u64)(at & 0xffff0000) << 32;
    }
    __asm__ volatile("lgdt %0\n lidt %1\n ljmp $8, $1f\n 1: movl $16, %%eax\n movl %%eax, %%ds\n movl %%eax, %%es\n movl %%eax, %%ss"
                     : : "m"(gdt), "m"(idt) : "eax", "memory");
}

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static inline void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }

static inline u8 in8(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u32 in32(u16 port) {
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline u64 rdtsc(void) {
    u64 value;
    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static void text(const char* s) {
    for (; *s; ++s)
        out8(0x3f8, (u8)*s);
}

static void number(u32 n) {
    char digits[12];
    int at = 11;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    text(digits + at);
}

static inline void say(const char* what, u32 value) {
    text(what);
    text(" ");
    number(value);
    text("\n");
}

static inline void power_off(void) {
    out16(0x604, 5 << 10 | 1 << 13);
    for (;;)
        ;
}
