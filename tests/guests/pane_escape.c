// SPDX-License-Identifier: Apache-2.0
// A guest of Pane that tries to get out. Its command line names the way: memory, ports, msrs, vmx, triple, exits; or it is the witness, or sleeps.
#include "bare.h"

static volatile u32 caught; ///< vector of the last exception, 0: none
static volatile u32 recovery;

void interrupt(struct frame* f) {
    caught = f->vector;
    f->eip = recovery;
}

/// Executes an instruction with these in EAX, ECX and EDX, and says which exception came of it.
#define ATTEMPT(instruction, eax, ecx, edx)                                                                             \
    ({                                                                                                                  \
        u32 a = (eax), d = (edx);                                                                                       \
        caught = 0;                                                                                                     \
        __asm__ volatile("movl $1f, %%esi\n movl %%esi, recovery\n" instruction "\n1:"                                  \
                         : "+a"(a), "+d"(d) : "c"((u32)(ecx)) : "esi", "edi", "memory");                                \
        caught;                                                                                                         \
    })

static void memory(void) {
    // Beyond its share, Pane's place in the machine as seen from here, device windows that it does not own.
    static const u32 places[] = {0x00400000, 0x00800000, 0x10000000, 0x3ff00000, 0x7ffff000, 0xb0000000,
                                 0xc0000000, 0xd0003000, 0xe0000000, 0xfec01000, 0xfed00000, 0xfffff000};
    u32 leaks = 0;
    for (u32 n = 0; n < sizeof places / sizeof *places; ++n) {
        volatile u32* at = (volatile u32*)places[n];
        *at = 0x12345678;
        if (*at != 0xffffffff)
            ++leaks;
    }
    say("places that hold what was written:", leaks);
}

static void ports(void) {
    u32 answers = 0;
    for (u32 port = 0; port < 0x10000; port += 1) {
        if (port == 0xcf9 || port == 0x64 || (port >= 0x604 && port <= 0x605) || (port >= 0x3f8 && port < 0x400))
            continue; // its own reset, power and console
        const int own = (port >= 0x20 && port <= 0x21) || (port >= 0x40 && port <= 0x43) || port == 0x61 || (port >= 0x70 && port <= 0x71) ||
                        port == 0x80 || (port >= 0xa0 && port <= 0xa1) || (port >= 0x4d0 && port <= 0x4d1) ||
                        (port >= 0x600 && port <= 0x60b) || (port >= 0xcf8 && port <= 0xcff);
        if (port < 0x1000 || (port & 0xff) == 0) {
            out8((u16)port, 0xff);
            if (!own && in8((u16)port) != 0xff)
                ++answers;
        }
    }
    out32(0xcf8, 0x8000f800);
    say("foreign ports that answer:", answers + (in32(0xcfc) != 0xffffffff));
}

static u32 read_msr(u32 msr) { return ATTEMPT("rdmsr", 0, msr, 0); }

static u32 write_msr(u32 msr, u32 high, u32 low) { return ATTEMPT("wrmsr", low, msr, high); }

static void msrs(void) {
    u32 open = 0;
    for (u32 msr = 0x480; msr < 0x494; ++msr)
        open += read_msr(msr) != 13;
    open += read_msr(0x3a) != 13;
    open += write_msr(0x3a, 0, 5) != 13;
    open += write_msr(0x1b, 0, 0x00100900) != 13;       // the local APIC elsewhere
    open += write_msr(0xda0, 0, 0x100) != 13;           // supervisor state
    open += write_msr(0x1d9, 0, 1) != 13;               // branch recording
    open += write_msr(0xc0000080, 0, 0x1000) != 13;     // a reserved bit of EFER: SVM's
    open += write_msr(0x277, 0, 2) != 13;               // a memory type that there is not
    say("MSRs that were not refused:", open);
    u32 cr4;
    __asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
    say("CR4.VMXE could be set:", ATTEMPT("movl %%eax, %%cr4", cr4 | 0x2000, 0, 0) != 13);
    say("CR4 shows VMXE:", cr4 >> 13 & 1);
}

static void vmx(void) {
    u32 wrong = 0;
    static u64 operand;
    wrong += ATTEMPT("vmcall", 0, 0, 0) != 6;
    wrong += ATTEMPT("vmlaunch", 0, 0, 0) != 6;
    wrong += ATTEMPT("vmresume", 0, 0, 0) != 6;
    wrong += ATTEMPT("vmxoff", 0, 0, 0) != 6;
    wrong += ATTEMPT("vmxon (%%ecx)", 0, &operand, 0) != 6;
    wrong += ATTEMPT("vmptrld (%%ecx)", 0, &operand, 0) != 6;
    wrong += ATTEMPT("vmptrst (%%ecx)", 0, &operand, 0) != 6;
    wrong += ATTEMPT("vmclear (%%ecx)", 0, &operand, 0) != 6;
    wrong += ATTEMPT("vmread %%eax, %%edi", 0x681e, 0, 0) != 6;
    wrong += ATTEMPT("vmwrite %%edi, %%eax", 0x681e, 0, 0) != 6;
    wrong += ATTEMPT("getsec", 0, 0, 0) != 6;
    say("VMX instructions that were not undefined:", wrong);
}

/// Memory with a pattern, which must be the same at the end.
static void witness(void) {
    u32* const from = (u32*)0x200000;
    const u32 count = 0x180000 / 4;
    for (u32 n = 0; n < count; ++n)
        from[n] = n * 2654435761u;
    const u64 start = rdtsc();
    u32 rounds = 0;
    while (rdtsc() - start < 400000000ull) {
        for (u32 n = 0; n < 10000; ++n)
            __asm__ volatile("");
        ++rounds;
    }
    u32 changed = 0;
    for (u32 n = 0; n < count; ++n)
        changed += from[n] != n * 2654435761u;
    say("words of the witness that have changed:", changed);
    say("rounds of work:", rounds);
}

/// As many exits as it can make.
static void exits(void) {
    const u64 start = rdtsc();
    while (rdtsc() - start < 400000000ull)
        for (u32 n = 0; n < 100; ++n)
            out8(0x80, (u8)n);
    text("exits made\n");
}

/// Asleep for good, with interrupts open: only the prompt ends it.
static void sleep(void) {
    text("asleep\n");
    for (;;)
        __asm__ volatile("sti\n hlt");
}

static void triple(void) {
    struct {
        u16 limit;
        u32 base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0\n int3" : : "m"(none));
}

static const struct {
    const char* name;
    void (*run)(void);
} ways[] = {{"memory", memory}, {"ports", ports}, {"msrs", msrs}, {"vmx", vmx}, {"witness", witness}, {"exits", exits}, {"sleep", sleep}, {"triple", triple}};

void start_c(u32 magic, const u32* info) {
    (void)magic;
    load_tables();
    const char* command = (const char*)info[4];
    for (u32 n = 0; n < sizeof ways / sizeof *ways; ++n) {
        u32 at = 0;
        while (ways[n].name[at] && ways[n].name[at] == command[at])
            ++at;
        if (!ways[n].name[at])
            ways[n].run();
    }
    power_off();
}
