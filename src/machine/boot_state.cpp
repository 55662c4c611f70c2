// SPDX-License-Identifier: Apache-2.0
// Firmware's boot state to a processor's registers.
#include "machine/boot_state.h"

#include "x86/model.h"
#include "x86/msr.h"

namespace vitrine::machine {

void apply(const firmware::BootState& state, Cpu& cpu) {
    const std::pair<SegmentName, const firmware::SegmentState*> segments[] = {
        {es, &state.es}, {cs, &state.cs}, {ss, &state.ss},     {ds, &state.ds},
        {fs, &state.fs}, {gs, &state.gs}, {ldtr, &state.ldtr}, {tr, &state.tr},
    };
    for (const auto& [name, from] : segments)
        cpu.segments[name] = {.base = from->base, .limit = from->limit, .rights = from->access_rights, .selector = from->selector};
    cpu.cpl = cpu.segments[ss].dpl();
    for (unsigned n = 0; n < state.general.size(); ++n)
        cpu.gpr[n] = state.general[n];
    cpu.gdtr.base = state.gdtr.base;
    cpu.gdtr.limit = state.gdtr.limit;
    cpu.idtr.base = state.idtr.base;
    cpu.idtr.limit = state.idtr.limit;
    cpu.cr0 = state.cr0;
    cpu.cr3 = state.cr3;
    cpu.cr4 = state.cr4;
    cpu.efer = state.efer;
    cpu.rip = state.rip;
    cpu.set_rflags(state.rflags);
    cpu.mode_changed();
}

u64 feature_control_of(const CpuModel& model) {
    constexpr u64 locked = bit(0), vmx_outside_smx = bit(2);
    return locked | (model.has(Feature::vmx) ? vmx_outside_smx : 0);
}

Expected<> apply_msrs(const firmware::BootState& state, Cpu& cpu) {
    for (const firmware::MsrValue& m : state.every_processor)
        if (!write_msr(cpu, m.index, m.value).ok())
            return Error("firmware cannot set MSR " + std::to_string(m.index) + " of --cpu " + cpu.model().name);
    cpu.msr.feature_control = feature_control_of(cpu.model());
    return {};
}

} // namespace vitrine::machine
