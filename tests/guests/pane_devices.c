// SPDX-License-Identifier: Apache-2.0
// A guest of Pane that owns the edu device. Its command line says what it does with it: work, wild, forge, space, moves, storm, late; and what
// it tries without it: reach, mask. Or the device is any that has MSI-X: table. Or an NVMe disk: keep.
#include "bare.h"

enum { pattern = 0x5aa55aa5, buffer = 0x40000, to_memory = 3, from_memory = 1 };
enum { slot = 1, command = 0x04, bar0 = 0x10, msi = 0x40 };

static volatile u32 taken, nmis;
static u32 bar;
static volatile u32 page[1024] __attribute__((aligned(4096)));

void interrupt(struct frame* f) {
    if (f->vector == 2)
        ++nmis;
    else if (f->vector >= 32)
        ++taken;
    *(volatile u32*)0xfee000b0 = 0;
}

static u32 config_read(u32 at) {
    out32(0xcf8, 0x80000000 | slot << 11 | at);
    return in32(0xcfc);
}

static void config_write(u32 at, u32 value) {
    out32(0xcf8, 0x80000000 | slot << 11 | at);
    out32(0xcfc, value);
}

static u32 get(u32 at) { return *(volatile u32*)(bar + at); }
static void set(u32 at, u32 value) { *(volatile u32*)(bar + at) = value; }

/// One access of eight bytes.
static void set_wide(u32 at, u64 value) { __asm__ volatile("movq %1, %%mm0\n movq %%mm0, %0\n emms" : "=m"(*(volatile u64*)(bar + at)) : "m"(value)); }

static void dma(u64 from, u64 to, u32 count, u32 how) {
    set_wide(0x80, from);
    set_wide(0x88, to);
    set(0x90, count);
    set(0x98, how);
    while (get(0x98) & 1)
        ;
}

static void wait(u32 turns) {
    while (turns--)
        __asm__ volatile("pause");
}

/// Puts a word into the device's own buffer.
static void fill(u32 value) {
    page[0] = value;
    dma((u32)page, buffer, 4, from_memory);
}

/// What the first word of the device's buffer is.
static u32 look(void) {
    page[1] = 0;
    dma(buffer, (u32)(page + 1), 4, to_memory);
    return page[1];
}

static void set_message(u32 address, u32 data) {
    config_write(msi, config_read(msi) & ~(1u << 16));
    config_write(msi + 4, address);
    config_write(msi + 8, 0);
    config_write(msi + 12, data);
    config_write(msi, config_read(msi) | 1 << 16);
}

/// Lets the device raise its interrupt, and says how many have arrived.
static u32 raise(u32 times) {
    const u32 before = taken;
    for (u32 n = 0; n < times; ++n) {
        set(0x60, 1);
        set(0x64, 1);
        wait(1000);
    }
    return taken - before;
}

static void find(void) {
    bar = config_read(bar0) & ~15u;
    say("its registers answer:", get(0) == 0x010000ed);
    *(volatile u32*)0xfee000f0 = 0x1ff; // the local APIC on
    __asm__ volatile("sti");
}

static void work(void) {
    fill(pattern);
    say("a word came back by DMA:", look() == pattern);
    set_message(0xfee00000, 0x51);
    say("interrupts taken while it runs:", raise(16));
    u32 missed = 0;
    set_wide(0x80, (u32)page);
    set_wide(0x88, buffer);
    set(0x90, 4);
    for (u32 n = 0; n < 300; ++n) { // some come while another guest has the processor
        const u32 so_far = taken;
        set(0x98, 5);
        for (u32 turns = 0; taken == so_far && turns < 50000; ++turns)
            __asm__ volatile("pause");
        missed += taken == so_far;
        set(0x64, 0x100);
    }
    say("interrupts at the end of DMA that it missed:", missed);
    __asm__ volatile("cli");
    set(0x60, 1);
    set(0x64, 1);
    const u32 before = taken;
    __asm__ volatile("sti\n hlt");
    say("interrupts taken in its sleep:", taken - before);
    const u32 sleeps = taken;
    for (u32 n = 0; n < 8; ++n) { // one that comes while it sleeps: at the end of a DMA
        set_wide(0x80, (u32)page);
        set_wide(0x88, buffer);
        set(0x90, 4);
        __asm__ volatile("cli");
        set(0x98, 5);
        __asm__ volatile("sti\n hlt");
        set(0x64, 0x100);
    }
    say("interrupts that woke it:", taken - sleeps);
    for (u32 n = 0; n < 200; ++n) { // and one that comes about when it falls asleep, at each moment of it
        __asm__ volatile("cli");
        set(0x98, 5);
        const u64 start = rdtsc();
        while (rdtsc() - start < 97000 + 20 * n)
            ;
        __asm__ volatile("sti\n hlt");
        set(0x64, 0x100);
    }
    say("interrupts that woke it early or late:", taken - sleeps - 8);
    set_message(0xfee00000, 4 << 8);
    raise(1);
    say("NMIs by its own message:", nmis);
}

static const u64 foreign[] = {0x400000,    0x800000,    0x1000000,   0x10000000,   0x1f000000,   0x1fe00000,     0xb0000000,         0xc0000000,
                              0xd0000000,  0xfec00000,  0xfed90000,  0xfffff000,   0x100000000,  0x8000000000ull, 0x7ffffffff000ull, 0xfffffffff000ull};

static void wild(void) {
    u32 brought = 0;
    for (u32 n = 0; n < sizeof foreign / sizeof *foreign; ++n) {
        fill(pattern);
        dma(buffer, foreign[n], 4, to_memory);
        fill(0);
        dma(foreign[n], buffer, 4, from_memory);
        brought += look() != 0xffffffff;
    }
    say("foreign addresses tried, twice each:", sizeof foreign / sizeof *foreign);
    say("of these reads that brought something:", brought);
    fill(pattern);
    say("its own memory is still reached:", look() == pattern);
}

/// Interrupts that were not given to it: of the old format, and of other entries than its own.
static void forge(void) {
    static const u32 data[] = {0x40, 0x41, 0x42, 0x50, 0xff, 0x402, 0x500, 0x200, 0x700};
    u32 tried = 0;
    for (u32 n = 0; n < sizeof data / sizeof *data; ++n, ++tried) {
        fill(data[n]);
        dma(buffer, 0xfee00000 | (n & 1) << 12, 4, to_memory);
    }
    fill(0);
    for (u32 entry = 0; entry < 16; ++entry, ++tried)
        dma(buffer, 0xfee00010 | entry << 5, 4, to_memory);
    dma(buffer, 0xfee00010 | 0x7fff << 5, 4, to_memory);
    say("interrupts forged:", tried + 1);
    say("of these that came to itself:", taken);
    set_message(0xfee00010, 0x51); // what it writes itself is a message of the old format, whatever its bits
    say("interrupts by a message with a handle:", raise(1));
    set_message((u32)page, 0x51);
    page[0] = 0;
    say("interrupts by a message to memory:", raise(1));
    say("words that it wrote there:", page[0] != 0);
}

/// All of its configuration space is written, and it is the same afterwards.
static void space(void) {
    u32 changed = 0, bits = 0;
    for (u32 at = 0; at < 0x100; at += 4) {
        if (at == command || at == bar0 || (at >= msi && at < msi + 16))
            continue;
        const u32 before = config_read(at);
        config_write(at, 0xffffffff);
        changed += config_read(at) != before;
        config_write(at, 0);
        changed += config_read(at) != before;
    }
    say("other words that could be changed:", changed);
    config_write(command, 0);
    config_write(bar0, 0xffffffff);
    for (u32 size = config_read(bar0) & ~15u; size && !(size & 1); size >>= 1)
        ++bits;
    say("address bits that its BAR leaves:", bits);
    config_write(bar0, bar);
    config_write(command, 2);
    fill(pattern); // the device may not do this
    config_write(command, 6);
    page[0] = 1;
    say("DMA without bus mastering:", look() == pattern);
    for (u32 other = 2; other < 32; ++other) {
        out32(0xcf8, 0x80000000 | other << 11);
        changed += in32(0xcfc) != 0xffffffff;
    }
    out32(0xcf8, 0x80010000);
    say("other functions that answer:", changed + (in32(0xcfc) != 0xffffffff));
}

static void moves(void) {
    config_write(command, 0);
    config_write(bar0, 0xc8000000);
    config_write(command, 6);
    text("it has moved its BAR\n");
}

static void storm(void) {
    for (u32 n = 0; n < 5000; ++n)
        dma(buffer, 0x40000000, 4, to_memory);
    text("storm is over\n");
}

/// It ends while its device is at work.
static void late(void) {
    set_wide(0x80, buffer);
    set_wide(0x88, 0x200000);
    set(0x90, 4096);
    set(0x98, to_memory);
}

/// By the processor: memory beyond its share.
static void reach(void) {
    static const u32 places[] = {0x00400000, 0x00800000, 0x10000000, 0x1fe00000, 0x2fe00000, 0x3ff00000, 0xb0000000, 0xd0000000, 0xfec00000, 0xfed90000};
    u32 kept = 0;
    for (u32 n = 0; n < sizeof places / sizeof *places; ++n) {
        volatile u32* at = (volatile u32*)places[n];
        *at = pattern;
        kept += *at == pattern;
    }
    say("places of others that its processor tried to write:", sizeof places / sizeof *places);
    say("of these that kept what was written:", kept);
}

/// Its 8259s take any mask; the machine's own must stay as they are.
static void mask(void) {
    out8(0x21, 0x5a);
    out8(0xa1, 0xa5);
    say("masks of its own 8259s:", in8(0x21) | (u32)in8(0xa1) << 8);
}

/// The page with the MSI-X table: every offset, with every size, then the table's own words.
static void table(void) {
    u32 at = config_read(0x34) & 0xfc;
    while (at && (config_read(at) & 0xff) != 0x11)
        at = config_read(at) >> 8 & 0xfc;
    const u32 entries = (config_read(at) >> 16 & 0x7ff) + 1, place = config_read(at + 4);
    bar = config_read(bar0 + 4 * (place & 7)) & ~15u;
    const u32 first = (place & ~7u) & ~0xfffu;
    config_write(at, 0xffffffff);
    for (u32 n = first; n + 4 <= first + 4096; ++n) {
        volatile u8* p = (volatile u8*)(bar + n);
        *p = (u8)(*p + 1);
        *(volatile u16*)p = (u16)(*(volatile u16*)p + 1);
        *(volatile u32*)p = *(volatile u32*)p + 1;
        *(volatile u32*)p = 0xffffffff;
    }
    config_write(at, 1u << 31);
    u32 right = 0;
    for (u32 n = 0; n < entries; ++n) {
        const u32 entry = (place & ~7u) + 16 * n;
        set(entry, 0xfee00003);
        set(entry + 4, n);
        set(entry + 8, 0x1000 + n);
        set(entry + 12, 0xffffffff);
        right += get(entry) == 0xfee00000 && get(entry + 4) == n && get(entry + 8) == 0x1000 + n && get(entry + 12) == 1;
    }
    for (u32 n = 0; n < entries; ++n) {
        set((place & ~7u) + 16 * n + 4, 0);
        set((place & ~7u) + 16 * n + 12, 0);
    }
    say("entries of its table that hold something else:", entries - right);
    say("it has more than one:", entries > 1);
}

/// A register that only a reset clears: the sizes of an NVMe disk's admin queues.
static void keep(void) {
    bar = config_read(bar0) & ~15u;
    say("the register holds at first:", get(0x24));
    set(0x24, 0x001f001f);
    say("and then:", get(0x24));
    for (;;)
        __asm__ volatile("sti\n hlt");
}

static const struct {
    const char* name;
    void (*run)(void);
} ways[] = {{"work", work}, {"wild", wild}, {"forge", forge}, {"space", space}, {"moves", moves}, {"storm", storm}, {"late", late}, {"table", table}, {"keep", keep}, {"reach", reach}, {"mask", mask}};

void start_c(u32 magic, const u32* info) {
    (void)magic;
    load_tables();
    config_write(command, 6);
    if (config_read(0) == 0x11e81234)
        find();
    const char* line = (const char*)info[4];
    for (; *line; ++line)
        for (u32 n = 0; n < sizeof ways / sizeof *ways; ++n) {
            u32 at = 0;
            while (ways[n].name[at] && ways[n].name[at] == line[at])
                ++at;
            if (!ways[n].name[at])
                ways[n].run();
        }
    power_off();
}
