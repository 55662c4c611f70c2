// SPDX-License-Identifier: Apache-2.0
// The instructions that C++ has no word for: ports, MSRs, control registers, CPUID, the time-stamp counter.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

inline u8 in8(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline u16 in16(u16 port) {
    u16 value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline u32 in32(u16 port) {
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }

inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" ::"a"(value), "Nd"(port)); }

inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }

inline u64 rdmsr(u32 msr) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | u64{high} << 32;
}

inline void wrmsr(u32 msr, u64 value) {
    asm volatile("wrmsr" ::"c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)) : "memory");
}

inline u64 rdtsc() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | u64{high} << 32;
}

struct CpuidResult {
    u32 eax, ebx, ecx, edx;
};

inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
    CpuidResult r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

inline u64 read_cr0() {
    u64 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

inline void write_cr0(u64 value) { asm volatile("mov %0, %%cr0" ::"r"(value) : "memory"); }

inline u64 read_cr2() {
    u64 value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

inline void write_cr2(u64 value) { asm volatile("mov %0, %%cr2" ::"r"(value) : "memory"); }

inline u64 read_cr3() {
    u64 value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

inline u64 read_cr4() {
    u64 value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

inline void write_cr4(u64 value) { asm volatile("mov %0, %%cr4" ::"r"(value) : "memory"); }

inline void xsetbv(u64 value) {
    asm volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}

/// Interrupts are closed everywhere in Pane but here: what is pending is taken now.
inline void take_pending_interrupts() { asm volatile("sti; nop; cli" ::: "memory"); }

inline void wait_for_interrupt() { asm volatile("sti; hlt; cli" ::: "memory"); }

inline void relax() { asm volatile("pause" ::: "memory"); }

/// The MSRs that Pane itself uses, with the manual's names.
namespace msr {
inline constexpr u32 apic_base = 0x1b, feature_control = 0x3a, tsc = 0x10, sysenter_cs = 0x174, sysenter_esp = 0x175,
                     sysenter_eip = 0x176, pat = 0x277, tsc_deadline = 0x6e0, xss = 0xda0, efer = 0xc000'0080, star = 0xc000'0081,
                     lstar = 0xc000'0082, cstar = 0xc000'0083, fmask = 0xc000'0084, fs_base = 0xc000'0100,
                     gs_base = 0xc000'0101, kernel_gs_base = 0xc000'0102, tsc_aux = 0xc000'0103, spec_ctrl = 0x48;
} // namespace msr

/// Bits of control registers and EFER.
namespace control {
inline constexpr u64 cr0_pe = 1, cr0_ne = 1 << 5, cr0_wp = 1 << 16, cr0_nw = 1 << 29, cr0_cd = 1 << 30, cr0_pg = 1ull << 31;
inline constexpr u64 cr4_pse = 1 << 4, cr4_pae = 1 << 5, cr4_osfxsr = 1 << 9, cr4_la57 = 1 << 12, cr4_vmxe = 1 << 13,
                     cr4_pcide = 1 << 17, cr4_osxsave = 1 << 18;
inline constexpr u64 efer_sce = 1, efer_lme = 1 << 8, efer_lma = 1 << 10, efer_nxe = 1 << 11;
} // namespace control

} // namespace vitrine::pane
