// SPDX-License-Identifier: Apache-2.0
// From the Multiboot entry to 64-bit code: the first 4 GiB are mapped where they are; then main64(magic, information).
#define WRITABLE_2M 0x83

        .section .head, "a"
        .align 4
        .long 0x1badb002, 3, -(0x1badb002 + 3)

        .section .text
        .code32
        .globl _start
_start: cli
        cld
        movl $stack_top, %esp
        movl %eax, %esi // magic
        movl %ebx, %edi // information

        // Four page directories of 2-MByte pages.
        movl $directories, %ebx
        movl $WRITABLE_2M, %eax
        movl $2048, %ecx
1:      movl %eax, (%ebx)
        movl $0, 4(%ebx)
        addl $0x200000, %eax
        addl $8, %ebx
        loop 1b
        movl $directories + 3, %eax
        movl $pdpt, %ebx
        movl $4, %ecx
2:      movl %eax, (%ebx)
        addl $0x1000, %eax
        addl $8, %ebx
        loop 2b
        movl $pdpt + 3, pml4

        movl $0x620, %eax // PAE, OSFXSR, OSXMMEXCPT
        movl %eax, %cr4
        movl $pml4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx // EFER
        rdmsr
        orl $0x100, %eax // LME
        wrmsr
        movl %cr0, %eax
        andl $0x9fffffff, %eax // caches on
        orl $0x80000021, %eax  // PG, NE, PE
        movl %eax, %cr0
        lgdt gdt_pointer
        ljmp $0x8, $3f
        .code64
3:      movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl $0x18, %eax
        ltr %ax
        lidt idt_pointer
        movl %esi, %eax
        movl %edi, %esi
        movl %eax, %edi
        call main64
4:      cli
        hlt
        jmp 4b

// Exceptions and interrupts: each vector's entry pushes its number; what has no error code gets one.
        .globl entries
        .align 16
entries:
vector = 0
        .rept 256
        .align 16
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
        pushq $0
        .endif
        pushq $vector
        jmp common
        vector = vector + 1
        .endr
common: pushq %rax
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        movq %rsp, %rdi
        cld
        call trapped
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rax
        addq $16, %rsp
        iretq

        .section .data
        .globl gdt
        .align 16
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
        .quad 0x0000890000000067, 0 // a TSS at 0, which nothing uses
gdt_pointer:
        .word gdt_pointer - gdt - 1
        .quad gdt
        .globl idt_pointer
idt_pointer:
        .word 4095
        .quad idt

        .section .bss
        .globl idt, pml4
        .align 4096
pml4:   .skip 4096
pdpt:   .skip 4096
directories:
        .skip 4 * 4096
idt:    .skip 4096
        .skip 65536
stack_top:

        .section .note.GNU-stack, "", @progbits
