// SPDX-License-Identifier: Apache-2.0
// For bench/dma: an NVMe controller reads 1 MiB at a time into memory, and the edu device raises interrupts, with VT-d off and on. Marker lines on the
// serial port stand around each piece; what the memory holds afterwards is summed up. It needs the unit at FED90000h, an NVMe disk and edu.
#include "runtime/console.h"

namespace guest {

namespace {

#define PAGE alignas(4096)
constexpr u32 unit = 0xfed90000, apic = 0xfee00000, vector = 0x40;
constexpr u32 page = 4096, pages_of_command = 32, commands = 8; // 1 MiB under way
constexpr u32 window = 0x40000000, window_pages = 16384;        // device addresses: the data again and again
constexpr u32 data_pages = pages_of_command * commands, lists = window_pages / pages_of_command;
constexpr u32 mebibytes = 1024, interrupt_count = 200'000; // of each piece

using List = u64[32]; // the last entry is not used

PAGE volatile u64 root[512], context[512], top[512], low[512], high[512], leaves[window_pages];
PAGE volatile u64 entries_of_interrupts[512], queue[512];
PAGE List prp_lists[lists], plain_lists[commands];
PAGE volatile u32 admin[1024], admin_done[1024], submissions[1024], completions[1024];
PAGE volatile u32 data[data_pages][1024];
volatile u32 status;

/// All of this lies below 4 GiB.
u32 at_of(const volatile void* p) { return static_cast<u32>(reinterpret_cast<u64>(p)); }

volatile u32& reg(u64 at) { return *reinterpret_cast<volatile u32*>(at); }
void set(u64 at, u32 value) { reg(at) = value; }
u32 get(u64 at) { return reg(at); }

void set_wide(u64 at, u64 value) {
    set(at, static_cast<u32>(value));
    set(at + 4, static_cast<u32>(value >> 32));
}

void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

u32 in32(u16 port) {
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void stop(const char* why) {
    say("BENCH failed: ", why);
    finish(1);
}

// ---- PCI

u32 config(u32 function, u32 at) {
    out32(0xcf8, 0x80000000 | function << 8 | at);
    return in32(0xcfc);
}

void set_config(u32 function, u32 at, u32 value) {
    out32(0xcf8, 0x80000000 | function << 8 | at);
    out32(0xcfc, value);
}

/// The first function whose register `at` has `value` under `mask`.
u32 find(u32 at, u32 mask, u32 value) {
    for (u32 function = 0; function < 4 * 256; ++function)
        if (config(function, 0) != 0xffffffff && (config(function, at) & mask) == value)
            return function;
    stop("a device is missing");
    return 0;
}

u32 memory_of(u32 function) {
    if ((config(function, 0x10) & 6) == 4 && config(function, 0x14))
        stop("registers above 4 GiB");
    set_config(function, 4, (config(function, 4) & 0xffff) | 6); // memory space, bus master
    return config(function, 0x10) & ~0xfu;
}

// ---- VT-d

u32 on, tail;

void command(u32 bit) {
    set(unit + 0x18, on | bit);
    if (bit & 0x86000000) // TE, QIE, IRE stay on
        on |= bit;
    while (!(get(unit + 0x1c) & bit)) {
    }
}

void invalidate(u64 descriptor) {
    queue[tail / 8] = descriptor;
    queue[tail / 8 + 1] = 0;
    queue[tail / 8 + 2] = 0x100000025; // wait: status 1
    queue[tail / 8 + 3] = at_of(&status);
    tail = (tail + 32) & 0xfff;
    status = 0;
    set(unit + 0x88, tail);
    while (!status) {
    }
}

void make_tables(void) {
    for (u32 n = 0; n < 256; ++n) {
        root[2 * n] = at_of(context) | 1;
        context[2 * n] = at_of(top) | 1;
        context[2 * n + 1] = 1 << 8 | 1; // domain 1, three levels
    }
    top[0] = at_of(low) | 3;
    top[1] = at_of(high) | 3;
    for (u32 n = 0; n < 16; ++n)
        low[n] = n << 21 | 1 << 7 | 3; // 32 MiB as they are
    for (u32 n = 0; n < window_pages / 512; ++n)
        high[n] = at_of(leaves + 512 * n) | 3;
    for (u32 n = 0; n < window_pages; ++n)
        leaves[n] = at_of(data[n % data_pages]) | 3;
    entries_of_interrupts[0] = 1 | u64{vector} << 16; // to processor 0
    entries_of_interrupts[1] = 0;
}

// ---- NVMe

u32 nvme, stride, phase = 1, place;

void doorbell(u32 n, u32 value) { set(nvme + 0x1000 + n * stride, value); }

void admin_command(u32 n, u32 opcode, u32 prp, u32 dword10, u32 dword11) {
    volatile u32* const c = admin + 16 * n;
    c[0] = opcode;
    c[6] = prp;
    c[10] = dword10;
    c[11] = dword11;
    doorbell(0, n + 1);
    while (!(admin_done[4 * n + 3] >> 16 & 1)) {
    }
    if (admin_done[4 * n + 3] >> 17)
        stop("an administrative command");
    doorbell(1, n + 1);
}

void start_nvme(void) {
    stride = 4u << (get(nvme + 4) & 15);
    set(nvme + 0x14, 0);
    while (get(nvme + 0x1c) & 1) {
    }
    set(nvme + 0x24, 15 << 16 | 15);
    set_wide(nvme + 0x28, at_of(admin));
    set_wide(nvme + 0x30, at_of(admin_done));
    set(nvme + 0x14, 4 << 20 | 6 << 16 | 1);
    while (!(get(nvme + 0x1c) & 1)) {
    }
    admin_command(0, 5, at_of(completions), (2 * commands - 1) << 16 | 1, 1);
    admin_command(1, 1, at_of(submissions), (2 * commands - 1) << 16 | 1, 1 << 16 | 1);
    for (u32 n = 0; n < 2 * commands; ++n) {
        volatile u32* const c = submissions + 16 * n;
        c[0] = 2 | n << 16; // read
        c[1] = 1;
        c[10] = n % commands * pages_of_command * 8;
        c[12] = pages_of_command * 8 - 1;
    }
}

/// Reads 1 MiB: each command into the memory of its list.
void read(List* list, u32 first, u32 after) {
    for (u32 n = 0; n < commands; ++n) {
        volatile u32* const c = submissions + 16 * place;
        c[6] = first + n * after;
        c[8] = at_of(list[n]);
        place = (place + 1) % (2 * commands);
    }
    doorbell(2, place);
    const u32 begin = place ? 0 : commands;
    for (u32 n = 0; n < commands; ++n) {
        volatile u32* const c = completions + 4 * (begin + n);
        while ((c[3] >> 16 & 1) != phase)
            asm volatile("pause");
        if (c[3] >> 17)
            stop("a read");
    }
    if (!place)
        phase ^= 1;
    doorbell(3, place);
}

// ---- the pieces

void measure_dma(const char* name, List* list, u32 base, u32 windows) {
    constexpr u32 after = page * pages_of_command;
    for (auto& p : data) {
        p[0] = 0;
        p[1023] = 0;
    }
    say("BENCH ", name, " begin ", u64{mebibytes});
    for (u32 n = 0; n < mebibytes; ++n) {
        const u32 at = n % windows * commands;
        read(list + at, base + at * after, after);
    }
    u32 sum = 0;
    for (const auto& p : data)
        sum = (sum << 1 | sum >> 31) ^ p[0] ^ p[1023];
    say("BENCH ", name, " end ", u64{sum});
}

void measure_interrupts(const char* name, u32 edu, bool forget) {
    const u64 before = interrupts;
    say("BENCH ", name, " begin ", u64{interrupt_count});
    for (u64 n = before; n < before + interrupt_count; ++n) {
        if (forget)
            invalidate(4); // all interrupt entries
        set(edu + 0x60, 1);
        while (interrupts == n)
            ;
        set(apic + 0xb0, 0);
        set(edu + 0x64, 1);
    }
    say("BENCH ", name, " end ", interrupts - before);
}

} // namespace

extern "C" void main64(u32 magic, u64 information);
void main64(u32, u64) {
    begin();
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    set(apic + 0xf0, 0x1ff);
    asm volatile("sti");

    const u32 nvme_function = find(8, 0xffffff00, 0x01080200), edu_function = find(0, 0xffffffff, 0x11e81234);
    nvme = memory_of(nvme_function);
    const u32 edu = memory_of(edu_function);
    u32 message = config(edu_function, 0x34) & 0xff;
    while ((config(edu_function, message) & 0xff) != 5)
        message = config(edu_function, message) >> 8 & 0xff;
    set_config(edu_function, message + 4, apic);
    set_config(edu_function, message + 8, 0);
    set_config(edu_function, message + 12, vector);
    set_config(edu_function, message, config(edu_function, message) | 1 << 16);

    make_tables();
    for (u32 n = 0; n < window_pages; ++n)
        if (n % pages_of_command)
            prp_lists[n / pages_of_command][n % pages_of_command - 1] = window + n * page;
    for (u32 n = 0; n < data_pages; ++n)
        if (n % pages_of_command)
            plain_lists[n / pages_of_command][n % pages_of_command - 1] = at_of(data[n]);
    start_nvme();
    read(plain_lists, at_of(data), page * pages_of_command);

    measure_dma("dma-off", plain_lists, at_of(data), 1);
    measure_interrupts("interrupts-off", edu, false);

    set_wide(unit + 0x90, at_of(queue));
    command(1u << 26);
    set_wide(unit + 0x20, at_of(root));
    command(1u << 30);
    set_wide(unit + 0xb8, at_of(entries_of_interrupts) | 7); // 256 entries
    command(1u << 24);
    invalidate(0x11);
    invalidate(0x12);
    invalidate(4);
    command(1u << 31);
    measure_dma("dma-hit", prp_lists, window, 1);
    measure_dma("dma-miss", prp_lists, window, window_pages / data_pages);

    command(1u << 25);
    set_config(edu_function, message + 4, apic | 0x10);
    set_config(edu_function, message + 12, 0);
    measure_interrupts("interrupts-hit", edu, false);
    measure_interrupts("interrupts-miss", edu, true);
    say("BENCH done");
    finish(0);
}

} // namespace guest
