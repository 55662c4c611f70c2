/* SPDX-License-Identifier: Apache-2.0 */
/* The first instructions: Multiboot's 32-bit mode to 64-bit mode for the first processor, real mode to 64-bit mode for the others. */

#define PRESENT_WRITE 3
#define LARGE 0x80
#define CR0_ON 0x80010021 /* PG, WP, NE, PE: what VMX operation wants too */
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LME_NXE 0x900
#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18

.section .head, "ax"
.align 4
multiboot_header:
    .long 0x1badb002
    .long 3 /* modules on page boundaries, a memory map */
    .long -(0x1badb002 + 3)

.code32
.globl _start
_start:
    cli
    cld
    movl $boot_stack_end, %esp
    movl %eax, %ebp /* kept through all of this: the loader's magic and its information */
    movl %ebx, %esi

    /* The first 4 GiB, address for address, in pages of 2 MiB: all that Pane ever maps. */
    movl $boot_pdpt + PRESENT_WRITE, boot_pml4
    movl $boot_directories + PRESENT_WRITE, %eax
    movl $boot_pdpt, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 1b
    movl $PRESENT_WRITE + LARGE, %eax
    movl $boot_directories, %edi
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b

    call long_mode
    ljmp $CODE64, $first_64

/* Turns paging on; the caller then jumps to 64-bit code. */
long_mode:
    lgdt boot_gdt_pointer
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_ON, %eax
    movl %eax, %cr0
    ret

.globl processor_start_32
processor_start_32:
    movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl processor_stack, %esp
    call long_mode
    ljmp $CODE64, $other_64

.code64
first_64:
    call flat_segments
    movl %ebp, %edi
    movl %esi, %esi
    call pane_main
    ud2

other_64:
    call flat_segments
    movq processor_stack, %rsp
    movq processor_argument, %rdi
    call processor_main
    ud2

flat_segments:
    movw $DATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    ret

/* Copied to a page below 1 MiB, where a start-up IPI makes a processor begin. CS is that page. */
.section .rodata
.code16
.globl trampoline, trampoline_end
.align 16
trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline
    movl $0x11, %eax
    movl %eax, %cr0
    ljmpl $CODE32, $processor_start_32
.align 4
trampoline_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
trampoline_end:

.align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* 64-bit code */
    .quad 0x00cf93000000ffff /* data */
    .quad 0x00cf9b000000ffff /* 32-bit code */
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt

.section .bss
.align 4096
.globl boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_directories: .skip 4 * 4096
boot_stack: .skip 32768
boot_stack_end:
.align 8
.globl processor_stack, processor_argument
processor_stack: .skip 8
processor_argument: .skip 8
.section .note.GNU-stack, "", @progbits
