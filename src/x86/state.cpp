// SPDX-License-Identifier: Apache-2.0
// Everything that one processor's registers hold, shown to a visitor.
#include "x86/state.h"

namespace vitrine {

void Segment::state(Visitor& v) {
    v.field("selector", selector);
    v.field("base", base);
    v.field("limit", limit);
    v.field("rights", rights);
}

void TableRegister::state(Visitor& v) {
    v.field("base", base);
    v.field("limit", limit);
}

void MsrState::state(Visitor& v) {
    v.field("IA32_STAR", star);
    v.field("IA32_LSTAR", lstar);
    v.field("IA32_CSTAR", cstar);
    v.field("IA32_FMASK", fmask);
    v.field("IA32_KERNEL_GS_BASE", kernel_gs_base);
    v.field("IA32_TSC_AUX", tsc_aux);
    v.field("IA32_TSC_ADJUST", tsc_adjust);
    v.field("IA32_SYSENTER_CS", sysenter_cs);
    v.field("IA32_SYSENTER_ESP", sysenter_esp);
    v.field("IA32_SYSENTER_EIP", sysenter_eip);
    v.field("IA32_PAT", pat);
    v.field("IA32_MTRR_DEF_TYPE", mtrr_def_type);
    v.field("IA32_MTRR_FIX", mtrr_fixed);
    v.field("IA32_MTRR_PHYS", mtrr_variable);
    v.field("IA32_MISC_ENABLE", misc_enable);
    v.field("MSR_MISC_FEATURES_ENABLES", misc_features_enables);
    v.field("IA32_FEATURE_CONTROL", feature_control);
    v.field("IA32_BIOS_SIGN_ID", bios_sign_id);
    v.field("IA32_SPEC_CTRL", spec_ctrl);
    v.field("IA32_DEBUGCTL", debugctl);
    v.field("IA32_PKRS", pkrs);
    v.field("PERF_LEGACY_CTL", perf_event_select);
    v.field("PERF_LEGACY_CTR", perf_counter);
    v.field("IA32_XSS", xss);
    v.field("IA32_MCG_STATUS", mcg_status);
    v.field("MSR_SMI_COUNT", smi_count);
    v.field("MSR_TEST_CTRL", test_ctrl);
    v.field("MSR_PKG_CST_CONFIG_CONTROL", pkg_cst_config);
    v.field("MSR_POWER_CTL", power_ctl);
}

void State::state(Visitor& v) {
    // The last two slots are no registers: one is always zero, the other belongs to the running block.
    v.begin("gpr");
    for (unsigned i = 0; i < 16; ++i)
        v.field("", gpr[i]);
    v.end();
    v.field("rip", rip);
    v.field("status", status);
    v.field("flags", flags);
    v.field("segments", segments);
    v.field("gdtr", gdtr);
    v.field("idtr", idtr);
    v.field("cr0", cr0);
    v.field("cr2", cr2);
    v.field("cr3", cr3);
    v.field("cr4", cr4);
    v.field("efer", efer);
    v.field("xcr0", xcr0);
    v.field("pdpte", pdpte);
    v.field("dr", dr);
    v.field("dr6", dr6);
    v.field("dr7", dr7);
    v.field("cpl", cpl);
    v.field("activity", activity);
    v.field("sti shadow", sti_shadow);
    v.field("mov ss shadow", mov_ss_shadow);
    v.field("nmi blocked", nmi_blocked);
    v.field("nmi pending", nmi_pending);
    v.field("smi pending", smi_pending);
    v.field("init pending", init_pending);
    v.field("sipi pending", sipi_pending);
    v.field("pending debug", pending_debug);
    v.field("tsc offset", tsc_offset);
    v.field("retired", retired);
    v.field("monitor address", monitor_address);
    v.field("monitor armed", monitor_armed);
    v.field("pkru", pkru);
    v.field("random", random);
    v.field("msr", msr);
    v.field("fpu", fpu);
    if (v.loading() && (cpl > 3 || activity > Activity::mwait))
        v.refuse("a processor's state is impossible");
}

} // namespace vitrine
