// SPDX-License-Identifier: Apache-2.0
// The registers that VM entries load from the guest-state area and VM exits from the host-state area, for the
// transitions themselves and for people who look at the level that does not run (SDM volume 3, Loading Guest State,
// Loading Host State).
#pragma once

#include "vtx/spec/controls.h"
#include "vtx/spec/fields.h"
#include "x86/state.h"

namespace vitrine::vtx {

/// Bits of CR0 that transitions leave alone: ET, NW, CD and the reserved ones.
inline constexpr u64 cr0_kept = 0x7ff8'ffd0 & ~(cr0::wp | cr0::am | cr0::ne);

/// `v`: the value of a field, by F. CR0 to CR4, EFER, segments, descriptor tables, RSP and RIP.
template <class Fields>
void load_guest_registers(State& s, Fields v) {
    s.cr0 = (s.cr0 & cr0_kept) | (v(F::guest_cr0) & ~cr0_kept);
    s.cr3 = v(F::guest_cr3);
    s.cr4 = v(F::guest_cr4);
    const u64 entry = v(F::entry_controls);
    const bool ia32e = entering.ia32e_mode_guest(entry) != 0;
    if (entering.load_efer(entry))
        s.efer = v(F::guest_efer);
    else if (s.cr0 & cr0::pg)
        s.efer = (s.efer & ~(efer::lma | efer::lme)) | (ia32e ? efer::lma | efer::lme : 0);
    else
        s.efer &= ~efer::lma;
    for (unsigned n = 0; n < segment_count; ++n)
        s.segments[n] = {.base = v(guest_base(n)),
                         .limit = static_cast<u32>(v(guest_limit(n))),
                         .rights = static_cast<u32>(v(guest_access_rights(n))),
                         .selector = static_cast<u16>(v(guest_selector(n)))};
    s.gdtr = {v(F::guest_gdtr_base), static_cast<u16>(v(F::guest_gdtr_limit))};
    s.idtr = {v(F::guest_idtr_base), static_cast<u16>(v(F::guest_idtr_limit))};
    s.gpr[rsp] = v(F::guest_rsp);
    s.rip = v(F::guest_rip);
}

template <class Fields>
void load_host_registers(State& s, Fields v) {
    const u64 controls = v(F::exit_controls);
    const bool wide = exiting.host_address_space_size(controls) != 0;
    s.cr0 = (s.cr0 & cr0_kept) | (v(F::host_cr0) & ~cr0_kept);
    s.cr3 = v(F::host_cr3);
    s.cr4 = wide ? v(F::host_cr4) | cr4::pae : v(F::host_cr4) & ~cr4::pcide;
    if (exiting.load_efer(controls))
        s.efer = v(F::host_efer);
    else
        s.efer = (s.efer & ~(efer::lma | efer::lme)) | (wide ? efer::lma | efer::lme : 0);
    constexpr F selectors[] = {F::host_es_selector, F::host_cs_selector, F::host_ss_selector,
                               F::host_ds_selector, F::host_fs_selector, F::host_gs_selector};
    for (unsigned n = es; n <= gs; ++n) {
        const u16 selector = static_cast<u16>(v(selectors[n]));
        s.segments[n] = {.base = 0, .limit = 0xffff'ffff, .rights = 0xc093, .selector = selector};
        if (n == cs)
            s.segments[n].rights = wide ? 0xa09b : 0xc09b;
        else if (selector == 0)
            s.segments[n].rights = static_cast<u32>(rights::unusable.mask());
    }
    s.segments[fs].base = v(F::host_fs_base);
    s.segments[gs].base = v(F::host_gs_base);
    s.segments[tr] = {.base = v(F::host_tr_base),
                      .limit = 0x67,
                      .rights = 0x8b,
                      .selector = static_cast<u16>(v(F::host_tr_selector))};
    s.segments[ldtr] = {.base = 0, .limit = 0, .rights = static_cast<u32>(rights::unusable.mask()), .selector = 0};
    s.gdtr = {v(F::host_gdtr_base), 0xffff};
    s.idtr = {v(F::host_idtr_base), 0xffff};
    s.rip = v(F::host_rip);
    s.gpr[rsp] = v(F::host_rsp);
}

} // namespace vitrine::vtx
