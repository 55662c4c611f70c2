// SPDX-License-Identifier: Apache-2.0
// A guest of Pane that programs its 8259s: vectors, masks, read-back, rotation, polling, the slave. Each line says what it saw.
#include "bare.h"

enum { master = 0x20, slave = 0xa0 };

static volatile u32 seen[256];
static volatile u32 in_service;

void interrupt(struct frame* f) {
    ++seen[f->vector];
    if (f->vector < 32 && f->vector != 0x20) {
        say("an exception it did not expect:", f->vector);
        power_off();
    }
    out8(master, 0x0b); // OCW3: the next read is of the in-service register
    in_service = in8(master);
    if (f->vector == 0x28 || f->vector == 0x78) { // the clock: its flags must be read, and the slave told
        out8(0x70, 0x0c);
        in8(0x71);
        out8(slave, 0x20);
    }
    out8(master, 0x20);
}

static void program(u8 base_master, u8 base_slave) {
    out8(master, 0x11);
    out8(master + 1, base_master);
    out8(master + 1, 4);
    out8(master + 1, 1);
    out8(slave, 0x11);
    out8(slave + 1, base_slave);
    out8(slave + 1, 2);
    out8(slave + 1, 1);
}

static u32 millisecond; ///< in ticks of the TSC

/// Against counter 2 of the 8254, whose output is bit 5 of port 61h.
static void calibrate(void) {
    out8(0x61, 1);
    out8(0x43, 0xb0);
    out8(0x42, 0x9c); // 11932: ten milliseconds
    out8(0x42, 0x2e);
    const u64 start = rdtsc();
    while (!(in8(0x61) & 0x20))
        ;
    millisecond = (u32)(rdtsc() - start) / 10;
}

static void wait(u32 milliseconds) {
    const u64 until = rdtsc() + (u64)milliseconds * millisecond;
    while (rdtsc() < until)
        ;
}

/// Interrupts of a vector in some milliseconds.
static u32 count(u32 vector, u32 milliseconds) {
    seen[vector] = 0;
    __asm__ volatile("sti");
    wait(milliseconds);
    __asm__ volatile("cli");
    return seen[vector];
}

void start_c(u32 magic, const u32* info) {
    (void)magic;
    (void)info;
    load_tables();
    calibrate();
    program(0x20, 0x28);
    out8(master + 1, 0xfe); // only the timer
    out8(slave + 1, 0xff);
    say("masks read back:", in8(master + 1) << 8 | in8(slave + 1));

    out8(0x43, 0x34); // the timer: mode 2, 1193 a tick, which is a millisecond
    out8(0x40, 0xa9);
    out8(0x40, 0x04);
    const u32 open = count(0x20, 10);
    say("timer ticks while open:", open >= 8 && open <= 11);
    say("in service in its handler:", in_service);

    out8(master + 1, 0xff);
    count(0x20, 1);
    say("timer ticks while masked:", count(0x20, 5));
    out8(master, 0x0a);
    say("requested while masked:", in8(master) & 1);
    out8(master + 1, 0xfe);
    say("ticks come again:", count(0x20, 3) >= 2);

    program(0x50, 0x78);
    out8(master + 1, 0xfe);
    out8(slave + 1, 0xff);
    say("ticks on the new vector:", count(0x50, 5) >= 4);
    say("ticks on the old one:", count(0x20, 1));

    out8(master + 1, 0xfa); // and the slave
    out8(slave + 1, 0xfe);  // with the clock
    out8(0x70, 0x0a);
    out8(0x71, 0x26); // 1024 a second
    out8(0x70, 0x0b);
    out8(0x71, 0x42);
    out8(0x70, 0x0c);
    in8(0x71);
    const u32 clock = count(0x78, 10);
    say("the clock through the slave:", clock >= 8 && clock <= 11);
    out8(0x70, 0x0b);
    out8(0x71, 0x02);

    out8(slave + 1, 0xff);
    wait(2);
    out8(master, 0x0c); // poll: the read is the acknowledge
    say("poll answers:", in8(master));
    out8(master, 0x60); // specific end of interrupt of line 0

    out8(master, 0xc0); // priorities: line 0 becomes the lowest, line 1 the highest
    wait(2);
    out8(master, 0x0c);
    say("poll after rotation:", in8(master));
    out8(master, 0xe0); // specific, and rotate
    out8(master, 0x0b);
    say("in service at the end:", in8(master));
    power_off();
}
