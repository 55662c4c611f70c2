// SPDX-License-Identifier: Apache-2.0
// The table of VT-x features that Pane wants, each with what happens without it.
#include "pane/vmx/capabilities.h"

#include "pane/kernel/cpu.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/processor.h"
#include "pane/vmx/instructions.h"

#include "vtx/spec/capabilities.h"

namespace vitrine::pane {

constinit VmxUse vmx_use{};

namespace {

enum class Word : u8 { pin, primary, secondary, exiting, entering, ept_vpid };

/// Control MSRs (the TRUE ones where they exist) and IA32_VMX_EPT_VPID_CAP, by Word.
struct Allowed {
    u32 zero, one;
};
Allowed allowed[5];
u64 ept_vpid_word;

struct Wanted {
    Word word;
    const Field& field;
    bool VmxUse::*use;   ///< null: needed
    const char* without; ///< for a needed one: why
};

// clang-format off
constexpr Wanted wanted[] = {
    {Word::pin,       vtx::pin.external_interrupt_exiting,           nullptr, "physical interrupts would go to guests"},
    {Word::pin,       vtx::pin.nmi_exiting,                          nullptr, "physical NMIs would go to guests"},
    {Word::pin,       vtx::pin.virtual_nmis,                         &VmxUse::virtual_nmis, "guests get no NMIs"},
    {Word::pin,       vtx::pin.activate_preemption_timer,            &VmxUse::preemption_timer, "slices end by the local APIC's timer"},
    {Word::pin,       vtx::pin.process_posted_interrupts,            &VmxUse::posted, "each interrupt of an assigned device exits"},
    {Word::primary,   vtx::primary.interrupt_window_exiting,         nullptr, "nothing says when a guest takes interrupts"},
    {Word::primary,   vtx::primary.hlt_exiting,                      nullptr, "an idle guest would keep its processor"},
    {Word::primary,   vtx::primary.mwait_exiting,                    nullptr, "an idle guest would keep its processor"},
    {Word::primary,   vtx::primary.monitor_exiting,                  nullptr, "MONITOR is not offered to guests"},
    {Word::primary,   vtx::primary.use_msr_bitmaps,                  nullptr, "every access to an MSR, FS base and all, would exit"},
    {Word::primary,   vtx::primary.activate_secondary_controls,      nullptr, "EPT is among them"},
    {Word::primary,   vtx::primary.use_io_bitmaps,                   &VmxUse::io_bitmaps, "unconditional I/O exiting instead"},
    {Word::primary,   vtx::primary.use_tpr_shadow,                   &VmxUse::tpr_shadow, "CR8 exits"},
    {Word::secondary, vtx::secondary.enable_ept,                     nullptr, "Pane has no shadow page tables"},
    {Word::secondary, vtx::secondary.unrestricted_guest,             nullptr, "Pane has no emulator for real mode"},
    {Word::secondary, vtx::secondary.virtualize_apic_accesses,       &VmxUse::apic_accesses, "accesses to the local APIC are EPT violations"},
    {Word::secondary, vtx::secondary.apic_register_virtualization,   &VmxUse::apic_registers, "reads of the local APIC exit"},
    {Word::secondary, vtx::secondary.virtual_interrupt_delivery,     &VmxUse::interrupt_delivery, "each interrupt is injected at a VM entry, each EOI exits"},
    {Word::secondary, vtx::secondary.virtualize_x2apic_mode,         &VmxUse::x2apic, "accesses to x2APIC registers exit"},
    {Word::secondary, vtx::secondary.enable_vpid,                    &VmxUse::vpid, "translations are lost at each transition"},
    {Word::secondary, vtx::secondary.enable_rdtscp,                  &VmxUse::rdtscp, "guests have no RDTSCP"},
    {Word::secondary, vtx::secondary.enable_invpcid,                 &VmxUse::invpcid, "guests have no INVPCID"},
    {Word::secondary, vtx::secondary.enable_xsaves,                  &VmxUse::xsaves, "guests have no XSAVES"},
    {Word::exiting,   vtx::exiting.host_address_space_size,          nullptr, "Pane is 64-bit code"},
    {Word::exiting,   vtx::exiting.save_efer,                        nullptr, "guests' EFER would be lost"},
    {Word::exiting,   vtx::exiting.load_efer,                        nullptr, "Pane's EFER would be the guest's"},
    {Word::exiting,   vtx::exiting.acknowledge_interrupt_on_exit,    &VmxUse::posted, "each interrupt of an assigned device exits"},
    {Word::exiting,   vtx::exiting.save_debug_controls,              &VmxUse::debug_controls, "guests' breakpoints do not survive a VM exit"},
    {Word::exiting,   vtx::exiting.save_pat,                         &VmxUse::pat, "IA32_PAT is fixed for guests"},
    {Word::exiting,   vtx::exiting.load_pat,                         &VmxUse::pat, "IA32_PAT is fixed for guests"},
    {Word::entering,  vtx::entering.ia32e_mode_guest,                nullptr, "guests would be without 64-bit mode"},
    {Word::entering,  vtx::entering.load_efer,                       nullptr, "guests would run with Pane's EFER"},
    {Word::entering,  vtx::entering.load_debug_controls,             &VmxUse::debug_controls, "guests' breakpoints do not survive a VM exit"},
    {Word::entering,  vtx::entering.load_pat,                        &VmxUse::pat, "IA32_PAT is fixed for guests"},
    {Word::ept_vpid,  vtx::ept_vpid.walk_length_4,                   nullptr, "Pane's EPT has four levels"},
    {Word::ept_vpid,  vtx::ept_vpid.write_back,                      nullptr, "EPT structures lie in write-back memory"},
    {Word::ept_vpid,  vtx::ept_vpid.page_2m,                         &VmxUse::ept_2m, "guest memory is mapped by 4-KiB pages"},
    {Word::ept_vpid,  vtx::ept_vpid.accessed_dirty,                  &VmxUse::ept_accessed_dirty, "nothing: they only help to look"},
};
// clang-format on

bool has(const Wanted& w) {
    return w.word == Word::ept_vpid ? w.field(ept_vpid_word) : w.field(allowed[static_cast<unsigned>(w.word)].one);
}

void read_msrs() {
    const u64 basic = rdmsr(vtx::vmx_msr::basic);
    const bool true_ones = vtx::basic.true_controls(basic);
    using namespace vtx::vmx_msr;
    const u32 msrs[] = {true_ones ? true_pin_based : pin_based, true_ones ? true_primary : primary, secondary,
                        true_ones ? true_exit : exit, true_ones ? true_entry : entry};
    for (unsigned n = 0; n < 5; ++n) {
        if (msrs[n] == secondary && !vtx::primary.activate_secondary_controls(allowed[1].one))
            continue;
        const u64 value = rdmsr(msrs[n]);
        allowed[n] = {static_cast<u32>(value), static_cast<u32>(value >> 32)};
    }
    if (vtx::secondary.enable_ept(allowed[2].one) || vtx::secondary.enable_vpid(allowed[2].one))
        ept_vpid_word = rdmsr(vtx::vmx_msr::ept_vpid_cap);
}

/// Dependencies between features, so that no control is set whose company is missing.
void settle() {
    VmxUse& u = vmx_use;
    u.apic_accesses &= u.tpr_shadow;
    u.apic_registers &= u.apic_accesses;
    u.interrupt_delivery &= u.apic_registers;
    u.x2apic &= u.interrupt_delivery;
    u.posted &= u.interrupt_delivery;
    u.virtual_nmis &= vtx::primary.nmi_window_exiting(allowed[1].one) != 0;
    u.invvpid_type = vtx::ept_vpid.invvpid_single(ept_vpid_word) ? 1 : 2;
    const bool can_flush = vtx::ept_vpid.invvpid(ept_vpid_word) &&
                           (vtx::ept_vpid.invvpid_single(ept_vpid_word) || vtx::ept_vpid.invvpid_all(ept_vpid_word));
    if (u.vpid && !can_flush) {
        u.vpid = false;
        say("pane: goes without 'enable VPID': there is no INVVPID to drop translations by");
    }
    u.preemption_rate = static_cast<unsigned>(vtx::misc.preemption_timer_rate(rdmsr(vtx::vmx_msr::misc)));
}

u32 word(Word w, u64 more = 0) {
    u64 value = more;
    for (const Wanted& row : wanted)
        if (row.word == w && (!row.use || vmx_use.*row.use))
            value |= row.field.mask();
    const Allowed& a = allowed[static_cast<unsigned>(w)];
    return (static_cast<u32>(value) | a.zero) & a.one;
}

} // namespace

void vmx_check() {
    if (!(cpuid(1).ecx >> 5 & 1))
        panic("this processor has no VT-x (CPUID 1 ECX bit 5)");
    read_msrs();
    bool missing = false;
    for (const Wanted& row : wanted)
        if (row.use)
            vmx_use.*row.use = true;
    for (const Wanted& row : wanted) {
        if (has(row))
            continue;
        if (row.use) {
            vmx_use.*row.use = false;
            say("pane: goes without '{}': {}", row.field.name(), row.without);
        } else {
            missing = true;
            say("pane: needs '{}': {}", row.field.name(), row.without);
        }
    }
    if (missing)
        panic("this processor's VT-x lacks what Pane needs");
    settle();
    VmxUse& u = vmx_use;
    // Posted interrupts are for guests that have a device; both controls of theirs come with that.
    u.pin = word(Word::pin) & ~static_cast<u32>(vtx::pin.process_posted_interrupts.mask());
    const auto& p = vtx::primary;
    // Interrupt and NMI windows are opened when there is something to inject; the rest is as the table says.
    u.primary = word(Word::primary, u.io_bitmaps ? 0 : p.unconditional_io_exiting.mask()) &
                ~static_cast<u32>(p.interrupt_window_exiting.mask());
    if (!u.tpr_shadow)
        u.primary |= static_cast<u32>(p.cr8_load_exiting.mask() | p.cr8_store_exiting.mask());
    // A guest starts in xAPIC mode; the two ways of APIC virtualisation exclude each other.
    u.secondary = word(Word::secondary) & ~static_cast<u32>(vtx::secondary.virtualize_x2apic_mode.mask());
    u.exiting = word(Word::exiting) & ~static_cast<u32>(vtx::exiting.acknowledge_interrupt_on_exit.mask());
    u.entering = word(Word::entering) & ~static_cast<u32>(vtx::entering.ia32e_mode_guest.mask());
    print(serial_out, "pane: VT-x: EPT{}{}{}, ", u.ept_2m ? " with 2-MiB pages" : "", u.vpid ? ", VPID" : "",
          u.preemption_timer ? ", preemption timer" : "");
    say("local APIC {}", u.interrupt_delivery ? "with virtual-interrupt delivery"
                         : u.tpr_shadow       ? "with TPR shadow"
                                              : "without the processor's help");
}

u32 vmcs_revision() { return static_cast<u32>(vtx::basic.revision(rdmsr(vtx::vmx_msr::basic))); }

void vmx_on(Cpu& cpu) {
    constexpr u64 locked = 1, outside_smx = 4;
    const u64 control = rdmsr(msr::feature_control);
    if (!(control & locked))
        wrmsr(msr::feature_control, control | locked | outside_smx);
    else if (!(control & outside_smx))
        panic("the firmware has locked VT-x off (IA32_FEATURE_CONTROL is {x})", control);
    write_cr0((read_cr0() | rdmsr(vtx::vmx_msr::cr0_fixed0)) & rdmsr(vtx::vmx_msr::cr0_fixed1));
    write_cr4((read_cr4() | rdmsr(vtx::vmx_msr::cr4_fixed0)) & rdmsr(vtx::vmx_msr::cr4_fixed1));
    cpu.vmxon_region = allocate(4096);
    *reinterpret_cast<u32*>(cpu.vmxon_region) = vmcs_revision();
    if (!vmxon(cpu.vmxon_region))
        panic("VMXON fails on processor {}", cpu.number);
    // Whoever used VT-x before may have left translations under the same EPTP or VPID.
    constexpr u64 all_contexts = 2;
    if (vtx::ept_vpid.invept(ept_vpid_word) && vtx::ept_vpid.invept_all(ept_vpid_word))
        invept(all_contexts, 0);
    if (vtx::ept_vpid.invvpid(ept_vpid_word) && vtx::ept_vpid.invvpid_all(ept_vpid_word))
        invvpid(all_contexts, 0);
}

} // namespace vitrine::pane
