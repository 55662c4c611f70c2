// SPDX-License-Identifier: Apache-2.0
// VMX operation, capabilities and a plain VMCS.
#include "runtime/vmx.h"

#include "words/bits.h"

extern "C" guest::u8 gdt[], idt[], pml4[], end_of_image[];

namespace guest {

namespace {

constexpr u32 feature_control = 0x3a;

u64 next_page = 0, region_of_vmxon = 0;

void write_cr0(u64 value) { asm volatile("mov %0, %%cr0" : : "r"(value)); }

void write_cr4(u64 value) { asm volatile("mov %0, %%cr4" : : "r"(value)); }

/// What may be 1, without what must be.
u32 allowed(u32 msr, vtx::ControlDefaults d) { return static_cast<u32>(rdmsr(msr) >> 32) & ~d.one; }

} // namespace

u8* new_page() {
    if (!next_page)
        next_page = align_up(reinterpret_cast<u64>(end_of_image), 4096);
    u8* const page = reinterpret_cast<u8*>(next_page);
    next_page += 4096;
    for (unsigned n = 0; n < 512; ++n)
        reinterpret_cast<volatile u64*>(page)[n] = 0;
    return page;
}

bool enter_vmx_operation() {
    u32 a = 1, b, c = 0, d;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & bit(5))) {
        say("no VMX: CPUID.1:ECX.VMX is 0");
        return false;
    }
    const u64 control = rdmsr(feature_control);
    if (!(control & 1)) {
        wrmsr(feature_control, control | 5);
    } else if (!(control & 4)) {
        say("no VMX: IA32_FEATURE_CONTROL is locked without it");
        return false;
    }
    using namespace vtx::vmx_msr;
    write_cr0((control_register<0>() | rdmsr(cr0_fixed0)) & rdmsr(cr0_fixed1));
    write_cr4((control_register<4>() | rdmsr(cr4_fixed0)) & rdmsr(cr4_fixed1));
    u8* const region = new_page();
    *reinterpret_cast<u32*>(region) = static_cast<u32>(rdmsr(basic)) & ~(1u << 31);
    region_of_vmxon = reinterpret_cast<u64>(region);
    if (vmxon(region_of_vmxon) != Vm::succeed) {
        say("VMXON failed");
        return false;
    }
    return true;
}

u64 vmxon_region() { return region_of_vmxon; }

vtx::Capabilities capabilities() {
    using namespace vtx::vmx_msr;
    const bool exact = vtx::basic.true_controls(rdmsr(basic)) != 0;
    vtx::Capabilities c;
    c.pin = allowed(exact ? true_pin_based : pin_based, vtx::pin_defaults);
    c.primary = allowed(exact ? true_primary : primary, vtx::primary_defaults);
    c.exiting = allowed(exact ? true_exit : vtx::vmx_msr::exit, vtx::exit_defaults);
    c.entering = allowed(exact ? true_entry : entry, vtx::entry_defaults);
    c.misc = rdmsr(misc);
    if (vtx::primary.activate_secondary_controls(c.primary)) {
        c.secondary = static_cast<u32>(rdmsr(secondary) >> 32);
        if (vtx::secondary.enable_ept(c.secondary) || vtx::secondary.enable_vpid(c.secondary))
            c.ept_vpid = rdmsr(ept_vpid_cap);
        if (vtx::secondary.enable_vm_functions(c.secondary))
            c.vm_functions = rdmsr(vmfunc);
    }
    if (vtx::primary.activate_tertiary_controls(c.primary))
        c.tertiary = rdmsr(vtx::vmx_msr::tertiary);
    return c;
}

u64 new_vmcs() {
    u8* const region = new_page();
    *reinterpret_cast<u32*>(region) = static_cast<u32>(rdmsr(vtx::vmx_msr::basic)) & ~(1u << 31);
    const u64 at = reinterpret_cast<u64>(region);
    if (vmclear(at) != Vm::succeed || vmptrld(at) != Vm::succeed) {
        say("VMCLEAR or VMPTRLD failed");
        finish(0x7e);
    }
    return at;
}

void plain_fields(const vtx::Capabilities& c, u64* fields, u64 rip) {
    const auto at = [fields](F f) -> u64& { return fields[static_cast<unsigned>(f)]; };
    const auto low = [](u64 msr) { return msr & 0xffff'ffff; };
    for (unsigned n = 0; n < vtx::field_count; ++n)
        fields[n] = 0;
    at(F::pin_based) = low(c.pin_based_msr());
    at(F::primary) = low(c.primary_msr()) | vtx::primary.hlt_exiting.mask() | vtx::primary.activate_secondary_controls.mask();
    at(F::exit_controls) = low(c.exit_msr()) | vtx::exiting.host_address_space_size.mask() | vtx::exiting.load_efer.mask();
    at(F::entry_controls) = low(c.entry_msr()) | vtx::entering.ia32e_mode_guest.mask() | vtx::entering.load_efer.mask();
    at(F::vmcs_link_pointer) = ~u64{0};
    at(F::host_cr0) = at(F::guest_cr0) = control_register<0>();
    at(F::host_cr3) = at(F::guest_cr3) = control_register<3>();
    at(F::host_cr4) = at(F::guest_cr4) = control_register<4>();
    at(F::host_efer) = at(F::guest_efer) = 0x500; // LME and LMA
    at(F::host_pat) = at(F::guest_pat) = 0x0007'0406'0007'0406;
    at(F::host_cs_selector) = at(F::guest_cs_selector) = 0x08;
    at(F::host_tr_selector) = at(F::guest_tr_selector) = 0x18;
    for (const F f : {F::host_ss_selector, F::host_ds_selector, F::host_es_selector, F::guest_ss_selector, F::guest_ds_selector, F::guest_es_selector})
        at(f) = 0x10;
    at(F::host_gdtr_base) = at(F::guest_gdtr_base) = reinterpret_cast<u64>(gdt);
    at(F::host_idtr_base) = at(F::guest_idtr_base) = reinterpret_cast<u64>(idt);
    at(F::guest_gdtr_limit) = 0x27;
    at(F::guest_idtr_limit) = 0xfff;
    at(F::host_rsp) = reinterpret_cast<u64>(vm_exit_stack);
    at(F::host_rip) = reinterpret_cast<u64>(vm_exit_entry);
    for (const unsigned n : {0u, 2u, 3u, 4u, 5u})
        at(vtx::guest_access_rights(n)) = 0xc093;
    at(F::guest_cs_access_rights) = 0xa09b;
    for (unsigned n = 0; n <= 5; ++n)
        at(vtx::guest_limit(n)) = 0xffff'ffff;
    at(F::guest_ldtr_access_rights) = 0x10000; // unusable
    at(F::guest_tr_access_rights) = 0x8b;
    at(F::guest_tr_limit) = 0x67;
    at(F::guest_dr7) = 0x400;
    at(F::guest_rflags) = 2;
    at(F::guest_rip) = rip;
    at(F::guest_rsp) = reinterpret_cast<u64>(new_page()) + 4096;
}

void load_fields(const u64* fields) {
    for (unsigned n = 0; n < vtx::field_count; ++n)
        if (vtx::field_rows[n].encoding.area() != vtx::FieldArea::read_only)
            (void)vmwrite(static_cast<F>(n), fields[n]); // VMfailValid 12: a field of something that the processor does not have
}

} // namespace guest
