// SPDX-License-Identifier: Apache-2.0
// A guest for unit tests, as a Multiboot image of one page: it keeps everything busy whose state a snapshot must hold. Paging, the
// PIT, the RTC, the HPET through the I/O APIC, the local APIC's timer, the UART in both directions, x87, SSE, RDRAND, HLT, PAUSE,
// REP and further processors. What it does depends on every interrupt and every byte of input. A received 'q' ends it through
// port F4h.

    .set load, 0x100000
    .set stack, 0x110000
    .set idt, 0x111000
    .set page_directory, 0x112000
    .set results, 0x113000
    .set field, 0x200000    // 4 MiB that are written all over
    .set apic, 0xfee00000
    .set hpet, 0xfed00000
    .set io_apic, 0xfec00000

#define AT(label) (load + label - clockwork_begin)

    .section .rodata
    .globl clockwork_begin, clockwork_end
    .balign 16
clockwork_begin:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long load, load, AT(clockwork_end), load + 0x1000, AT(start)

    .code32
start:
    cli
    movl $stack, %esp
    lgdt AT(gdtr)
    ljmp $8, $AT(flat)
flat:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss

    // Every vector has the same handler.
    movl $idt, %edi
    movl $256, %ecx
    movl $AT(handler), %eax
1:  movw %ax, (%edi)
    movw $8, 2(%edi)
    movw $0x8e00, 4(%edi)
    movl %eax, %edx
    shrl $16, %edx
    movw %dx, 6(%edi)
    addl $8, %edi
    loop 1b
    lidt AT(idtr)

    // 4 MiB pages, all identical, so that devices are where they are.
    movl $page_directory, %edi
    movl $0x83, %eax
    movl $1024, %ecx
2:  stosl
    addl $0x400000, %eax
    loop 2b
    movl $page_directory, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x610, %eax        // PSE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl %cr0, %eax
    andl $~0x60000004, %eax // caches on, no emulation of the FPU
    orl $0x80010022, %eax   // PG, WP, NE, MP
    movl %eax, %cr0
    fninit

#define OUT(port, value) movw $port, %dx; movb $value, %al; outb %al, %dx
    // The 8259s: the PIT, the first UART and the RTC.
    OUT(0x20, 0x11); OUT(0xa0, 0x11); OUT(0x21, 0x20); OUT(0xa1, 0x28); OUT(0x21, 4); OUT(0xa1, 2); OUT(0x21, 1); OUT(0xa1, 1)
    OUT(0x21, 0xea); OUT(0xa1, 0xfe)
    OUT(0x43, 0x34); OUT(0x40, 119); OUT(0x40, 0)
    OUT(0x70, 0x0b); OUT(0x71, 0x42)
    OUT(0x3f9, 1); OUT(0x3fa, 1); OUT(0x3fc, 0x0b)

    // The local APIC: on, the 8259s through LINT0, a periodic timer. The HPET, periodic, through pin 20.
    movl $0x1ff, apic + 0xf0
    movl $0x700, apic + 0x350
    movl $0xb, apic + 0x3e0
    movl $0x20040, apic + 0x320
    movl $33333, apic + 0x380
    movl $0x39, io_apic
    movl $0, io_apic + 0x10
    movl $0x38, io_apic
    movl $0x41, io_apic + 0x10
    movl $0x4c + (20 << 9), hpet + 0x100
    movl $1431, hpet + 0x108
    movl $1, hpet + 0x10

    // Others, if there are any, start at 8000h.
    movl $AT(others), %esi
    movl $0x8000, %edi
    movl $(others_end - others), %ecx
    rep movsb
    movl $0xc4500, apic + 0x300
    movl $0xc4608, apic + 0x300

    xorl %ebx, %ebx
    sti
work:
    imull $1664525, %ebx
    addl $1013904223, %ebx
    movl %ebx, %eax
    shrl $8, %eax
    andl $0x3ffffc, %eax
    addl %ebx, field(%eax)
    movl results, %ecx
    addl %ecx, results + 4
    fildl results
    fsqrt
    faddl results + 8
    fstpl results + 8
    cvtsi2sdl %ebx, %xmm0
    addsd results + 16, %xmm0
    movsd %xmm0, results + 16
    rdrand %eax
    xorl %eax, results + 24
    incl results + 28
    testb $0x3f, results + 28
    jnz work
    movl $field, %edi
    movl $200, %ecx
    rep stosl
    pause
    invlpg field
    int $0x50
    testb $0xff, results + 28
    jnz work
    movl $page_directory, %eax
    movl %eax, %cr3
    hlt
    jmp work

handler:
    pushal
    incl results
    OUT(0x70, 0x0c)
    movw $0x71, %dx
    inb %dx, %al
    addb %al, results + 32
    movw $0x3fd, %dx
    inb %dx, %al
    testb $1, %al
    jz 1f
    movw $0x3f8, %dx
    inb %dx, %al
    outb %al, %dx
    movzbl %al, %ecx
    addl %ecx, results
    cmpb $'q', %al
    jne 1f
    movw $0xf4, %dx
    xorl %eax, %eax
    outl %eax, %dx
1:  OUT(0xa0, 0x20); OUT(0x20, 0x20)
    movl $0, apic + 0xb0
    popal
    iretl

    .code16
others:
    xorw %ax, %ax
    movw %ax, %ds
1:  lock incl 0x9000
    rdtsc
    lock xaddl %eax, 0x9004
    testb $15, 0x9000
    jnz 1b
    pause
    jmp 1b
others_end:

    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word 23
    .long AT(gdt)
idtr:
    .word 256 * 8 - 1
    .long idt
clockwork_end:
    .byte 0

    .section .note.GNU-stack, "", @progbits
