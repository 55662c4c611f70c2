// SPDX-License-Identifier: Apache-2.0
// A guest of Pane that uses its local APIC in xAPIC and in x2APIC mode: priorities, self IPIs, the timer, NMIs that do not nest.
#include "bare.h"

enum { fixed_vector = 0x41, timer_vector = 0x61 };
enum { apic_id = 0x20, tpr = 0x80, ppr = 0xa0, eoi = 0xb0, svr = 0xf0, isr = 0x100, icr = 0x300, icr_high = 0x310, lvt_timer = 0x320,
       initial_count = 0x380, current_count = 0x390, divide = 0x3e0, self_ipi = 0x3f0 };
enum { self = 1 << 18, deliver_nmi = 4 << 8, assert = 1 << 14 };

static volatile u32 seen[256];
static volatile u32 recovery, in_service, depth, deepest;
static u32 x2apic;

static u64 rdmsr(u32 msr) {
    u64 value;
    __asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
    return value;
}

static void wrmsr(u32 msr, u64 value) { __asm__ volatile("wrmsr" : : "A"(value), "c"(msr) : "memory"); }

static u32 read(u32 reg) { return x2apic ? (u32)rdmsr(0x800 + reg / 16) : *(volatile u32*)(0xfee00000 + reg); }

static void write(u32 reg, u32 value) {
    if (x2apic)
        wrmsr(0x800 + reg / 16, value);
    else
        *(volatile u32*)(0xfee00000 + reg) = value;
}

static void command(u32 low) {
    if (!x2apic)
        write(icr_high, 0);
    write(icr, low); // to processor 0, where there is no shorthand
}

static void spin(u32 rounds) {
    for (volatile u32 n = 0; n < rounds; ++n)
        ;
}

void interrupt(struct frame* f) {
    ++seen[f->vector];
    if (f->vector == 2) {
        if (++depth > deepest)
            deepest = depth;
        if (seen[2] == 1) {
            command(deliver_nmi | assert); // waits for this handler's IRET
            spin(1000);
        }
        --depth;
    } else if (f->vector >= 32) {
        in_service = read(isr + 0x10 * (f->vector / 32)) >> f->vector % 32 & 1;
        write(eoi, 0);
    } else if (recovery) {
        f->eip = recovery;
        recovery = 0;
    } else {
        say("an exception it did not expect:", f->vector);
        power_off();
    }
}

/// Whether WRMSR gives #GP.
static u32 refused(u32 msr, u64 value) {
    const u32 before = seen[13];
    __asm__ volatile("movl $1f, recovery\n wrmsr\n1:" : : "A"(value), "c"(msr) : "memory");
    recovery = 0;
    return seen[13] - before;
}

static void forget(void) {
    for (u32 n = 0; n < 256; ++n)
        seen[n] = 0;
    deepest = depth = 0;
}

static void use(const char* mode) {
    text(mode);
    text(":\n");
    forget();
    write(svr, 0x1ff);
    say("  its number is", x2apic ? read(apic_id) : read(apic_id) >> 24);

    __asm__ volatile("sti");
    if (x2apic)
        write(self_ipi, fixed_vector);
    else
        command(self | assert | fixed_vector);
    spin(100);
    say("  self IPIs:", seen[fixed_vector]);
    say("  in service in the handler:", in_service);

    write(tpr, 0x50);
    say("  processor priority:", read(ppr));
    command(self | assert | fixed_vector);
    spin(1000);
    say("  taken at a lower priority:", seen[fixed_vector] - 1);
    write(tpr, 0);
    spin(100);
    say("  taken when the priority allows:", seen[fixed_vector] - 1);

    write(divide, 0xb); // by 1
    write(lvt_timer, timer_vector | 1 << 17);
    write(initial_count, 100000);
    while (seen[timer_vector] < 5)
        ;
    write(lvt_timer, timer_vector | 1 << 16);
    write(initial_count, 0);
    say("  timer ticks:", seen[timer_vector]);
    __asm__ volatile("cli");

    command(deliver_nmi | assert);
    spin(1000);
    say("  NMIs:", seen[2]);
    say("  of these at once:", deepest);
}

void start_c(u32 magic, const u32* info) {
    (void)magic;
    (void)info;
    load_tables();
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    use("xAPIC mode");
    const u64 base = rdmsr(0x1b);
    wrmsr(0x1b, base | 1 << 10);
    x2apic = 1;
    use("x2APIC mode");
    say("back to xAPIC mode without a way over off:", !refused(0x1b, base));
    say("a write to a read-only register, 802h:", !refused(0x802, 0));
    say("reserved bits of the self IPI register:", !refused(0x83f, 0x100));
    wrmsr(0x1b, base & ~(u64)(3 << 10));
    wrmsr(0x1b, base);
    x2apic = 0;
    use("xAPIC mode again");
    power_off();
}
