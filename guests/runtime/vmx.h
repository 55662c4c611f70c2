// SPDX-License-Identifier: Apache-2.0
// VMX instructions and the capability MSRs for guests that are small hypervisors; the fields come from the shared table.
#pragma once

#include "runtime/console.h"
#include "vtx/spec/capabilities.h"

namespace guest {

using vtx::F;

inline u64 rdmsr(u32 msr) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | u64{high} << 32;
}

inline void wrmsr(u32 msr, u64 value) {
    asm volatile("wrmsr" : : "c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

template <unsigned n> u64 control_register() {
    u64 value;
    if constexpr (n == 0)
        asm volatile("mov %%cr0, %0" : "=r"(value));
    else if constexpr (n == 3)
        asm volatile("mov %%cr3, %0" : "=r"(value));
    else
        asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

/// How a VMX instruction ended.
enum class Vm : u8 { succeed, fail_invalid, fail_valid };

inline Vm outcome(bool carry, bool zero) { return carry ? Vm::fail_invalid : zero ? Vm::fail_valid : Vm::succeed; }

inline Vm vmwrite(F f, u64 value) {
    bool carry, zero;
    asm volatile("vmwrite %2, %3" : "=@ccc"(carry), "=@ccz"(zero) : "r"(value), "r"(u64{vtx::row(f).encoding.value}) : "memory");
    return outcome(carry, zero);
}

inline u64 vmread(F f) {
    u64 value = 0;
    asm volatile("vmread %1, %0" : "=r"(value) : "r"(u64{vtx::row(f).encoding.value}) : "cc");
    return value;
}

#define GUEST_VMX_POINTER(name)                                                                                                     \
    inline Vm name(u64 pointer) {                                                                                                   \
        bool carry, zero;                                                                                                           \
        asm volatile(#name " %2" : "=@ccc"(carry), "=@ccz"(zero) : "m"(pointer) : "memory");                                        \
        return outcome(carry, zero);                                                                                                \
    }
GUEST_VMX_POINTER(vmxon)
GUEST_VMX_POINTER(vmclear)
GUEST_VMX_POINTER(vmptrld)
#undef GUEST_VMX_POINTER

/// VMLAUNCH or VMRESUME. 0 after the next VM exit; 1 after VMfailInvalid, 2 after VMfailValid. The guest's general registers (by their
/// number; RSP is the VMCS's) are loaded from there and stored back.
extern "C" u64 vm_enter(u64 launch, u64* registers);

/// Where VM exits arrive, and the stack that they use.
extern "C" u8 vm_exit_entry[], vm_exit_stack[];

/// VMXON on this processor; false, with the reason told, when it cannot be.
bool enter_vmx_operation();

/// The region that VMXON was given.
u64 vmxon_region();

/// What this processor's capability MSRs allow.
vtx::Capabilities capabilities();

/// A page that nothing else uses, filled with zeros.
u8* new_page();

/// Makes an empty VMCS current and returns its address.
u64 new_vmcs();

/// This program as host, and a 64-bit guest at `rip` in the same address space; HLT exits.
void plain_fields(const vtx::Capabilities& c, u64* fields, u64 rip);

/// VMWRITE of every field that the processor has and lets be written.
void load_fields(const u64* fields);

} // namespace guest
