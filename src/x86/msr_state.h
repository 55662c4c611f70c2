// SPDX-License-Identifier: Apache-2.0
// What the model-specific registers of one processor hold, apart from those that live in State itself or in its local APIC.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"

#include <array>

namespace vitrine {

/// Names are the SDM's without IA32_. EFER, FS and GS base, TSC and APIC_BASE are elsewhere.
struct MsrState {
    static constexpr unsigned mtrr_pairs = 8;

    u64 star = 0, lstar = 0, cstar = 0, fmask = 0;
    u64 kernel_gs_base = 0;
    u64 tsc_aux = 0, tsc_adjust = 0;
    u64 sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
    u64 pat = 0;
    u64 mtrr_def_type = 0;
    std::array<u64, 11> mtrr_fixed{};
    std::array<u64, 2 * mtrr_pairs> mtrr_variable{}; ///< PHYSBASE0, PHYSMASK0, PHYSBASE1 ...
    u64 misc_enable = 0, misc_features_enables = 0;
    u64 feature_control = 0;
    u64 bios_sign_id = 0;
    u64 spec_ctrl = 0;
    u64 debugctl = 0;
    u32 pkrs = 0;
    std::array<u64, 4> perf_event_select{}, perf_counter{}; ///< AMD's
    u64 xss = 0;
    u64 mcg_status = 0;
    u64 smi_count = 0;
    u64 test_ctrl = 0;
    u64 pkg_cst_config = 0, power_ctl = 0;

    void state(Visitor& v);
};

} // namespace vitrine
