// SPDX-License-Identifier: Apache-2.0
// Fills a VMCS: controls, Pane's own state, the guest's state after reset; and moves a virtual processor on and off a real one.
#include "pane/guest/guest.h"
#include "pane/guest/load.h"
#include "pane/guest/vcpu.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/memory.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/msrs.h"

#include "vtx/spec/controls.h"

#include <cstring>

extern "C" void vmx_exit();

namespace vitrine::pane {

namespace {

u16 next_vpid = 1;

// Access rights of segments after reset and INIT (SDM volume 3, Processor State After Reset), and flat ones.
constexpr u64 real_code = 0x9b, real_data = 0x93, ldt = 0x82, busy_tss = 0x8b;
constexpr u64 flat_code_32 = 0xc09b, flat_code_64 = 0xa09b, flat_data = 0xc093;
enum Segment : unsigned { es, cs, ss, ds, fs, gs, ldtr, tr, count };

void write_segment(unsigned n, u64 selector, u64 base, u64 limit, u64 rights) {
    vmwrite(vtx::guest_selector(n), selector);
    vmwrite(vtx::guest_base(n), base);
    vmwrite(vtx::guest_limit(n), limit);
    vmwrite(vtx::guest_access_rights(n), rights);
}

void write_controls(Vcpu& v) {
    const Guest& g = *v.guest;
    vmwrite(F::pin_based, v.pin_based());
    vmwrite(F::primary, vmx_use.primary);
    vmwrite(F::secondary, v.secondary);
    vmwrite(F::exit_controls, vmx_use.exiting | (v.uses_posting() ? vtx::exiting.acknowledge_interrupt_on_exit.mask() : 0));
    if (v.uses_posting()) {
        vmwrite(F::posted_interrupt_vector, vector::posted);
        vmwrite(F::posted_interrupt_descriptor, reinterpret_cast<u64>(&v.posted));
    }
    vmwrite(F::entry_controls, vmx_use.entering);
    for (const F f : {F::exception_bitmap, F::page_fault_mask, F::page_fault_match, F::cr3_target_count, F::exit_msr_store_count,
                      F::exit_msr_load_count, F::entry_msr_load_count, F::entry_interruption_information})
        vmwrite(f, 0);
    vmwrite(F::vmcs_link_pointer, ~0ull);
    vmwrite(F::msr_bitmaps, v.msr_bitmap);
    vmwrite(F::eptp, g.ept.pointer());
    if (vmx_use.io_bitmaps) {
        vmwrite(F::io_bitmap_a, g.io_bitmaps);
        vmwrite(F::io_bitmap_b, g.io_bitmaps + page_size);
    }
    if (vmx_use.vpid)
        vmwrite(F::vpid, v.vpid);
    if (vmx_use.tpr_shadow) {
        vmwrite(F::virtual_apic_address, v.apic.page());
        vmwrite(F::tpr_threshold, 0);
    }
    if (vmx_use.apic_accesses)
        vmwrite(F::apic_access_address, g.apic_access_page);
    if (vmx_use.interrupt_delivery) {
        vmwrite(F::guest_interrupt_status, 0);
        for (unsigned n = 0; n < 4; ++n)
            vmwrite(vtx::after(F::eoi_exit_bitmap_0, n), 0);
    }
    if (vmx_use.xsaves)
        vmwrite(F::xss_exiting_bitmap, 0);
    // The guest sees VMXE as 0 and may not set it; NE must be 1 in VMX operation, and the guest sees what it wrote.
    vmwrite(F::cr0_mask, control::cr0_ne);
    vmwrite(F::cr0_read_shadow, 0);
    vmwrite(F::cr4_mask, control::cr4_vmxe);
    vmwrite(F::cr4_read_shadow, 0);
}

/// What does not depend on the processor that Pane runs on.
void write_host_state() {
    for (const F f : {F::host_es_selector, F::host_ss_selector, F::host_ds_selector})
        vmwrite(f, selector::data);
    for (const F f : {F::host_fs_selector, F::host_gs_selector})
        vmwrite(f, 0);
    vmwrite(F::host_cs_selector, selector::code);
    vmwrite(F::host_tr_selector, selector::task);
    vmwrite(F::host_cr0, read_cr0());
    vmwrite(F::host_cr3, read_cr3());
    vmwrite(F::host_cr4, read_cr4());
    vmwrite(F::host_efer, rdmsr(msr::efer));
    if (vmx_use.pat)
        vmwrite(F::host_pat, rdmsr(msr::pat));
    for (const F f : {F::host_sysenter_cs, F::host_sysenter_esp, F::host_sysenter_eip, F::host_fs_base})
        vmwrite(f, 0);
    vmwrite(F::host_idtr_base, interrupt_table().base);
    vmwrite(F::host_rip, reinterpret_cast<u64>(&vmx_exit));
}

} // namespace

/// Posted interrupts go with virtual-interrupt delivery; while the guest's local APIC is in a mode without it, Pane takes them.
u64 Vcpu::pin_based() const {
    const bool delivery = vtx::secondary.virtual_interrupt_delivery(secondary);
    return vmx_use.pin | (uses_posting() && delivery ? vtx::pin.process_posted_interrupts.mask() : 0);
}

void Vcpu::start(Guest& owner, unsigned index) {
    guest = &owner;
    number = index;
    if (this_cpu().running)
        this_cpu().running->unload();
    if (!vmcs) {
        vmcs = allocate(page_size);
        *reinterpret_cast<u32*>(vmcs) = vmcs_revision();
        msr_bitmap = allocate(page_size);
        slow.fpu = reinterpret_cast<u8*>(allocate(fpu_area_size()));
        vpid = next_vpid++;
    }
    secondary = vmx_use.secondary;
    apic.start(*this, index);
    fill_msr_bitmap(*this);
    state = index == 0 ? State::runnable : State::wait_for_sipi;
    event = {};
    nmi_pending = init_pending = sipi_pending = false;
    posted.reset();
    last = nullptr;
    vmclear(vmcs);
    vmptrld(vmcs);
    write_host_state();
    reset_vmcs(0xf000);
    vmclear(vmcs);
    launched = false;
}

void Vcpu::reset_vmcs(u16 code_selector) {
    write_controls(*this);
    registers = {};
    registers.rdx = cpuid(1).eax; // the processor's signature, as after reset
    for (unsigned n = es; n <= gs; ++n)
        write_segment(n, 0, 0, 0xffff, real_data);
    write_segment(cs, code_selector, u64{code_selector} << 4, 0xffff, real_code);
    write_segment(ldtr, 0, 0, 0xffff, ldt);
    write_segment(tr, 0, 0, 0xffff, busy_tss);
    for (const F f : {F::guest_gdtr_base, F::guest_idtr_base, F::guest_rsp, F::guest_cr3, F::guest_cr4, F::guest_efer, F::guest_debugctl,
                      F::guest_interruptibility_state, F::guest_activity_state, F::guest_pending_debug_exceptions, F::guest_sysenter_cs,
                      F::guest_sysenter_esp, F::guest_sysenter_eip})
        vmwrite(f, 0);
    vmwrite(F::guest_gdtr_limit, 0xffff);
    vmwrite(F::guest_idtr_limit, 0xffff);
    vmwrite(F::guest_dr7, 0x400);
    vmwrite(F::guest_rflags, 2);
    vmwrite(F::guest_rip, code_selector == 0xf000 ? 0xfff0 : 0);
    vmwrite(F::guest_cr0, 0x10 | control::cr0_ne);
    vmwrite(F::guest_cr4, control::cr4_vmxe);
    if (vmx_use.pat)
        vmwrite(F::guest_pat, 0x0007'0406'0007'0406);
    reset_slow_state(slow);
}

void Vcpu::begin(const EntryState& e) {
    vmptrld(vmcs);
    const bool long_mode = e.mode == EntryState::Mode::long_mode;
    for (unsigned n = es; n <= gs; ++n)
        write_segment(n, 0x18, 0, 0xffff'ffff, flat_data);
    write_segment(cs, 0x10, 0, 0xffff'ffff, long_mode ? flat_code_64 : flat_code_32);
    vmwrite(F::guest_cr0, 0x10 | control::cr0_ne | control::cr0_pe | (long_mode ? control::cr0_pg : 0));
    if (long_mode) {
        vmwrite(F::guest_cr3, e.cr3);
        vmwrite(F::guest_cr4, control::cr4_vmxe | control::cr4_pae);
        vmwrite(F::guest_efer, control::efer_lme | control::efer_lma);
        vmwrite(F::entry_controls, vmx_use.entering | vtx::entering.ia32e_mode_guest.mask());
    }
    vmwrite(F::guest_gdtr_base, low::gdt);
    vmwrite(F::guest_gdtr_limit, 0x1f);
    vmwrite(F::guest_rip, e.rip);
    vmwrite(F::guest_rsp, e.rsp);
    registers.rax = e.rax;
    registers.rbx = e.rbx;
    registers.rsi = e.rsi;
    registers.rdx = 0;
    vmclear(vmcs);
}

void Vcpu::load(Cpu& cpu) {
    vmptrld(vmcs);
    launched = false;
    on = &cpu;
    cpu.running = this;
    if (last != &cpu && vmx_use.vpid)
        invvpid(vmx_use.invvpid_type, vpid); // what it left here may be long out of date
    last = &cpu;
    if (uses_posting())
        posted.runs_on(cpu);
    vmwrite(F::host_gs_base, reinterpret_cast<u64>(&cpu));
    vmwrite(F::host_gdtr_base, reinterpret_cast<u64>(cpu.gdt));
    vmwrite(F::host_tr_base, reinterpret_cast<u64>(cpu.task_state));
    load_slow_state(slow);
}

void Vcpu::unload() {
    save_slow_state(slow);
    vmclear(vmcs);
    const Cpu& cpu = *on;
    on->running = nullptr;
    on = nullptr;
    if (!uses_posting())
        return;
    posted.waits(cpu, state == State::halted);
    if (state == State::halted)
        notify(); // for what came before the descriptor was told
}

void Vcpu::apic_mode_changed() {
    const auto& s = vtx::secondary;
    u64 word = vmx_use.secondary;
    if (!apic.enabled() || apic.x2apic())
        word &= ~(s.virtualize_apic_accesses.mask() | s.apic_register_virtualization.mask() | s.virtual_interrupt_delivery.mask());
    if (apic.enabled() && apic.x2apic() && vmx_use.x2apic)
        word |= s.virtualize_x2apic_mode.mask() | s.virtual_interrupt_delivery.mask();
    else if (apic.enabled() && vmx_use.interrupt_delivery)
        word |= s.virtual_interrupt_delivery.mask();
    secondary = static_cast<u32>(word);
    vmwrite(F::secondary, secondary);
    vmwrite(F::pin_based, pin_based());
    fill_msr_bitmap(*this);
}

} // namespace vitrine::pane
