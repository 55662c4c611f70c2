// SPDX-License-Identifier: Apache-2.0
// The table of MSRs. What is not in it raises #GP in the guest, and is counted.
#include "pane/vmx/msrs.h"

#include "pane/guest/guest.h"
#include "pane/kernel/time.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/control_registers.h"

#include "vtx/spec/controls.h"

#include <cstring>

namespace vitrine::pane {

namespace {

using Read = bool (*)(Vcpu& v, u32 index, u64& value);
using Write = bool (*)(Vcpu& v, u32 index, u64 value);

struct MsrRow {
    u32 first, last;
    bool open_read, open_write; ///< the guest reaches the register itself
    Read read;
    Write write;
};

bool read_zero(Vcpu&, u32, u64& value) {
    value = 0;
    return true;
}

bool read_machine(Vcpu&, u32 index, u64& value) {
    value = rdmsr(index);
    return true;
}

bool ignore_write(Vcpu&, u32, u64) { return true; }

bool only_zero(Vcpu&, u32, u64 value) { return value == 0; }

bool write_pat(Vcpu&, u32, u64 value) {
    for (unsigned n = 0; n < 8; ++n)
        if (const u8 type = static_cast<u8>(value >> 8 * n); type > 7 || type == 2 || type == 3)
            return false;
    if (vmx_use.pat)
        vmwrite(F::guest_pat, value);
    return true;
}

bool read_pat(Vcpu&, u32, u64& value) {
    value = vmx_use.pat ? vmread(F::guest_pat) : rdmsr(msr::pat);
    return true;
}

bool read_x2apic(Vcpu& v, u32 index, u64& value) {
    const auto offset = static_cast<u16>((index - apic::x2apic_first_msr) * 16);
    const bool array = offset >= apic::in_service && offset < apic::error_status;
    const apic::RegisterRow* row = apic::find(offset);
    if (!v.apic.x2apic() || (!array && (!row || !row->x2apic_read)))
        return false;
    value = v.apic.read(offset);
    if (offset == apic::interrupt_command)
        value |= u64{v.apic.read(apic::interrupt_command_high)} << 32;
    return true;
}

bool write_x2apic(Vcpu& v, u32 index, u64 value) {
    const auto offset = static_cast<u16>((index - apic::x2apic_first_msr) * 16);
    const apic::RegisterRow* row = apic::find(offset);
    if (!v.apic.x2apic() || !row || !row->x2apic_write)
        return false;
    if (offset == apic::interrupt_command) {
        v.apic.command(static_cast<u32>(value >> 32), static_cast<u32>(value));
        return true;
    }
    if (value & ~u64{row->writable | row->status})
        return false;
    v.apic.write(offset, static_cast<u32>(value));
    return true;
}

constexpr u64 mtrr_write_back = 0x806; // MTRRs on, everything write-back, no ranges

// clang-format off
constexpr MsrRow rows[] = {
    // first             last                  open r  w
    {msr::tsc,           msr::tsc,             true,  false, nullptr, ignore_write},
    {msr::apic_base,     msr::apic_base,       false, false,
     [](Vcpu& v, u32, u64& value) { value = v.apic.base(); return true; },
     [](Vcpu& v, u32, u64 value) { return v.apic.set_base(value); }},
    {msr::spec_ctrl,     msr::spec_ctrl,       true,  true,  nullptr, nullptr},
    {0x49,               0x49,                 false, true,  nullptr, nullptr}, // IA32_PRED_CMD
    {0x8b,               0x8b,                 false, false, read_machine, ignore_write}, // IA32_BIOS_SIGN_ID
    {0xfe,               0xfe,                 false, false, read_zero, nullptr}, // IA32_MTRRCAP: no ranges at all
    {0x10a,              0x10a,                false, false, read_machine, nullptr}, // IA32_ARCH_CAPABILITIES
    {0x10b,              0x10b,                false, true,  nullptr, nullptr}, // IA32_FLUSH_CMD
    {msr::sysenter_cs,   msr::sysenter_eip,    true,  true,  nullptr, nullptr},
    {0x1a0,              0x1a0,                false, false, // IA32_MISC_ENABLE: fast strings
     [](Vcpu&, u32, u64& value) { value = 1; return true; }, ignore_write},
    {0x1d9,              0x1d9,                false, false, read_zero, only_zero}, // IA32_DEBUGCTL
    {msr::pat,           msr::pat,             false, false, read_pat, write_pat},
    {0x2ff,              0x2ff,                false, false, // IA32_MTRR_DEF_TYPE
     [](Vcpu&, u32, u64& value) { value = mtrr_write_back; return true; }, ignore_write},
    {msr::tsc_deadline,  msr::tsc_deadline,    false, false,
     [](Vcpu& v, u32, u64& value) { value = v.apic.tsc_deadline(); return true; },
     [](Vcpu& v, u32, u64 value) { v.apic.set_tsc_deadline(value); return true; }},
    {apic::x2apic_first_msr, apic::x2apic_last_msr, false, false, read_x2apic, write_x2apic},
    {msr::xss,           msr::xss,             false, false, read_zero, only_zero},
    {msr::efer,          msr::efer,            false, false,
     [](Vcpu&, u32, u64& value) { value = vmread(F::guest_efer); return true; },
     [](Vcpu& v, u32, u64 value) { return write_efer(v, value); }},
    {msr::star,          msr::fmask,           true,  true,  nullptr, nullptr},
    {msr::fs_base,       msr::kernel_gs_base,  true,  true,  nullptr, nullptr},
    {msr::tsc_aux,       msr::tsc_aux,         true,  true,  nullptr, nullptr},
};
// clang-format on

const MsrRow* find(u32 index) {
    for (const MsrRow& r : rows)
        if (r.first <= index && index <= r.last)
            return &r;
    return nullptr;
}

/// Registers that the processor may not have: then the guest has them as little.
bool exists(u32 index) {
    const u32 leaf_7 = cpuid(0).eax >= 7 ? cpuid(7).edx : 0;
    switch (index) {
    case msr::spec_ctrl:
    case 0x49: return leaf_7 >> 26 & 1;
    case 0x10b: return leaf_7 >> 28 & 1;
    case 0x10a: return leaf_7 >> 29 & 1;
    case msr::xss: return vmx_use.xsaves;
    case msr::tsc_aux: return vmx_use.rdtscp && (cpuid(0x8000'0001).edx >> 27 & 1);
    default: return true;
    }
}

/// Switched between virtual processors, because Pane does not use them and a guest reaches them itself.
constexpr u32 switched[SlowState::most_msrs] = {msr::star, msr::lstar, msr::cstar, msr::fmask, msr::kernel_gs_base, msr::tsc_aux, msr::spec_ctrl, 0};

bool has_xsave() { return cpuid(1).ecx >> 26 & 1; }

} // namespace

u64 xcr0_allowed() {
    // x87, SSE, AVX, the three of AVX-512, PKRU: components without supervisor state or further instructions.
    constexpr u64 known = 0x2e7;
    return has_xsave() ? (cpuid(0xd).eax & known) : 1;
}

u64 fpu_area_size() { return has_xsave() ? cpuid(0xd).ecx : 512; }

void fill_msr_bitmap(Vcpu& v) {
    auto* bitmap = reinterpret_cast<u8*>(v.msr_bitmap);
    memset(bitmap, 0xff, 4096);
    const auto open = [&](u32 index, bool write) {
        // Four parts of 1 KiB: reads of low MSRs, of high ones (C0000000h on), writes of low, of high.
        const u32 part = (index >> 30 ? 1 : 0) + (write ? 2 : 0), bit = index & 0x1fff;
        bitmap[part * 1024 + bit / 8] &= static_cast<u8>(~(1 << bit % 8));
    };
    for (const MsrRow& r : rows)
        for (u32 index = r.first; index <= r.last; ++index) {
            if (!exists(index))
                continue;
            if (r.open_read)
                open(index, false);
            if (r.open_write)
                open(index, true);
        }
    if (v.apic.x2apic() && vmx_use.x2apic)
        for (const u16 offset : {apic::task_priority, apic::eoi, apic::self_ipi})
            open(apic::msr_of(offset), true);
}

bool read_msr(Vcpu& v, u32 index, u64& value) {
    const MsrRow* r = find(index);
    return r && r->read && exists(index) && r->read(v, index, value);
}

bool write_msr(Vcpu& v, u32 index, u64 value) {
    const MsrRow* r = find(index);
    return r && r->write && exists(index) && r->write(v, index, value);
}

void reset_slow_state(SlowState& s) {
    u8* const fpu = s.fpu;
    s = {};
    s.fpu = fpu;
    memset(fpu, 0, fpu_area_size());
    fpu[0] = 0x7f; // FCW 037Fh: what FNINIT makes
    fpu[1] = 0x03;
    fpu[24] = 0x80; // MXCSR 1F80h
    fpu[25] = 0x1f;
}

void load_slow_state(SlowState& s) {
    for (unsigned n = 0; n < SlowState::most_msrs; ++n)
        if (switched[n] && exists(switched[n]))
            wrmsr(switched[n], s.msrs[n]);
    asm volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3; mov %4, %%dr6" ::"r"(s.dr[0]), "r"(s.dr[1]), "r"(s.dr[2]),
                 "r"(s.dr[3]), "r"(s.dr6));
    write_cr2(s.cr2);
    if (!has_xsave()) {
        asm volatile("fxrstorq (%0)" ::"r"(s.fpu) : "memory");
        return;
    }
    xsetbv(xcr0_allowed());
    asm volatile("xrstorq (%0)" ::"r"(s.fpu), "a"(~0u), "d"(~0u) : "memory");
    xsetbv(s.xcr0);
}

void save_slow_state(SlowState& s) {
    for (unsigned n = 0; n < SlowState::most_msrs; ++n)
        if (switched[n] && exists(switched[n]))
            s.msrs[n] = rdmsr(switched[n]);
    asm volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
                 : "=r"(s.dr[0]), "=r"(s.dr[1]), "=r"(s.dr[2]), "=r"(s.dr[3]), "=r"(s.dr6));
    s.cr2 = read_cr2();
    if (!has_xsave()) {
        asm volatile("fxsaveq (%0)" ::"r"(s.fpu) : "memory");
        return;
    }
    xsetbv(xcr0_allowed());
    asm volatile("xsaveq (%0)" ::"r"(s.fpu), "a"(~0u), "d"(~0u) : "memory");
}

} // namespace vitrine::pane
