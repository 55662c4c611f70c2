// SPDX-License-Identifier: Apache-2.0
// A VM entry by a host that is not in IA-32e mode: u32 enter_narrow(u64 vmxon_region, u64 vmcs), called in VMX operation with a clear VMCS.
// The program leaves VMX operation and IA-32e mode, tries VMLAUNCH in 32-bit protected mode with 32-bit paging, and comes back.
// 1: VMfailInvalid; 2: VMfailValid, with the error in bits 15:8. A guest that is entered does not come back.
#define PG 0x80000000
#define PAE 0x20
#define PSE_AND_VMXE 0x2010

        .section .text
        .globl enter_narrow
        .code64
enter_narrow:
        pushq %rbx
        pushq %rbp
        movq %rsp, saved_stack
        movq %rdi, vmxon_pointer
        movq %rsi, vmcs_pointer
        movq %cr4, %rax
        movl %eax, wide_cr4
        vmxoff
        lgdt narrow_gdt_pointer
        // 1024 pages of 4 MiB, where they are.
        movl $directory, %edi
        movl $0x83, %eax
        movl $1024, %ecx
1:      movl %eax, (%rdi)
        addl $4, %edi
        addl $0x400000, %eax
        loop 1b
        ljmpl *to_32

        .code32
in_32:  movl $0x10, %eax
        movl %eax, %ss
        movl $narrow_stack, %esp
        movl %cr0, %eax
        andl $~PG, %eax
        movl %eax, %cr0
        movl $0xc0000080, %ecx
        rdmsr
        andl $~0x100, %eax
        wrmsr
        movl wide_cr4, %eax
        andl $~PAE, %eax
        orl $PSE_AND_VMXE, %eax
        movl %eax, %cr4
        movl $directory, %eax
        movl %eax, %cr3
        movl %cr0, %eax
        orl $PG, %eax
        movl %eax, %cr0
        jmp 2f
2:      movl $1, result
        vmxon vmxon_pointer
        jbe 5f
        vmptrld vmcs_pointer
        jbe back
        vmlaunch
        movl $1, %eax // the entry failed: CF or ZF says how
        jc 3f
        movl $0x4400, %ecx // the VM-instruction error
        vmread %ecx, %eax
        shll $8, %eax
        orl $2, %eax
3:      movl %eax, result
back:   vmxoff
5:      movl %cr0, %eax
        andl $~PG, %eax
        movl %eax, %cr0
        movl wide_cr4, %eax
        movl %eax, %cr4
        movl $pml4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl $PG, %eax
        movl %eax, %cr0
        ljmp $0x8, $4f
        .code64
4:      movl $0x10, %eax
        movl %eax, %ss
        movq saved_stack, %rsp
        vmxon vmxon_pointer
        popq %rbp
        popq %rbx
        movl result, %eax
        ret

        .section .data
        .align 16
narrow_gdt: // the program's own, and a 32-bit code segment
        .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x0000890000000067, 0, 0x00cf9b000000ffff
narrow_gdt_pointer:
        .word narrow_gdt_pointer - narrow_gdt - 1
        .quad narrow_gdt
to_32:  .long in_32
        .word 0x28

        .section .bss
        .align 4096
directory:
        .skip 4096
saved_stack:
        .skip 8
vmxon_pointer:
        .skip 8
vmcs_pointer:
        .skip 8
wide_cr4:
        .skip 4
result: .skip 4
        .skip 1024
narrow_stack:

        .section .note.GNU-stack, "", @progbits
