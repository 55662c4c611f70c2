// SPDX-License-Identifier: Apache-2.0
// For bench/dma: an NVMe controller reads 1 MiB at a time into memory, and the edu device raises interrupts, with VT-d off and on. Marker lines on the
// serial port stand around each piece; what the memory holds afterwards is summed up. It needs the unit at FED90000h, an NVMe disk and edu.
#include "bare.h"

#define PAGE __attribute__((aligned(4096)))
enum {
    unit = 0xfed90000, apic = 0xfee00000, vector = 0x40,
    page = 4096, pages_of_command = 32, commands = 8,          // 1 MiB under way
    window = 0x40000000, window_pages = 16384,                 // device addresses: the data again and again
    data_pages = pages_of_command * commands, lists = window_pages / pages_of_command,
    interrupt_count = 100000
};

static volatile u64 root[512] PAGE, context[512] PAGE, top[512] PAGE, low[512] PAGE, high[512] PAGE, leaves[window_pages] PAGE;
static volatile u64 interrupts[512] PAGE, queue[512] PAGE;
static u64 prp_lists[lists][32] PAGE, plain_lists[commands][32] PAGE; // the last entry of each is not used
static volatile u32 admin[1024] PAGE, admin_done[1024] PAGE, submissions[1024] PAGE, completions[1024] PAGE;
static volatile u32 data[data_pages][1024] PAGE;
static volatile u32 status, raised;

static void set(u32 at, u32 value) { *(volatile u32*)at = value; }
static u32 get(u32 at) { return *(volatile u32*)at; }

static void set_wide(u32 at, u64 value) {
    set(at, (u32)value);
    set(at + 4, (u32)(value >> 32));
}

static void stop(const char* why) {
    text("BENCH failed: ");
    text(why);
    text("\n");
    power_off();
}

void interrupt(struct frame* f) {
    if (f->vector != vector)
        stop("an exception");
    ++raised;
    set(apic + 0xb0, 0);
}

// ---- PCI

static u32 config(u32 function, u32 at) {
    out32(0xcf8, 0x80000000 | function << 8 | at);
    return in32(0xcfc);
}

static void set_config(u32 function, u32 at, u32 value) {
    out32(0xcf8, 0x80000000 | function << 8 | at);
    out32(0xcfc, value);
}

/// The first function whose register `at` has `value` under `mask`.
static u32 find(u32 at, u32 mask, u32 value) {
    for (u32 function = 0; function < 4 * 256; ++function)
        if (config(function, 0) != 0xffffffff && (config(function, at) & mask) == value)
            return function;
    stop("a device is missing");
    return 0;
}

static u32 memory_of(u32 function) {
    if ((config(function, 0x10) & 6) == 4 && config(function, 0x14))
        stop("registers above 4 GiB");
    set_config(function, 4, (config(function, 4) & 0xffff) | 6); // memory space, bus master
    return config(function, 0x10) & ~0xfu;
}

// ---- VT-d

static u32 on, tail;

static void command(u32 bit) {
    set(unit + 0x18, on | bit);
    if (bit & 0x86000000) // TE, QIE, IRE stay on
        on |= bit;
    while (!(get(unit + 0x1c) & bit)) {
    }
}

static void invalidate(u64 descriptor) {
    queue[tail / 8] = descriptor;
    queue[tail / 8 + 1] = 0;
    queue[tail / 8 + 2] = 0x100000025; // wait: status 1
    queue[tail / 8 + 3] = (u32)&status;
    tail = (tail + 32) & 0xfff;
    status = 0;
    set(unit + 0x88, tail);
    while (!status) {
    }
}

static void make_tables(void) {
    for (u32 n = 0; n < 256; ++n) {
        root[2 * n] = (u32)context | 1;
        context[2 * n] = (u32)top | 1;
        context[2 * n + 1] = 1 << 8 | 1; // domain 1, three levels
    }
    top[0] = (u32)low | 3;
    top[1] = (u32)high | 3;
    for (u32 n = 0; n < 16; ++n)
        low[n] = n << 21 | 1 << 7 | 3; // 32 MiB as they are
    for (u32 n = 0; n < window_pages / 512; ++n)
        high[n] = (u32)(leaves + 512 * n) | 3;
    for (u32 n = 0; n < window_pages; ++n)
        leaves[n] = (u32)data[n % data_pages] | 3;
    interrupts[0] = 1 | (u64)vector << 16; // to processor 0
    interrupts[1] = 0;
}

// ---- NVMe

static u32 nvme, stride, phase = 1, place;

static void doorbell(u32 n, u32 value) { set(nvme + 0x1000 + n * stride, value); }

static void admin_command(u32 n, u32 opcode, u32 prp, u32 dword10, u32 dword11) {
    volatile u32* c = admin + 16 * n;
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

static void start_nvme(void) {
    stride = 4u << (get(nvme + 4) & 15);
    set(nvme + 0x14, 0);
    while (get(nvme + 0x1c) & 1) {
    }
    set(nvme + 0x24, 15 << 16 | 15);
    set_wide(nvme + 0x28, (u32)admin);
    set_wide(nvme + 0x30, (u32)admin_done);
    set(nvme + 0x14, 4 << 20 | 6 << 16 | 1);
    while (!(get(nvme + 0x1c) & 1)) {
    }
    admin_command(0, 5, (u32)completions, (2 * commands - 1) << 16 | 1, 1);
    admin_command(1, 1, (u32)submissions, (2 * commands - 1) << 16 | 1, 1 << 16 | 1);
    for (u32 n = 0; n < 2 * commands; ++n) {
        volatile u32* c = submissions + 16 * n;
        c[0] = 2 | n << 16; // read
        c[1] = 1;
        c[10] = n % commands * pages_of_command * 8;
        c[12] = pages_of_command * 8 - 1;
    }
}

/// Reads 1 MiB: each command into the memory of its list.
static void read(u64 (*list)[32], u64 first, u32 after) {
    for (u32 n = 0; n < commands; ++n) {
        volatile u32* c = submissions + 16 * place;
        c[6] = (u32)first + n * after;
        c[8] = (u32)list[n];
        place = (place + 1) % (2 * commands);
    }
    doorbell(2, place);
    const u32 begin = place ? 0 : commands;
    for (u32 n = 0; n < commands; ++n) {
        volatile u32* c = completions + 4 * (begin + n);
        while ((c[3] >> 16 & 1) != phase)
            __asm__ volatile("pause");
        if (c[3] >> 17)
            stop("a read");
    }
    if (!place)
        phase ^= 1;
    doorbell(3, place);
}

// ---- the pieces

static void begin(const char* name, u32 count) {
    text("BENCH ");
    text(name);
    text(" begin ");
    number(count);
    text("\n");
}

static void end(const char* name, u32 sum) {
    text("BENCH ");
    text(name);
    text(" end ");
    number(sum);
    text("\n");
}

static void measure_dma(const char* name, u64 (*list)[32], u32 base, u32 windows) {
    const u32 mebibytes = DMA_MEBIBYTES, after = page * pages_of_command;
    for (u32 n = 0; n < data_pages; ++n)
        data[n][0] = data[n][1023] = 0;
    begin(name, mebibytes);
    for (u32 n = 0; n < mebibytes; ++n) {
        const u32 at = n % windows * commands;
        read(list + at, base + at * after, after);
    }
    u32 sum = 0;
    for (u32 n = 0; n < data_pages; ++n)
        sum = (sum << 1 | sum >> 31) ^ data[n][0] ^ data[n][1023];
    end(name, sum);
}

static void measure_interrupts(const char* name, u32 edu, int forget) {
    raised = 0;
    begin(name, interrupt_count);
    for (u32 n = 0; n < interrupt_count; ++n) {
        if (forget)
            invalidate(4); // all interrupt entries
        set(edu + 0x60, 1);
        while (raised == n) {
        }
        set(edu + 0x64, 1);
    }
    end(name, raised);
}

void start_c(u32 magic, const u32* info) {
    (void)magic, (void)info;
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    load_tables();
    set(apic + 0xf0, 0x1ff);
    __asm__ volatile("sti");

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
            plain_lists[n / pages_of_command][n % pages_of_command - 1] = (u32)data[n];
    start_nvme();
    read(plain_lists, (u32)data, page * pages_of_command);

    measure_dma("dma-off", plain_lists, (u32)data, 1);
    measure_interrupts("interrupts-off", edu, 0);

    set_wide(unit + 0x90, (u32)queue);
    command(1u << 26);
    set_wide(unit + 0x20, (u32)root);
    command(1u << 30);
    set_wide(unit + 0xb8, (u32)interrupts | 7); // 256 entries
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
    measure_interrupts("interrupts-hit", edu, 0);
    measure_interrupts("interrupts-miss", edu, 1);
    text("BENCH done\n");
    power_off();
}
