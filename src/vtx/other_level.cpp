// SPDX-License-Identifier: Apache-2.0
// The registers of a level that does not run, from a VMCS: of the current one, or of a region in memory.
#include "vtx/other_level.h"

#include "vtx/area_state.h"
#include "vtx/spec/ept_entry.h"
#include "vtx/unit.h"
#include "x86/control.h"

#include <fmt/format.h>

namespace vitrine::vtx {

namespace {

/// RFLAGS in the two parts that State keeps.
void put_flags(State& s, u64 value) {
    constexpr u64 low_status = 0xd5, overflow = bit(11);
    s.status = static_cast<u16>(0x0200 | (value & low_status) << 8 | (value & overflow ? 1 : 0));
    s.flags = (value & ~(low_status | overflow)) | 2;
}

} // namespace

OtherLevel::OtherLevel(Unit& unit, Cpu& cpu, u64 vmcs)
    : cpu_(cpu), ept_(unit), saved_(cpu), saved_second_(cpu.second_level) {
    const u64 present = unit.in_non_root() ? unit.vmcs().pointer() : 0;
    if (vmcs == present || !unit.in_operation() || (vmcs == 0 && !unit.vmcs().valid()))
        return;
    exchanged_ = true;
    const u64 pointer = vmcs ? vmcs : unit.vmcs().pointer();
    const auto field = [&](F f) {
        return pointer == unit.vmcs().pointer() ? unit.vmcs()[f] : Vmcs::read_region(cpu, pointer, f);
    };
    State& s = cpu;
    cpu.second_level = nullptr;
    const u64 secondaries = primary.activate_secondary_controls(field(F::primary)) ? field(F::secondary) : 0;
    if (vmcs) {
        load_guest_registers(s, field);
        put_flags(s, field(F::guest_rflags));
        s.cpl = !(s.cr0 & cr0::pe) ? u8{0} : s.flags & rflags::vm ? u8{3} : s.segments[ss].dpl();
        if (secondary.enable_ept(secondaries) && ept_levels(field(F::eptp)) <= most_ept_levels) {
            ept_.select(field(F::eptp), secondaries);
            cpu.second_level = &ept_;
        }
        label_ = fmt::format("the guest of VMCS {:x} as its last VM exit saved it (guest-state area); general "
                             "registers but RSP are not there",
                             pointer);
    } else {
        load_host_registers(s, field);
        put_flags(s, 2);
        s.cpl = 0;
        label_ = fmt::format("VMX root operation as the next VM exit will load it (host-state area of VMCS {:x}); "
                             "general registers but RSP are not there",
                             pointer);
    }
    if (pae_paging(cpu))
        for (unsigned n = 0; n < 4; ++n)
            s.pdpte[n] = cpu.second_level
                             ? field(after(F::guest_pdpte0, n))
                             : cpu.space().read<u64>(Physical{(s.cr3 & 0xffff'ffe0) + 8 * n}, cpu.requester());
}

OtherLevel::~OtherLevel() {
    if (!exchanged_)
        return;
    static_cast<State&>(cpu_) = saved_;
    cpu_.second_level = saved_second_;
}

} // namespace vitrine::vtx
