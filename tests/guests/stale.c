// SPDX-License-Identifier: Apache-2.0
// A 32-bit guest with paging that moves a page and then uses it: with a "!" on its command line it leaves INVLPG out.
// Ends with status 1 when it read the page's new contents, with 3 when it read the old ones.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

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

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u32 before[1024] __attribute__((aligned(4096)));
static u32 after[1024] __attribute__((aligned(4096)));

static volatile u32* const window = (volatile u32*)0x800000;

static void move_page(u32 to) { *(volatile u32*)&table[0] = to | 3; }

static int contains(const char* text, char c) {
    for (; *text; ++text)
        if (*text == c)
            return 1;
    return 0;
}

void start_c(const u32* info) {
    // The command line begins with the name of this file, which has none.
    const int forget = (info[0] & 4) && contains((const char*)info[4], '!');
    before[0] = 0;
    after[0] = 1;
    directory[0] = 0x83; // 4 MiB at their own address
    directory[2] = (u32)table | 3;
    table[0] = (u32)before | 3;
    __asm__ volatile("movl %%cr4, %%eax; orl $0x10, %%eax; movl %%eax, %%cr4\n\t"
                     "movl %0, %%cr3\n\t"
                     "movl %%cr0, %%eax; orl $0x80000000, %%eax; movl %%eax, %%cr0"
                     :
                     : "r"(directory)
                     : "eax", "memory");
    u32 value = *window;
    move_page((u32)after);
    if (!forget)
        __asm__ volatile("invlpg (%0)" : : "r"(window) : "memory");
    value = *window;
    __asm__ volatile("outl %0, %1" : : "a"(value ? 0 : 1), "d"((u16)0xf4));
    for (;;)
        __asm__ volatile("hlt");
}
