/* SPDX-License-Identifier: Apache-2.0 */
/* bool vmx_enter(Registers*, bool resume, u64 host_rsp_encoding): into the guest, and back at the VM exit. */
.text
.globl vmx_enter, vmx_exit
vmx_enter:
    .irp r, rbx, rbp, r12, r13, r14, r15
    pushq %\r
    .endr
    pushq %rdi
    vmwrite %rsp, %rdx
    testb %sil, %sil
    movq 0x00(%rdi), %rax
    movq 0x08(%rdi), %rcx
    movq 0x10(%rdi), %rdx
    movq 0x18(%rdi), %rbx
    movq 0x28(%rdi), %rbp
    movq 0x30(%rdi), %rsi
    movq 0x40(%rdi), %r8
    movq 0x48(%rdi), %r9
    movq 0x50(%rdi), %r10
    movq 0x58(%rdi), %r11
    movq 0x60(%rdi), %r12
    movq 0x68(%rdi), %r13
    movq 0x70(%rdi), %r14
    movq 0x78(%rdi), %r15
    movq 0x38(%rdi), %rdi
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  popq %rdi /* not entered */
    xorl %eax, %eax
    jmp 3f

vmx_exit:
    pushq %rdi
    movq 8(%rsp), %rdi
    movq %rax, 0x00(%rdi)
    movq %rcx, 0x08(%rdi)
    movq %rdx, 0x10(%rdi)
    movq %rbx, 0x18(%rdi)
    movq %rbp, 0x28(%rdi)
    movq %rsi, 0x30(%rdi)
    movq %r8, 0x40(%rdi)
    movq %r9, 0x48(%rdi)
    movq %r10, 0x50(%rdi)
    movq %r11, 0x58(%rdi)
    movq %r12, 0x60(%rdi)
    movq %r13, 0x68(%rdi)
    movq %r14, 0x70(%rdi)
    movq %r15, 0x78(%rdi)
    popq %rax
    movq %rax, 0x38(%rdi)
    addq $8, %rsp
    movl $1, %eax
3:  .irp r, r15, r14, r13, r12, rbp, rbx
    popq %\r
    .endr
    ret
.section .note.GNU-stack, "", @progbits
