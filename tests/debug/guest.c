// SPDX-License-Identifier: Apache-2.0
// What a debugger looks at in the guest for debuggers: functions that call each other, variables that change, one across a page border.

typedef unsigned long u64;

void crash(void);

volatile u64 counter;
volatile u64 noticed;
volatile unsigned crash_wanted;

__attribute__((aligned(4096), section(".data"))) struct {
    char page[4092];
    u64 across; // its halves lie in two pages
} __attribute__((packed)) border = {.across = 0x1122334455667788};

__attribute__((noinline)) u64 work(u64 n) {
    u64 sum = 0;
    for (u64 i = 1; i <= n; ++i)
        sum += i;
    counter = counter + 1;
    return sum;
}

__attribute__((noinline)) u64 notice(void) {
    return noticed + border.across;
}

// Long enough that somebody can interrupt it.
__attribute__((noinline)) u64 spin(u64 rounds) {
    u64 value = 1;
    while (rounds--)
        value = value * 6364136223846793005ul + 1442695040888963407ul;
    return value;
}

int guest_main(void) {
    u64 total = 0;
    for (u64 n = 1; n <= 5; ++n)
        total += work(n); // 1 + 3 + 6 + 10 + 15
    noticed = total;
    if (notice() != 35 + 0x1122334455667788)
        return 1;
    if (crash_wanted)
        crash();
    return spin(20000000) == 0 ? 2 : 0;
}
