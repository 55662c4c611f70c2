# SPDX-License-Identifier: Apache-2.0
# A guest for debuggers: enters by PVH, switches to 64-bit mode with SSE and AVX on, calls guest_main, and reports its value as verdict.

        .section .note.pvh, "a", @note
        .long 4, 8, 18                  # "Xen", PHYS32_ENTRY
        .asciz "Xen"
        .quad start32

        .set PRESENT_WRITABLE, 3
        .set LARGE, 0x80

        .text
        .code32
        .global start32
start32:
        mov $stack_top, %esp
        movl $pdpt + PRESENT_WRITABLE, pml4
        movl $pd + PRESENT_WRITABLE, pdpt
        mov $pd, %edi
        mov $LARGE | PRESENT_WRITABLE, %eax
        mov $16, %ecx                   # 32 MiB
1:      mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 1b
        mov $0x406a0, %eax              # PAE, PGE, OSFXSR, OSXMMEXCPT, OSXSAVE and DE's neighbour left alone
        and $~0x80, %eax
        mov %eax, %cr4
        mov $pml4, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx           # EFER.LME
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000003, %eax            # PG, MP, PE
        and $~4, %eax                   # not EM
        mov %eax, %cr0
        lgdt gdt_pointer
        ljmp $8, $start64

        .code64
        .global start64
start64:
        mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %ecx, %ecx
        mov $7, %eax                    # x87, SSE, AVX
        xor %edx, %edx
        xsetbv
        vmovdqu vector, %ymm3
        call guest_main
        out %eax, $0xf4                 # the verdict
        .global after_verdict
after_verdict:
        hlt
        jmp after_verdict

# An IDT that is too short for anything, and an undefined opcode: the third fault is not far.
        .global crash
crash:
        lidt no_idt
        .global the_end
the_end:
        ud2

        .data
        .balign 8
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        .word . - gdt - 1
        .long gdt
no_idt: .word 0
        .quad 0
        .balign 32
vector: .quad 0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444

        .bss
        .balign 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 4096
        .skip 16384
stack_top:

        .section .note.GNU-stack, "", @progbits
