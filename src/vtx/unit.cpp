// SPDX-License-Identifier: Apache-2.0
// The VMX unit: wiring, capability MSRs, reset, state.
#include "vtx/unit.h"

#include "x86/model.h"

namespace vitrine::vtx {

Unit::Unit(Cpu& cpu, const Capabilities& capabilities)
    : cpu_(cpu), capabilities_(capabilities), ept_(*this), timer_(cpu.clock(), "VMX-preemption timer", [this] {
          if (!non_root_)
              return;
          cpu_.preemption_due = true;
          cpu_.wake_up();
      }) {
    settle(capabilities_);
    cpu_.vmx = this;
    cpu_.interceptor = this;
}

Unit::~Unit() {
    cpu_.vmx = nullptr;
    cpu_.interceptor = nullptr;
    cpu_.second_level = nullptr;
    cpu_.intercepts = 0;
}

bool Unit::read_msr(u32 msr, u64& value) const { return capability_msr(capabilities_, msr, cpu_.model().cr4_allowed(), value); }

void Unit::reset() {
    timer_.cancel();
    operation_ = non_root_ = false;
    vmxon_pointer_ = Vmcs::no_pointer;
    vmcs_.drop();
    statistics_.left(cpu_.retired_by_now());
    cpu_.intercepts = 0;
    cpu_.second_level = nullptr;
    cpu_.sub_pages = false;
    cpu_.vpid = 0;
    cpu_.cr0_required = cpu_.cr4_required = 0;
    cpu_.init_blocked = cpu_.nmi_never_blocked = cpu_.iret_keeps_nmi_blocked = false;
    cpu_.mtf_due = cpu_.preemption_due = cpu_.nmi_unblocked = cpu_.trap_exit_due = cpu_.virtual_interrupt = false;
    cpu_.apic_access_page = ~0ull;
    cpu_.delivery_time = 0;
    bus_lock_ = false;
}

void Unit::restored() { statistics_.restored(operation_, non_root_ ? vmcs_.pointer() : 0, cpu_.retired_by_now()); }

void Unit::state(Visitor& v) {
    v.field("operation", operation_);
    v.field("non-root", non_root_);
    v.field("vmxon pointer", vmxon_pointer_);
    v.field("entries", entries_);
    v.field("timer started", timer_started_);
    v.field("timer value", timer_value_);
    v.field("last apic page", last_apic_page_);
    v.field("trap reason", trap_reason_);
    v.field("trap qualification", trap_qualification_);
    v.field("bus lock", bus_lock_);
    v.field("ple first", ple_first_);
    v.field("ple last", ple_last_);
    v.field("timer", timer_);
    v.field("ept", ept_);
    v.field("vmcs", vmcs_);
    // Visited before the processor, which then selects its address space by it.
    if (v.loading()) {
        cpu_.sub_pages = non_root_ && vtx::secondary.sub_page_write_permission(secondary_controls());
        cpu_.second_level = non_root_ && vtx::secondary.enable_ept(secondary_controls()) ? &ept_ : nullptr;
    }
}

} // namespace vitrine::vtx
