// SPDX-License-Identifier: Apache-2.0
// CR0, CR3, CR4, CR8, EFER and XCR0: checks as the processor makes them, and IA-32e mode as it follows from CR0.PG and EFER.LME.
#include "pane/vmx/control_registers.h"

#include "pane/guest/guest.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/msrs.h"

#include "vtx/spec/capabilities.h"
#include "vtx/spec/controls.h"

namespace vitrine::pane {

using namespace control;

namespace {

void set_long_mode(bool active) {
    const u64 efer = vmread(F::guest_efer), word = vmread(F::entry_controls), bit = vtx::entering.ia32e_mode_guest.mask();
    vmwrite(F::guest_efer, active ? efer | efer_lma : efer & ~efer_lma);
    vmwrite(F::entry_controls, active ? word | bit : word & ~bit);
}

/// MOV to CR0 and CR4 drops translations; when it exits, that is Pane's to do.
void flush(const Vcpu& v) {
    if (vmx_use.vpid)
        invvpid(vmx_use.invvpid_type, v.vpid);
}

/// With PAE paging outside IA-32e mode the processor keeps the four PDPTEs; the VMCS holds them.
void load_pdptes(const Vcpu& v) {
    const u64 cr0 = vmread(F::guest_cr0), cr4 = vmread(F::guest_cr4);
    if (!(cr0 & cr0_pg) || !(cr4 & cr4_pae) || (vmread(F::guest_efer) & efer_lma))
        return;
    const auto* table = reinterpret_cast<const u64*>(v.guest->at(vmread(F::guest_cr3) & 0xffff'ffe0, 32));
    for (unsigned n = 0; n < 4; ++n)
        vmwrite(vtx::after(F::guest_pdpte0, n), table ? table[n] : 0);
}

} // namespace

bool write_efer(Vcpu& v, u64 value) {
    const u64 old = vmread(F::guest_efer);
    constexpr u64 known = efer_sce | efer_lme | efer_lma | efer_nxe;
    if (value & ~known)
        return false;
    if ((value ^ old) & efer_lme && (vmread(F::guest_cr0) & cr0_pg))
        return false;
    vmwrite(F::guest_efer, (value & ~efer_lma) | (old & efer_lma));
    flush(v);
    return true;
}

bool write_cr0(Vcpu& v, u64 value) {
    if (value >> 32 || ((value & cr0_pg) && !(value & cr0_pe)) || ((value & cr0_nw) && !(value & cr0_cd)))
        return false;
    const u64 old = vmread(F::guest_cr0);
    const bool on = !(old & cr0_pg) && (value & cr0_pg), off = (old & cr0_pg) && !(value & cr0_pg);
    if (on && (vmread(F::guest_efer) & efer_lme)) {
        if (!(vmread(F::guest_cr4) & cr4_pae))
            return false;
        set_long_mode(true);
    }
    if (off)
        set_long_mode(false);
    vmwrite(F::cr0_read_shadow, value);
    vmwrite(F::guest_cr0, value | cr0_ne | 0x10);
    load_pdptes(v);
    flush(v);
    return true;
}

bool write_cr4(Vcpu& v, u64 value) {
    const u64 allowed = rdmsr(vtx::vmx_msr::cr4_fixed1) & ~cr4_vmxe;
    if ((value & ~allowed) || ((vmread(F::guest_efer) & efer_lma) && !(value & cr4_pae)))
        return false;
    vmwrite(F::cr4_read_shadow, value);
    vmwrite(F::guest_cr4, value | cr4_vmxe);
    load_pdptes(v);
    flush(v);
    return true;
}

void control_register_access(Vcpu& v, u64 qualification) {
    const unsigned reg = qualification & 15, access = qualification >> 4 & 3, general = qualification >> 8 & 15;
    const bool to = access == 0, from = access == 1, clts = access == 2;
    const u64 written = general == 4 ? vmread(F::guest_rsp) : v.gpr(general);
    const auto read_into_general = [&](u64 value) {
        if (general == 4)
            vmwrite(F::guest_rsp, value);
        else
            v.gpr(general) = value;
    };
    bool ok = true;
    if (clts) {
        vmwrite(F::guest_cr0, vmread(F::guest_cr0) & ~8ull);
    } else if (access == 3) { // LMSW can set PE, but not clear it
        const u64 source = qualification >> 16 & 15, old = (vmread(F::guest_cr0) & ~cr0_ne) | (vmread(F::cr0_read_shadow) & cr0_ne);
        ok = write_cr0(v, (old & ~0xeull) | source);
    } else if (reg == 0 && to) {
        ok = write_cr0(v, written);
    } else if (reg == 4 && to) {
        ok = write_cr4(v, written);
    } else if (reg == 3 && to) { // exits only on processors that cannot do without
        vmwrite(F::guest_cr3, written & ~(1ull << 63));
        load_pdptes(v);
        flush(v);
    } else if (reg == 3 && from) {
        read_into_general(vmread(F::guest_cr3));
    } else if (reg == 8 && to) {
        ok = written < 16;
        if (ok)
            v.apic.set_task_priority(static_cast<u8>(written << 4));
    } else if (reg == 8 && from) {
        read_into_general(v.apic.task_priority() >> 4);
    } else {
        v.guest->end(Ending::crash, "an access to a control register that Pane does not expect");
        return;
    }
    if (ok)
        v.skip_instruction();
    else
        v.inject_exception(13, 0, true);
}

void xsetbv_executed(Vcpu& v) {
    const u64 value = (v.registers.rdx << 32) | static_cast<u32>(v.registers.rax);
    constexpr u64 x87 = 1, sse = 2, avx = 4, avx512 = 0xe0;
    const bool good = static_cast<u32>(v.registers.rcx) == 0 && (value & x87) && !(value & ~xcr0_allowed()) &&
                      (!(value & avx) || (value & sse)) && (!(value & avx512) || ((value & avx512) == avx512 && (value & avx)));
    if (!good)
        return v.inject_exception(13, 0, true);
    v.slow.xcr0 = value;
    xsetbv(value);
    v.skip_instruction();
}

} // namespace vitrine::pane
