// SPDX-License-Identifier: Apache-2.0
// VM entry and exit: u64 vm_enter(u64 launch, u64* registers), see vmx.h.
        .section .text
        .globl vm_enter, vm_exit_entry
vm_enter:
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, saved_rsp
        movq %rsi, saved_registers
        testq %rdi, %rdi
        movq 0x00(%rsi), %rax
        movq 0x08(%rsi), %rcx
        movq 0x10(%rsi), %rdx
        movq 0x18(%rsi), %rbx
        movq 0x28(%rsi), %rbp
        movq 0x38(%rsi), %rdi
        movq 0x40(%rsi), %r8
        movq 0x48(%rsi), %r9
        movq 0x50(%rsi), %r10
        movq 0x58(%rsi), %r11
        movq 0x60(%rsi), %r12
        movq 0x68(%rsi), %r13
        movq 0x70(%rsi), %r14
        movq 0x78(%rsi), %r15
        movq 0x30(%rsi), %rsi
        jnz 1f
        vmresume
        jmp 2f
1:      vmlaunch
2:      movl $0, %eax // the entry failed: CF or ZF says how
        setc %al
        movl $0, %ecx
        setz %cl
        leaq (%rax, %rcx, 2), %rax
        movq saved_rsp, %rsp
        jmp leave

vm_exit_entry:
        pushq %rax
        movq saved_registers, %rax
        movq %rcx, 0x08(%rax)
        movq %rdx, 0x10(%rax)
        movq %rbx, 0x18(%rax)
        movq %rbp, 0x28(%rax)
        movq %rsi, 0x30(%rax)
        movq %rdi, 0x38(%rax)
        movq %r8, 0x40(%rax)
        movq %r9, 0x48(%rax)
        movq %r10, 0x50(%rax)
        movq %r11, 0x58(%rax)
        movq %r12, 0x60(%rax)
        movq %r13, 0x68(%rax)
        movq %r14, 0x70(%rax)
        movq %r15, 0x78(%rax)
        popq %rcx
        movq %rcx, 0x00(%rax)
        movq saved_rsp, %rsp
        xorl %eax, %eax
leave:  popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        ret

        .section .bss
        .globl vm_exit_stack
        .align 16
saved_rsp:
        .skip 8
saved_registers:
        .skip 8
        .skip 4096
vm_exit_stack:

        .section .note.GNU-stack, "", @progbits
