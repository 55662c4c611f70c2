// SPDX-License-Identifier: Apache-2.0
// A 32-bit guest of a few hundred bytes: says on the first serial port how it was booted, then ends as its command line asks.
//
// Built with -DPVH it has a Xen note instead of a Multiboot header. Its command line ends in one of the words of `endings`;
// what each must lead to stands in tests/endings.py. Before that it prints
//   command line, memory map's first and last piece, and each module's command line and contents up to a line's end.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

void start_c(u32 magic, const u32* info);

// The entry: a stack of our own, then C with what the protocol left in EAX and EBX.
__asm__(".section .text\n"
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
        ".section .bss\n"
        "    .align 16\n"
        "    .skip 4096\n"
        "stack_top:\n");

#ifdef PVH
__asm__(".section .note.Xen, \"a\", @note\n"
        ".long 4, 4, 18\n"
        ".asciz \"Xen\"\n"
        ".long _start\n");
#else
// Page-aligned modules and the memory map are asked for.
__asm__(".section .head, \"a\"\n"
        ".long 0x1badb002, 3, -(0x1badb002 + 3)\n");
#endif

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static u8 in8(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char c) {
    while (!(in8(0x3f8 + 5) & 0x20)) {
    }
    out8(0x3f8, (u8)c);
}

static void text(const char* s) {
    while (*s)
        put(*s++);
}

static void number(u64 n) {
    static const char digits[] = "0123456789abcdef";
    text("0x");
    int shift = 60;
    while (shift && !(n >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put(digits[n >> shift & 15]);
}

static int ends_with(const char* s, const char* end) {
    u32 n = 0, m = 0;
    while (s[n])
        ++n;
    while (end[m])
        ++m;
    if (m > n)
        return 0;
    for (u32 i = 0; i < m; ++i)
        if (s[n - m + i] != end[i])
            return 0;
    return 1;
}

static void module(const char* start, const char* end, const char* line) {
    text("module ");
    text(line);
    text(": ");
    number((u32)(end - start));
    put(' ');
    for (; start != end && *start != '\n'; ++start)
        put(*start);
    put('\n');
}

static void piece(u64 base, u64 size, u32 type) {
    text("memory ");
    number(base);
    put(' ');
    number(size);
    put(' ');
    number(type);
    put('\n');
}

#ifdef PVH
// struct hvm_start_info
static const char* tell(u32 magic, const u32* info) {
    (void)magic;
    text(info[0] == 0x336ec578 ? "PVH\n" : "an unknown protocol\n");
    const u32 modules = info[3], *module_list = (const u32*)info[4];
    const u32 pieces = info[12], *map = (const u32*)info[10];
    for (u32 i = 0; i < pieces; ++i)
        piece(map[6 * i] | (u64)map[6 * i + 1] << 32, map[6 * i + 2] | (u64)map[6 * i + 3] << 32, map[6 * i + 4]);
    for (u32 i = 0; i < modules; ++i) {
        const u32* m = module_list + 8 * i;
        module((const char*)m[0], (const char*)m[0] + m[2], m[4] ? (const char*)m[4] : "");
    }
    return (const char*)info[6];
}
#else
// The Multiboot information structure.
static const char* tell(u32 magic, const u32* info) {
    text(magic == 0x2badb002 ? "Multiboot\n" : "an unknown protocol\n");
    if (info[0] & 1 << 6)
        for (const u8 *at = (const u8*)info[12], *end = at + info[11]; at < end; at += *(const u32*)at + 4) {
            const u32* entry = (const u32*)at;
            piece(entry[1] | (u64)entry[2] << 32, entry[3] | (u64)entry[4] << 32, entry[5]);
        }
    for (u32 i = 0; i < info[5]; ++i) {
        const u32* m = (const u32*)info[6] + 4 * i;
        module((const char*)m[0], (const char*)m[1], (const char*)m[2]);
    }
    return info[0] & 4 ? (const char*)info[4] : "";
}
#endif

static void verdict(void) { __asm__ volatile("outl %0, %1" : : "a"(21), "d"((u16)0xf4)); }

static void power_off(void) { __asm__ volatile("outw %0, %1" : : "a"((u16)(1 << 13 | 7 << 10)), "d"((u16)0x604)); }

static void reset(void) { out8(0xcf9, 6); }

static void keyboard_reset(void) { out8(0x64, 0xfe); }

static void triple_fault(void) {
    static const struct __attribute__((packed)) {
        u16 limit;
        u32 base;
    } nothing = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(nothing));
}

static void halt(void) { __asm__ volatile("cli; hlt"); }

static void loop(void) {
    for (;;)
        __asm__ volatile("");
}

static void chatter(void) {
    for (;;)
        put('x');
}

static const struct {
    const char* word;
    void (*end)(void);
} endings[] = {
    {"verdict", verdict},
    {"power-off", power_off},
    {"reset", reset},
    {"keyboard-reset", keyboard_reset},
    {"triple-fault", triple_fault},
    {"halt", halt},
    {"loop", loop},
    {"chatter", chatter},
};

void start_c(u32 magic, const u32* info) {
    const char* line = tell(magic, info);
    text("command line: ");
    text(line);
    put('\n');
    // The longest word counts: "keyboard-reset" also ends in "reset".
    for (int i = sizeof endings / sizeof *endings - 1; i >= 0; --i)
        if (ends_with(line, endings[i].word))
            endings[i].end();
    text("no ending that is known\n");
}
