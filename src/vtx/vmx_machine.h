// SPDX-License-Identifier: Apache-2.0
// For tests: a bare machine in VMX operation with a current VMCS that enters a 64-bit guest in the host's own page tables.
#pragma once

#include "vtx/spec/entry_rules.h"
#include "vtx/unit.h"
#include "x86/bare_machine.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace vitrine::vtx {

using Bytes = std::initializer_list<u8>;

class VmxMachine {
public:
    static constexpr u64 vmxon_region = 0x500000, vmcs_region = 0x501000, operand = 0x510000, guest_code = 0x180000, host_entry = 0x190000;

    explicit VmxMachine(bool stale = false)
        : m("max", CodeCache::default_host_code, stale), unit((m.model.set(Feature::vmx), m.cpu), implemented()) {
        m.cpu.msr.feature_control = 5;
        m.cpu.cr4 |= cr4::vmxe;
        m.cpu.mode_changed();
        m.write<u32>(vmxon_region, vmcs_revision);
        m.write<u32>(vmcs_region, vmcs_revision);
        m.put(host_entry, {0xf4});
    }

    /// VMXON, VMCLEAR, VMPTRLD.
    void begin() {
        run_with_pointer({0xf3, 0x0f, 0xc7, 0x37}, vmxon_region);
        ASSERT_TRUE(succeeded());
        run_with_pointer({0x66, 0x0f, 0xc7, 0x37}, vmcs_region);
        ASSERT_TRUE(succeeded());
        run_with_pointer({0x0f, 0xc7, 0x37}, vmcs_region);
        ASSERT_TRUE(succeeded());
    }

    /// An instruction whose memory operand is [rdi].
    void run_with_pointer(Bytes code, u64 pointer) {
        m.write<u64>(operand, pointer);
        m.cpu.gpr[rdi] = operand;
        m.run(code);
    }

    void vmwrite(F f, u64 value) {
        m.cpu.activity = Activity::active;
        m.cpu.gpr[rax] = row(f).encoding.value;
        m.cpu.gpr[rbx] = value;
        m.run({0x0f, 0x79, 0xc3}); // vmwrite rax, rbx
    }

    u64 vmread(F f) {
        m.cpu.activity = Activity::active; // the host's code is one HLT
        m.cpu.gpr[rax] = row(f).encoding.value;
        m.run({0x0f, 0x78, 0xc3}); // vmread rbx, rax
        return m.cpu.gpr[rbx];
    }

    void set_up_guest() {
        Cpu& c = m.cpu;
        const Capabilities& k = unit.capabilities();
        const auto low = [](u64 msr) { return msr & 0xffff'ffff; };
        vmwrite(F::pin_based, low(k.pin_based_msr()));
        vmwrite(F::primary, low(k.primary_msr()) | primary.hlt_exiting.mask());
        vmwrite(F::exit_controls, low(k.exit_msr()) | exiting.host_address_space_size.mask());
        vmwrite(F::entry_controls, low(k.entry_msr()) | entering.ia32e_mode_guest.mask());
        vmwrite(F::vmcs_link_pointer, ~u64{0});
        for (const F f : {F::host_cr0, F::guest_cr0})
            vmwrite(f, c.cr0);
        for (const F f : {F::host_cr3, F::guest_cr3})
            vmwrite(f, c.cr3);
        for (const F f : {F::host_cr4, F::guest_cr4})
            vmwrite(f, c.cr4);
        vmwrite(F::host_cs_selector, 0x10);
        vmwrite(F::host_ss_selector, 0x18);
        vmwrite(F::host_tr_selector, 0x40);
        vmwrite(F::host_rip, host_entry);
        vmwrite(F::host_rsp, 0x1f'0000);
        for (unsigned n = 0; n < 6; ++n) {
            vmwrite(guest_selector(n), c.segments[n].selector);
            vmwrite(guest_limit(n), c.segments[n].limit);
            vmwrite(guest_access_rights(n), c.segments[n].rights);
        }
        vmwrite(F::guest_ldtr_access_rights, 0x10000);
        vmwrite(F::guest_tr_selector, 0x40);
        vmwrite(F::guest_tr_access_rights, 0x8b);
        vmwrite(F::guest_tr_limit, 0x67);
        vmwrite(F::guest_dr7, 0x400);
        vmwrite(F::guest_rflags, 2);
        vmwrite(F::guest_rip, guest_code);
        vmwrite(F::guest_rsp, 0x1e'0000);
    }

    /// Sets bits of a control field.
    void turn_on(F f, const Field& control) { vmwrite(f, vmread(f) | control.mask()); }

    /// Puts code where the guest begins, enters, and runs at most `count` instructions of it.
    void run_guest(Bytes code, u64 count) {
        m.put(guest_code, code);
        launch();
        ASSERT_TRUE(unit.in_non_root()) << unit.explain_entry();
        m.run(count);
    }

    u64 reason() { return vmread(F::exit_reason); }

    RunEnd launch() { return m.run({0x0f, 0x01, 0xc2}); }
    RunEnd resume() { return m.run({0x0f, 0x01, 0xc3}); }

    bool succeeded() const { return (m.cpu.rflags() & rflags::status) == 0; }
    bool failed_valid() const { return (m.cpu.rflags() & rflags::status) == rflags::zf; }
    bool failed_invalid() const { return (m.cpu.rflags() & rflags::status) == rflags::cf; }

    BareMachine m;
    Unit unit;
};

} // namespace vitrine::vtx
