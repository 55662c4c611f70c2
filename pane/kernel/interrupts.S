/* SPDX-License-Identifier: Apache-2.0 */
/* Entry code of the 256 vectors: an error code where the processor gives none, all registers, one call. */
.text
.altmacro
.macro stub vector
stub_\vector:
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21
    .else
    pushq $0
    .endif
    pushq $\vector
    jmp interrupt_common
.endm
.set n, 0
.rept 256
    stub %n
    .set n, n + 1
.endr

interrupt_common:
    .irp r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\r
    .endr
    movq %rsp, %rdi
    movq %rsp, %rbp
    andq $-16, %rsp
    cld
    call interrupt_arrived
    movq %rbp, %rsp
    .irp r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\r
    .endr
    addq $16, %rsp
    iretq

.section .rodata
.align 8
.globl interrupt_stubs
interrupt_stubs:
.macro stub_address vector
    .quad stub_\vector
.endm
.set n, 0
.rept 256
    stub_address %n
    .set n, n + 1
.endr
.section .note.GNU-stack, "", @progbits
