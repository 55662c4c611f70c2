// SPDX-License-Identifier: Apache-2.0
// A guest of Pane with a virtual function of an 82576 or 82599 that asks for what it may not have, in every way that the mailbox allows.
#include "bare.h"

void interrupt(struct frame* f) { say("an exception:", f->vector); power_off(); }

enum { request = 1, acknowledge = 2, own = 4, status = 0x10, acknowledged = 0x20, reset_done = 0x80 };
enum { granted = 0x80000000u, refused = 0x40000000u };

static volatile u32* registers;
static u32 memory_at, control_at;
static u32 seen; ///< bits that reading has cleared

static u32 config(u32 offset) {
    out32(0xcf8, 0x80000000 | 1 << 11 | offset);
    return in32(0xcfc);
}

static void set_config(u32 offset, u32 value) {
    out32(0xcf8, 0x80000000 | 1 << 11 | offset);
    out32(0xcfc, value);
}

static u32 control(void) { return seen |= registers[control_at / 4]; }

static int wait_for(u32 bits) {
    for (const u64 start = rdtsc(); rdtsc() - start < 5000000;) // virtual nanoseconds
        if (control() & bits) {
            seen &= ~bits;
            return 1;
        }
    return 0;
}

/// The first word of the answer; 0: there is none.
static u32 ask(const u32* words, u32 count) {
    seen = 0;
    registers[control_at / 4] = own;
    for (u32 n = 0; n < count; ++n)
        registers[memory_at / 4 + n] = words[n];
    registers[control_at / 4] = request;
    if (!wait_for(status))
        return 0;
    const u32 answer = registers[memory_at / 4];
    registers[control_at / 4] = acknowledge;
    return answer;
}

static u32 ask_one(u32 word) { return ask(&word, 1); }

static void begin(void) {
    registers[0] = 1 << 26;
    wait_for(reset_done);
}

static u32 random_state = 1;

static u32 any(void) { return random_state = random_state * 1664525 + 1013904223; }

/// Without an end in sight, for so many milliseconds: how many times.
static u32 storm(u32 milliseconds, void (*once)(void)) {
    u32 n = 0;
    for (const u64 start = rdtsc(); rdtsc() - start < milliseconds * 1000000ull; ++n)
        once();
    return n;
}

static void question(void) {
    registers[memory_at / 4] = any();
    registers[memory_at / 4 + 1] = any();
    registers[control_at / 4] = request;
}

static void acknowledgement(void) { registers[control_at / 4] = acknowledge; }

static void reset(void) { registers[0] = 1 << 26; }

static void pause_for(u32 milliseconds) {
    for (const u64 start = rdtsc(); rdtsc() - start < milliseconds * 1000000ull;)
        ;
}

void start_c(u32 magic, const u32* info) {
    (void)magic, (void)info;
    load_tables();
    const u32 id = config(0);
    say("a virtual function of an 82599:", id == 0x10ed8086);
    memory_at = id == 0x10ed8086 ? 0x200 : 0x800;
    control_at = id == 0x10ed8086 ? 0x2fc : 0xc40;
    registers = (volatile u32*)(config(0x10) & ~15u);
    set_config(4, 2);

    begin();
    say("a question before the beginning is refused:", ask_one(3) == (refused | 3));
    u32 words[16] = {1};
    say("the beginning is granted:", ask(words, 1) == (granted | 1));
    u32 address[2] = {registers[memory_at / 4 + 1], registers[memory_at / 4 + 2]};
    words[0] = 2, words[1] = address[0], words[2] = address[1];
    say("its own address is granted:", (ask(words, 3) & (granted | refused)) == granted);
    words[2] = address[1] + 0x100;
    say("its neighbour's address is refused:", (ask(words, 3) & (granted | refused)) == refused);
    words[0] = 3 | 255 << 16;
    for (u32 n = 1; n < 16; ++n)
        words[n] = any();
    say("too many multicast addresses are granted:", (ask(words, 16) & (granted | refused)) == granted);
    words[0] = 4 | 1 << 16, words[1] = 5;
    say("a network that is another guest's is refused:", (ask(words, 2) & (granted | refused)) == refused);
    words[1] = 6;
    say("a network that is nobody's is granted:", (ask(words, 2) & (granted | refused)) == granted);
    words[0] = 5, words[1] = 9000;
    say("long frames are refused:", (ask(words, 2) & (granted | refused)) == refused);

    u32 grants = 0, answers = 0;
    for (u32 what = 0; what < 256; ++what) {
        if (what >= 1 && what <= 0x10)
            continue;
        const u32 answer = ask_one(what | (any() & 0xff0000));
        answers += answer != 0;
        grants += (answer & granted) != 0;
        pause_for(1);
    }
    say("unknown questions answered:", answers);
    say("unknown questions granted:", grants);

    // The lock taken, and never given back.
    registers[control_at / 4] = own;
    registers[memory_at / 4] = 3;
    seen = 0;
    registers[control_at / 4] = own | request;
    say("an answer comes although the mailbox is held:", wait_for(status));
    registers[control_at / 4] = 0;
    pause_for(2);

    say("questions without an end:", storm(10, question) > 1000);
    pause_for(2);
    say("acknowledgements without an end:", storm(10, acknowledgement) > 1000);
    pause_for(2);
    say("resets without an end:", storm(10, reset) > 1000);
    pause_for(2);
    begin();
    words[0] = 1;
    say("it is heard again:", ask(words, 1) == (granted | 1));
    power_off();
}
