// SPDX-License-Identifier: Apache-2.0
// For tests: a VMCS that every rule of VM entry accepts, with all controls on that do not need each other's absence.
#pragma once

#include "vtx/spec/entry_rules.h"

#include <array>

namespace vitrine::vtx {

/// A 64-bit host and a 64-bit guest. All addresses lie below 16 MiB.
struct ValidVmcs {
    std::array<u64, field_count> fields{};
    Capabilities capabilities;
    RuleInput input;

    ValidVmcs() : capabilities(implemented()) {
        settle(capabilities);
        const auto low = [](u64 msr) { return msr & 0xffff'ffff; };
        at(F::pin_based) = low(capabilities.pin_based_msr());
        at(F::primary) = low(capabilities.primary_msr()) | primary.activate_secondary_controls.mask();
        at(F::secondary) = secondary.enable_ept.mask();
        at(F::exit_controls) = low(capabilities.exit_msr()) | exiting.host_address_space_size.mask() | exiting.load_efer.mask();
        at(F::entry_controls) = low(capabilities.entry_msr()) | entering.ia32e_mode_guest.mask() | entering.load_efer.mask();
        at(F::eptp) = 0x40'0000 | 6 | 3 << 3;
        at(F::vmcs_link_pointer) = ~u64{0};
        at(F::host_cr0) = at(F::guest_cr0) = 0x8000'0031;
        at(F::host_cr4) = at(F::guest_cr4) = 0x2020;
        at(F::host_cr3) = at(F::guest_cr3) = 0x10000;
        at(F::host_efer) = at(F::guest_efer) = 0x500;
        at(F::host_cs_selector) = at(F::guest_cs_selector) = 0x10;
        at(F::host_ss_selector) = at(F::guest_ss_selector) = 0x18;
        at(F::host_tr_selector) = at(F::guest_tr_selector) = 0x40;
        at(F::guest_ldtr_access_rights) = 0x10000;
        for (const unsigned n : {0u, 3u, 4u, 5u})
            at(guest_access_rights(n)) = 0xc093;
        at(F::guest_ss_access_rights) = 0xc093;
        at(F::guest_cs_access_rights) = 0xa09b;
        for (unsigned n = 0; n <= 5; ++n)
            at(guest_limit(n)) = 0xffff'ffff;
        at(F::guest_tr_access_rights) = 0x8b;
        at(F::guest_tr_limit) = 0x67;
        at(F::guest_gdtr_limit) = at(F::guest_idtr_limit) = 0xffff;
        at(F::guest_dr7) = 0x400;
        at(F::guest_rflags) = 2;
        input.fields = fields.data();
        input.capabilities = &capabilities;
        fact(Fact::physical_bits) = 46;
        fact(Fact::linear_bits) = 48;
        fact(Fact::long_mode) = 1;
        fact(Fact::cr4_allowed) = 0x37'67ff;
        fact(Fact::efer_allowed) = 0xd01;
        fact(Fact::debugctl_allowed) = 3;
        fact(Fact::current_vmcs) = 0x3000;
    }

    ValidVmcs(const ValidVmcs&) = delete;
    ValidVmcs& operator=(const ValidVmcs&) = delete;

    u64& at(F f) { return fields[static_cast<unsigned>(f)]; }

    u64& fact(Fact f) { return input.facts[static_cast<unsigned>(f)]; }

    View view() const { return View(input); }
};

} // namespace vitrine::vtx
