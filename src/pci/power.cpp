// SPDX-License-Identifier: Apache-2.0
// Power management: a state that a function does not have is not entered; leaving D3hot keeps its state
// (No_Soft_Reset).
#include "pci/power.h"

#include "pci/function.h"
#include "pci/spec/capabilities.h"

namespace vitrine::pci {

namespace {

constexpr u32 d0 = 0, d3hot = 3;

} // namespace

PowerManagement::PowerManagement(Function& function, unsigned offset) : Capability(function, offset, 8) {
    function.link(CapabilityId::power_management, offset);
    function.power_ = this;
    config().add(pm_capabilities, offset, 3);
    config().add(pm_control, offset, static_cast<u32>(pm_control.no_soft_reset.mask()));
}

bool PowerManagement::in_d0() const {
    return state_ == d0;
}

void PowerManagement::written(unsigned dword, u32, u32 lanes) {
    if (dword != offset() + PmControl::offset || !(lanes & pm_control.power_state.mask()))
        return;
    const u32 wanted = static_cast<u32>(pm_control.power_state(config().get(pm_control, offset())));
    if (wanted != d0 && wanted != d3hot) {
        config().set(pm_control, pm_control.power_state, state_, offset());
        return;
    }
    state_ = static_cast<u8>(wanted);
    function_.remap();
}

void PowerManagement::reset() {
    state_ = d0;
}

void PowerManagement::state(Visitor& v) {
    v.field("power state", state_);
}

} // namespace vitrine::pci
