// SPDX-License-Identifier: Apache-2.0
// The VMX instructions; VMREAD and VMWRITE take fields of the shared table, by name.
#pragma once

#include "pane/kernel/panic.h"

#include "vtx/spec/errors.h"
#include "vtx/spec/fields.h"

namespace vitrine::pane {

using vtx::F;

inline u64 vmread(F f) {
    u64 value;
    asm volatile("vmread %1, %0" : "=r"(value) : "r"(u64{vtx::row(f).encoding.value}) : "cc");
    return value;
}

inline void vmwrite(F f, u64 value) {
    bool failed;
    asm volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"(u64{vtx::row(f).encoding.value}));
    if (failed)
        panic("VMWRITE of {x} to {} fails", value, vtx::row(f).name);
}

inline bool vmxon(u64 region) {
    bool failed;
    asm volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    return !failed;
}

inline void vmclear(u64 region) {
    bool failed;
    asm volatile("vmclear %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    if (failed)
        panic("VMCLEAR of {x} fails", region);
}

inline void vmptrld(u64 region) {
    bool failed;
    asm volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    if (failed)
        panic("VMPTRLD of {x} fails", region);
}

struct InvalidationDescriptor {
    u64 low, high;
};

inline void invept(u64 type, u64 eptp) {
    const InvalidationDescriptor d{eptp, 0};
    bool failed;
    asm volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
    if (failed)
        panic("INVEPT type {} fails", type);
}

inline void invvpid(u64 type, u16 vpid) {
    const InvalidationDescriptor d{vpid, 0};
    bool failed;
    asm volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(d), "r"(type) : "memory");
    if (failed)
        panic("INVVPID type {} fails", type);
}

/// The guest's registers that no VMCS field holds, in the order that enter.S knows.
struct Registers {
    u64 rax, rcx, rdx, rbx, rsp_unused, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

/// VMLAUNCH or VMRESUME; comes back at the next VM exit, or with false when the instruction itself failed.
extern "C" bool vmx_enter(Registers* registers, bool resume, u64 host_rsp_encoding);

} // namespace vitrine::pane
