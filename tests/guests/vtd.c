// SPDX-License-Identifier: Apache-2.0
// A driver of VT-d and of the edu device that changes a translation, a table, a context entry and an interrupt entry under use. A sign on its command
// line makes it leave one invalidation out: ! of the page, # of the table (its hint says that tables have not changed), % of the context, @ of the entry.
// Its verdict has a bit for each of the four whose old state was still used: status (verdict << 1) | 1.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

void start_c(const u32* info);

__asm__(".section .text\n"
        ".globl _start\n"
        "_start:\n"
        "    movl $stack_top, %esp\n"
        "    pushl %ebx\n"
        "    call start_c\n"
        ".section .bss\n"
        "    .align 16\n"
        "    .skip 4096\n"
        "stack_top:\n");

__asm__(".section .head, \"a\"\n"
        ".long 0x1badb002, 2, -(0x1badb002 + 2)\n");

#define PAGE __attribute__((aligned(4096)))
static volatile u64 root[512] PAGE, context[512] PAGE, interrupts[512] PAGE, queue[512] PAGE;
static volatile u64 top[512] PAGE, middle[512] PAGE, leaf[512] PAGE, leaf_after[512] PAGE;
static volatile u64 other_top[512] PAGE, other_middle[512] PAGE, other_leaf[512] PAGE;
static volatile u32 source[1024] PAGE, first[1024] PAGE, second[1024] PAGE, third[1024] PAGE;
static volatile u32 descriptor[16] __attribute__((aligned(64)));
static volatile u32 status;

enum { unit = 0xfed90000, device = 0x0008, domain = 1, other_domain = 2, pattern = 0x5aa55aa5 };

static u32 bar, tail;

static void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static u32 in32(u16 port) {
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static u32 config_read(u32 at) {
    out32(0xcf8, 0x80000000 | device << 8 | at);
    return in32(0xcfc);
}

static void config_write(u32 at, u32 value) {
    out32(0xcf8, 0x80000000 | device << 8 | at);
    out32(0xcfc, value);
}

static void set(u32 at, u32 value) { *(volatile u32*)at = value; }
static u32 get(u32 at) { return *(volatile u32*)at; }

static void set_wide(u32 at, u64 value) {
    set(at, (u32)value);
    set(at + 4, (u32)(value >> 32));
}

static u32 on;

static void command(u32 bit) {
    set(unit + 0x18, on | bit);
    if (bit & 0x86000000) // TE, QIE, IRE stay on
        on |= bit;
}

static void invalidate(u64 low, u64 high) {
    queue[tail / 8] = low;
    queue[tail / 8 + 1] = high;
    queue[tail / 8 + 2] = 0x100000025; // wait: status 1
    queue[tail / 8 + 3] = (u32)&status;
    tail = (tail + 32) & 0xfff;
    status = 0;
    set(unit + 0x88, tail);
    while (!status) {
    }
}

/// An invalidation may be under way for some time; this one will not come any more.
static void wait(void) {
    for (u32 n = 0; n < 1800000; ++n)
        __asm__ volatile("pause");
}

static void dma(u32 from, u32 to, u32 how) {
    set(bar + 0x80, from);
    set(bar + 0x88, to);
    set(bar + 0x90, 8);
    set(bar + 0x98, how);
    while (get(bar + 0x98) & 1) {
    }
}

/// Writes to the device address 1000h; whether it arrived in the page.
static u32 arrives(volatile u32* page) {
    page[0] = 0;
    dma(0x40000, 0x1000, 3);
    return page[0] == pattern;
}

static u32 raised(u32 vector) {
    for (u32 n = 0; n < 8; ++n)
        descriptor[n] = 0;
    set(bar + 0x60, 1);
    set(bar + 0x64, 1);
    return descriptor[vector / 32] >> vector % 32 & 1;
}

static void set_interrupt(u32 vector) {
    interrupts[0] = 1 | 1 << 15 | vector << 16 | (u64)((u32)descriptor >> 6) << 38;
    interrupts[1] = 0;
}

static int contains(const char* text, char c) {
    for (; *text; ++text)
        if (*text == c)
            return 1;
    return 0;
}

static void end(u32 verdict) {
    out32(0xf4, verdict);
    for (;;)
        __asm__ volatile("hlt");
}

void start_c(const u32* info) {
    const char* line = info[0] & 4 ? (const char*)info[4] : "";
    bar = config_read(0x10) & ~0xfu;
    config_write(4, 6); // memory space, bus master
    config_write(0x44, 0xfee00010);
    config_write(0x48, 0);
    config_write(0x4c, 0);
    config_write(0x40, config_read(0x40) | 1 << 16); // MSI enable

    root[0] = (u32)context | 1;
    context[2 * device] = (u32)top | 1;
    context[2 * device + 1] = domain << 8 | 1; // three levels
    top[0] = (u32)middle | 3;
    middle[0] = (u32)leaf | 3;
    leaf[1] = (u32)first | 3;
    leaf[2] = (u32)source | 3;
    leaf_after[1] = (u32)first | 3;
    other_top[0] = (u32)other_middle | 3;
    other_middle[0] = (u32)other_leaf | 3;
    other_leaf[1] = (u32)third | 3;
    source[0] = pattern;
    set_interrupt(0x40);
    descriptor[8] = 2; // notifications suppressed

    set_wide(unit + 0x90, (u32)queue);
    command(1u << 26);
    set_wide(unit + 0x20, (u32)root);
    command(1u << 30);
    set_wide(unit + 0xb8, (u32)interrupts);
    command(1u << 24);
    invalidate(0x11, 0);
    invalidate(0x12, 0);
    invalidate(4, 0);
    command(1u << 31);
    command(1u << 25);

    u32 verdict = 0;
    dma(0x2000, 0x40000, 1);
    if (!arrives(first) || !raised(0x40))
        end(0x40);

    leaf[1] = (u32)second | 3;
    if (!contains(line, '!'))
        invalidate(0x32 | domain << 16, 0x1000);
    wait();
    verdict |= arrives(first) << 0;

    leaf[1] = (u32)second | 3;
    middle[0] = (u32)leaf_after | 3;
    invalidate(0x32 | domain << 16, 0x1000 | contains(line, '#') << 6);
    wait();
    verdict |= arrives(second) << 1;

    context[2 * device] = (u32)other_top | 1;
    context[2 * device + 1] = other_domain << 8 | 1;
    if (!contains(line, '%'))
        invalidate(0x31 | domain << 16 | (u64)device << 32, 0);
    wait();
    verdict |= !arrives(third) << 2;

    set_interrupt(0x41);
    if (!contains(line, '@'))
        invalidate(0x14, 0);
    wait();
    verdict |= raised(0x40) << 3;
    end(verdict);
}
