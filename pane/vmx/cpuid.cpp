// SPDX-License-Identifier: Apache-2.0
// The table of what is kept of each feature word. A bit that is not named here is 0 for guests, so new features stay hidden.
#include "pane/vmx/cpuid.h"

#include "pane/guest/guest.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/msrs.h"

namespace vitrine::pane {

namespace {

/// Bits of a word, written as their numbers.
template <class... N> constexpr u32 only(N... n) { return ((1u << n) | ... | 0u); }

template <class... N> constexpr u32 all_but(N... n) { return ~only(n...); }

struct Kept {
    u32 leaf, subleaf;
    u32 eax, ebx, ecx, edx;
};

constexpr u32 any_subleaf = ~0u;

// clang-format off
constexpr Kept kept[] = {
    {0x0, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    // not: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, SDBG, PDCM, DCA
    {0x1, any_subleaf, ~0u, 0x0000'ff00, all_but(2, 3, 4, 5, 6, 7, 8, 11, 15, 18, 27),
                                         all_but(7, 14, 18, 21, 22, 28, 29, 31)}, // not: MCE, MCA, PSN, DS, ACPI, HTT, TM, PBE
    {0x2, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    {0x4, any_subleaf, 0x0000'3fff, ~0u, ~0u, ~0u}, // caches, each one's own
    {0x6, any_subleaf, only(2), 0, 0, 0}, // ARAT: the timer does not stop in deep sleep
    {0x7, 0, 0, all_but(1, 2, 4, 6, 11, 12, 13, 14, 15, 25), // not: TSC_ADJUST, SGX, HLE, FDP, RTM, PQM, PQE, MPX, PT
                only(1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 14, 22), // AVX512_VBMI, UMIP, PKU, OSPKE, VBMI2, GFNI ... RDPID
                only(2, 3, 4, 8, 10, 14, 26, 27, 28, 29, 31)}, // FSRM, MD_CLEAR, SERIALIZE, SPEC_CTRL, STIBP, L1D_FLUSH, ARCH_CAPABILITIES, SSBD
    {0xd, 0, ~0u, ~0u, ~0u, 0},
    {0xd, 1, only(0, 1, 2), ~0u, 0, 0}, // XSAVEOPT, XSAVEC, XGETBV with 1
    {0xd, any_subleaf, ~0u, ~0u, ~0u, 0},
    {0x15, any_subleaf, ~0u, ~0u, ~0u, 0},
    {0x16, any_subleaf, ~0u, ~0u, ~0u, 0},
    {0x8000'0000, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    {0x8000'0001, any_subleaf, ~0u, 0, only(0, 5, 8), only(11, 20, 26, 27, 29)}, // LAHF, LZCNT, PREFETCHW; SYSCALL, NX, 1G, RDTSCP, LM
    {0x8000'0002, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    {0x8000'0003, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    {0x8000'0004, any_subleaf, ~0u, ~0u, ~0u, ~0u},
    {0x8000'0006, any_subleaf, 0, 0, ~0u, 0},
    {0x8000'0007, any_subleaf, 0, 0, 0, only(8)}, // invariant TSC
    {0x8000'0008, any_subleaf, 0xffff, 0, 0, 0},
};
// clang-format on

const Kept* find(u32 leaf, u32 subleaf) {
    for (const Kept& k : kept)
        if (k.leaf == leaf && (k.subleaf == any_subleaf || k.subleaf == subleaf))
            return &k;
    return nullptr;
}

constexpr u32 hypervisor_leaf = 0x4000'0000;

CpuidResult topology(const Vcpu& v, u32 level) {
    const u32 count = v.guest->vcpu_count;
    if (level == 0)
        return {0, 1, 1 << 8, v.number}; // threads: one a core
    if (level == 1)
        return {3, count, 2 << 8 | 1, v.number}; // cores: identifications of 3 bits
    return {0, 0, level, v.number};
}

CpuidResult answer(const Vcpu& v, u32 leaf, u32 subleaf) {
    if (leaf == hypervisor_leaf)
        return {hypervisor_leaf, 0x7274'6956, 0x20656e69, 0x656e'6150}; // "Vitrine Pane"
    if (leaf == 0xb && cpuid(0).eax >= 0xb)
        return topology(v, subleaf);
    const Kept* k = find(leaf, subleaf);
    if (!k || leaf > cpuid(leaf & 0x8000'0000).eax)
        return {0, 0, 0, 0};
    CpuidResult r = cpuid(leaf, subleaf);
    r = {r.eax & k->eax, r.ebx & k->ebx, r.ecx & k->ecx, r.edx & k->edx};
    switch (leaf) {
    case 0x0:
        r.eax = r.eax > 0x16 ? 0x16 : r.eax;
        break;
    case 0x1: {
        constexpr u32 x2apic = 1u << 21, deadline = 1u << 24, osxsave = 1u << 27, hypervisor = 1u << 31, htt = 1u << 28;
        r.ebx |= v.number << 24 | v.guest->vcpu_count << 16;
        r.ecx |= x2apic | deadline | hypervisor | (vmread(F::guest_cr4) & control::cr4_osxsave ? osxsave : 0);
        r.edx |= v.guest->vcpu_count > 1 ? htt : 0;
        if (!vmx_use.invpcid)
            r.ecx &= ~(1u << 17); // PCIDs come with their INVPCID
        break;
    }
    case 0x7:
        if (!vmx_use.invpcid)
            r.ebx &= ~(1u << 10);
        if (!vmx_use.rdtscp)
            r.ecx &= ~(1u << 22); // RDPID
        break;
    case 0xd:
        if (subleaf == 0)
            r.eax &= static_cast<u32>(xcr0_allowed());
        else if (subleaf == 1)
            r.eax |= vmx_use.xsaves ? cpuid(0xd, 1).eax & 8 : 0;
        else if (subleaf >= 32 || !(xcr0_allowed() >> subleaf & 1))
            r = {0, 0, 0, 0};
        break;
    case 0x8000'0000: r.eax = r.eax > 0x8000'0008 ? 0x8000'0008 : r.eax; break;
    case 0x8000'0001:
        if (!vmx_use.rdtscp)
            r.edx &= ~(1u << 27);
        break;
    }
    return r;
}

} // namespace

void cpuid_executed(Vcpu& v) {
    const CpuidResult r = answer(v, static_cast<u32>(v.registers.rax), static_cast<u32>(v.registers.rcx));
    v.registers.rax = r.eax;
    v.registers.rbx = r.ebx;
    v.registers.rcx = r.ecx;
    v.registers.rdx = r.edx;
    v.skip_instruction();
}

} // namespace vitrine::pane
