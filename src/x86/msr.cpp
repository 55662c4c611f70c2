// SPDX-License-Identifier: Apache-2.0
// Model-specific registers that belong to the processor itself; the local APIC answers for its own.
#include "x86/msr.h"

#include "x86/model.h"
#include "x86/segments.h"

#include <algorithm>
#include <iterator>

namespace vitrine {

namespace {

constexpr u64 msr_platform_info = 10 << 8           // maximum non-turbo ratio: 10 x 100 MHz
                                  | bit(31)         // CPUID faulting is there
                                  | u64{10} << 40;  // maximum efficiency ratio
constexpr u64 feature_control_locked = bit(0) | bit(2); ///< locked, VMX allowed outside SMX operation
constexpr u64 misc_enable_fast_strings = bit(0), misc_enable_thermal = bit(3), misc_enable_speedstep = bit(16),
              misc_enable_xtpr_disable = bit(23), misc_enable_bts_unavailable = bit(11), misc_enable_pebs_unavailable = bit(12),
              misc_enable_limit_cpuid = bit(22), misc_enable_xd_disable = bit(34);
constexpr u64 pat_after_reset = 0x0007'0406'0007'0406;

/// Memory types that MTRRs may hold: UC, WC, WT, WP, WB.
bool mtrr_type(u64 t) { return t == 0 || t == 1 || t == 4 || t == 5 || t == 6; }

/// PAT entries may also be UC-.
bool pat_type(u64 t) { return mtrr_type(t) || t == 7; }

template <class Valid> bool all_bytes(u64 value, Valid valid) {
    for (unsigned i = 0; i < 64; i += 8)
        if (!valid((value >> i) & 0xff))
            return false;
    return true;
}

/// Stores when no reserved bit is set.
Faultable<> store_unless(Cpu& cpu, u64& to, u64 value, u64 reserved) {
    if (value & reserved)
        return cpu.gp();
    to = value;
    return {};
}

Faultable<> store_canonical(Cpu& cpu, u64& to, u64 value) {
    if (!canonical_base(cpu, value))
        return cpu.gp();
    to = value;
    return {};
}

using Index = u32;

// ---- time -----------------------------------------------------------------------------------------------------------

Faultable<u64> read_tsc(Cpu& cpu, Index) { return cpu.tsc(); }

void move_tsc(Cpu& cpu, u64 delta) {
    cpu.tsc_offset += delta;
    cpu.apic().tsc_offset_changed(cpu.tsc_offset);
}

Faultable<> write_tsc(Cpu& cpu, Index, u64 value) {
    const u64 delta = value - cpu.tsc();
    cpu.msr.tsc_adjust += delta;
    move_tsc(cpu, delta);
    return {};
}

bool exists_tsc_adjust(const CpuModel& m) { return m.has(Feature::tsc_adjust); }

Faultable<u64> read_tsc_adjust(Cpu& cpu, Index) { return cpu.msr.tsc_adjust; }

Faultable<> write_tsc_adjust(Cpu& cpu, Index, u64 value) {
    const u64 delta = value - cpu.msr.tsc_adjust;
    cpu.msr.tsc_adjust = value;
    move_tsc(cpu, delta);
    return {};
}

bool exists_tsc_aux(const CpuModel& m) { return m.has(Feature::rdtscp) || m.has(Feature::rdpid); }

Faultable<u64> read_tsc_aux(Cpu& cpu, Index) { return cpu.msr.tsc_aux; }

Faultable<> write_tsc_aux(Cpu& cpu, Index, u64 value) { return store_unless(cpu, cpu.msr.tsc_aux, value, ~low_mask(32)); }

// ---- local APIC -----------------------------------------------------------------------------------------------------

Faultable<u64> read_apic_base(Cpu& cpu, Index) { return cpu.apic().base(); }

Faultable<> write_apic_base(Cpu& cpu, Index, u64 value) {
    if (!cpu.apic().set_base(value))
        return cpu.gp();
    // Where the xAPIC page lies decides which pages may be accessed directly.
    cpu.tlb().drop_tags();
    cpu.events_changed();
    return {};
}

Faultable<u64> read_through_apic(Cpu& cpu, Index msr) {
    u64 value = 0;
    if (!cpu.apic().read_msr(msr, value))
        return cpu.gp();
    return value;
}

Faultable<> write_through_apic(Cpu& cpu, Index msr, u64 value) {
    if (!cpu.apic().write_msr(msr, value))
        return cpu.gp();
    cpu.events_changed();
    return {};
}

bool exists_x2apic(const CpuModel& m) { return m.has(Feature::x2apic); }

Faultable<u64> read_x2apic(Cpu& cpu, Index msr) { return read_through_apic(cpu, msr); }

Faultable<> write_x2apic(Cpu& cpu, Index msr, u64 value) { return write_through_apic(cpu, msr, value); }

bool exists_tsc_deadline(const CpuModel& m) { return m.has(Feature::tsc_deadline); }

Faultable<u64> read_tsc_deadline(Cpu& cpu, Index msr) { return read_through_apic(cpu, msr); }

Faultable<> write_tsc_deadline(Cpu& cpu, Index msr, u64 value) { return write_through_apic(cpu, msr, value); }

// ---- what the package is --------------------------------------------------------------------------------------------

Faultable<u64> read_platform_id(Cpu&, Index) { return u64{0}; }

Faultable<u64> read_platform_info(Cpu&, Index) { return msr_platform_info; }

/// Where CPUID tells by the model alone: those since Ice Lake have it.
bool exists_test_ctrl(const CpuModel& m) { return m.vendor == Vendor::intel && m.identity->generation >= Generation::icelake; }

Faultable<u64> read_test_ctrl(Cpu& cpu, Index) { return cpu.msr.test_ctrl; }

Faultable<> write_test_ctrl(Cpu& cpu, Index, u64 value) { return store_unless(cpu, cpu.msr.test_ctrl, value, ~test_ctrl::split_lock_ac); }

Faultable<u64> read_smi_count(Cpu& cpu, Index) { return cpu.msr.smi_count; }

Faultable<u64> read_feature_control(Cpu& cpu, Index) { return cpu.msr.feature_control; }

Faultable<> write_feature_control(Cpu& cpu, Index, u64 value) {
    constexpr u64 known = bit(0) | bit(1) | bit(2);
    if (cpu.msr.feature_control & 1)
        return cpu.gp();
    return store_unless(cpu, cpu.msr.feature_control, value, ~known);
}

Faultable<> write_bios_updt_trig(Cpu& cpu, Index, u64 value) {
    // Our microcode is always newer than what is offered, and the update is refused without a word, as silicon does.
    cpu.glass().odd(Topic::cpu, "microcode.update-refused", {{"address", value}});
    return {};
}

Faultable<u64> read_bios_sign_id(Cpu& cpu, Index) { return cpu.msr.bios_sign_id; }

Faultable<> write_bios_sign_id(Cpu& cpu, Index, u64 value) {
    cpu.msr.bios_sign_id = value;
    return {};
}

Faultable<u64> read_misc_features_enables(Cpu& cpu, Index) { return cpu.msr.misc_features_enables; }

Faultable<> write_misc_features_enables(Cpu& cpu, Index, u64 value) {
    return store_unless(cpu, cpu.msr.misc_features_enables, value, ~bit(0)); // CPUID faulting
}

Faultable<u64> read_misc_enable(Cpu& cpu, Index) { return cpu.msr.misc_enable; }

Faultable<> write_misc_enable(Cpu& cpu, Index, u64 value) {
    // Thermal control, SpeedStep and xTPR messages can be switched and have nothing to switch.
    const u64 writable = misc_enable_fast_strings | misc_enable_thermal | misc_enable_speedstep | misc_enable_limit_cpuid |
                         misc_enable_xtpr_disable | (cpu.model().has(Feature::monitor) ? misc_enable::monitor : 0) |
                         (cpu.model().has(Feature::nx) ? misc_enable_xd_disable : 0);
    constexpr u64 read_only = misc_enable_bts_unavailable | misc_enable_pebs_unavailable;
    if (value & ~(writable | read_only))
        return cpu.gp();
    cpu.msr.misc_enable = (cpu.msr.misc_enable & read_only) | (value & writable);
    return {};
}

// ---- idle states: registers that drivers of MWAIT write first; C1 is all there is ---------------------------------------

bool exists_idle_states(const CpuModel& m) { return m.vendor == Vendor::intel && m.has(Feature::monitor); }

Faultable<u64> read_pkg_cst_config(Cpu& cpu, Index) { return cpu.msr.pkg_cst_config; }

Faultable<> write_pkg_cst_config(Cpu& cpu, Index, u64 value) {
    constexpr u64 limit = low_mask(3), io_redirection = bit(10), lock = bit(15), demotion = low_mask(31) - low_mask(25);
    if ((cpu.msr.pkg_cst_config & lock) && ((value ^ cpu.msr.pkg_cst_config) & low_mask(16)))
        return cpu.gp();
    return store_unless(cpu, cpu.msr.pkg_cst_config, value, ~(limit | io_redirection | lock | demotion));
}

Faultable<u64> read_power_ctl(Cpu& cpu, Index) { return cpu.msr.power_ctl; }

Faultable<> write_power_ctl(Cpu& cpu, Index, u64 value) {
    constexpr u64 processor_hot = bit(0), c1e = bit(1);
    return store_unless(cpu, cpu.msr.power_ctl, value, ~(processor_hot | c1e));
}

// ---- speculation ----------------------------------------------------------------------------------------------------

bool exists_arch_capabilities(const CpuModel& m) { return m.has(Feature::arch_capabilities); }

Faultable<u64> read_arch_capabilities(Cpu& cpu, Index) { return cpu.model().arch_capabilities(); }

bool exists_spec_ctrl(const CpuModel& m) { return m.has(Feature::ibrs_ibpb) || m.has(Feature::stibp) || m.has(Feature::ssbd); }

Faultable<u64> read_spec_ctrl(Cpu& cpu, Index) { return cpu.msr.spec_ctrl; }

Faultable<> write_spec_ctrl(Cpu& cpu, Index, u64 value) {
    const u64 known = (cpu.model().has(Feature::ibrs_ibpb) ? bit(0) : 0) | (cpu.model().has(Feature::stibp) ? bit(1) : 0) |
                      (cpu.model().has(Feature::ssbd) ? bit(2) : 0);
    return store_unless(cpu, cpu.msr.spec_ctrl, value, ~known);
}

bool exists_pred_cmd(const CpuModel& m) { return m.has(Feature::ibrs_ibpb); }

Faultable<> write_pred_cmd(Cpu& cpu, Index, u64 value) {
    u64 nothing = 0;
    return store_unless(cpu, nothing, value, ~bit(0)); // IBPB: there is no predictor to flush
}

bool exists_flush_cmd(const CpuModel& m) { return m.has(Feature::l1d_flush); }

Faultable<> write_flush_cmd(Cpu& cpu, Index, u64 value) {
    u64 nothing = 0;
    return store_unless(cpu, nothing, value, ~bit(0)); // L1D_FLUSH: there is no cache to flush
}

// ---- memory types: kept and checked; every access is coherent whatever they say -----------------------------------------

Faultable<u64> read_mtrrcap(Cpu&, Index) { return MsrState::mtrr_pairs | bit(8) | bit(10); } // fixed ranges, WC

Faultable<u64> read_mtrr_phys(Cpu& cpu, Index msr) { return cpu.msr.mtrr_variable[msr - 0x200]; }

Faultable<> write_mtrr_phys(Cpu& cpu, Index msr, u64 value) {
    const bool mask = msr & 1;
    const u64 reserved = ~low_mask(cpu.model().physical_bits) | (mask ? 0x7ff : 0xf00);
    if (!mask && !mtrr_type(value & 0xff))
        return cpu.gp();
    return store_unless(cpu, cpu.msr.mtrr_variable[msr - 0x200], value, reserved);
}

/// 0 to 10: 64K, two 16K, eight 4K.
u64& fixed_mtrr(Cpu& cpu, Index msr) {
    return cpu.msr.mtrr_fixed[msr == 0x250 ? 0 : msr <= 0x259 ? msr - 0x257 : msr - 0x265];
}

Faultable<> write_fixed(Cpu& cpu, Index msr, u64 value) {
    if (!all_bytes(value, mtrr_type))
        return cpu.gp();
    fixed_mtrr(cpu, msr) = value;
    return {};
}

Faultable<u64> read_mtrr_fix64k_00000(Cpu& cpu, Index msr) { return fixed_mtrr(cpu, msr); }

Faultable<> write_mtrr_fix64k_00000(Cpu& cpu, Index msr, u64 value) { return write_fixed(cpu, msr, value); }

Faultable<u64> read_mtrr_fix16k_80000(Cpu& cpu, Index msr) { return fixed_mtrr(cpu, msr); }

Faultable<> write_mtrr_fix16k_80000(Cpu& cpu, Index msr, u64 value) { return write_fixed(cpu, msr, value); }

Faultable<u64> read_mtrr_fix4k_c0000(Cpu& cpu, Index msr) { return fixed_mtrr(cpu, msr); }

Faultable<> write_mtrr_fix4k_c0000(Cpu& cpu, Index msr, u64 value) { return write_fixed(cpu, msr, value); }

Faultable<u64> read_mtrr_def_type(Cpu& cpu, Index) { return cpu.msr.mtrr_def_type; }

Faultable<> write_mtrr_def_type(Cpu& cpu, Index, u64 value) {
    if (!mtrr_type(value & 0xff))
        return cpu.gp();
    return store_unless(cpu, cpu.msr.mtrr_def_type, value, ~u64{0xcff});
}

Faultable<u64> read_pat(Cpu& cpu, Index) { return cpu.msr.pat; }

Faultable<> write_pat(Cpu& cpu, Index, u64 value) {
    if (!all_bytes(value, pat_type))
        return cpu.gp();
    cpu.msr.pat = value;
    return {};
}

// ---- machine check: no banks ----------------------------------------------------------------------------------------

Faultable<u64> read_mcg_cap(Cpu&, Index) { return u64{0}; }

Faultable<u64> read_mcg_status(Cpu& cpu, Index) { return cpu.msr.mcg_status; }

Faultable<> write_mcg_status(Cpu& cpu, Index, u64 value) { return store_unless(cpu, cpu.msr.mcg_status, value, ~u64{7}); }

// ---- debugging ------------------------------------------------------------------------------------------------------

Faultable<u64> read_debugctl(Cpu& cpu, Index) { return cpu.msr.debugctl; }

Faultable<> write_debugctl(Cpu& cpu, Index, u64 value) {
    TRY(store_unless(cpu, cpu.msr.debugctl, value, ~u64{3})); // LBR, BTF
    cpu.events_changed();
    return {};
}

// ---- system calls and bases -----------------------------------------------------------------------------------------

Faultable<u64> read_sysenter_cs(Cpu& cpu, Index) { return cpu.msr.sysenter_cs; }

Faultable<> write_sysenter_cs(Cpu& cpu, Index, u64 value) {
    cpu.msr.sysenter_cs = value & low_mask(32);
    return {};
}

Faultable<u64> read_sysenter_esp(Cpu& cpu, Index) { return cpu.msr.sysenter_esp; }

Faultable<> write_sysenter_esp(Cpu& cpu, Index, u64 value) { return store_canonical(cpu, cpu.msr.sysenter_esp, value); }

Faultable<u64> read_sysenter_eip(Cpu& cpu, Index) { return cpu.msr.sysenter_eip; }

Faultable<> write_sysenter_eip(Cpu& cpu, Index, u64 value) { return store_canonical(cpu, cpu.msr.sysenter_eip, value); }

Faultable<u64> read_star(Cpu& cpu, Index) { return cpu.msr.star; }

Faultable<> write_star(Cpu& cpu, Index, u64 value) {
    cpu.msr.star = value;
    return {};
}

Faultable<u64> read_lstar(Cpu& cpu, Index) { return cpu.msr.lstar; }

Faultable<> write_lstar(Cpu& cpu, Index, u64 value) { return store_canonical(cpu, cpu.msr.lstar, value); }

Faultable<u64> read_cstar(Cpu& cpu, Index) { return cpu.msr.cstar; }

Faultable<> write_cstar(Cpu& cpu, Index, u64 value) { return store_canonical(cpu, cpu.msr.cstar, value); }

Faultable<u64> read_fmask(Cpu& cpu, Index) { return cpu.msr.fmask; }

Faultable<> write_fmask(Cpu& cpu, Index, u64 value) { return store_unless(cpu, cpu.msr.fmask, value, ~low_mask(32)); }

Faultable<u64> read_fs_base(Cpu& cpu, Index) { return cpu.segments[fs].base; }

Faultable<u64> read_gs_base(Cpu& cpu, Index) { return cpu.segments[gs].base; }

Faultable<> write_base(Cpu& cpu, SegmentName s, u64 value) {
    TRY(store_canonical(cpu, cpu.segments[s].base, value));
    cpu.segment_changed(s);
    return {};
}

Faultable<> write_fs_base(Cpu& cpu, Index, u64 value) { return write_base(cpu, fs, value); }

Faultable<> write_gs_base(Cpu& cpu, Index, u64 value) { return write_base(cpu, gs, value); }

Faultable<u64> read_kernel_gs_base(Cpu& cpu, Index) { return cpu.msr.kernel_gs_base; }

Faultable<> write_kernel_gs_base(Cpu& cpu, Index, u64 value) { return store_canonical(cpu, cpu.msr.kernel_gs_base, value); }

Faultable<u64> read_efer(Cpu& cpu, Index) { return cpu.efer; }

Faultable<> write_efer(Cpu& cpu, Index, u64 value) {
    u64 allowed = cpu.model().efer_allowed();
    if (cpu.msr.misc_enable & misc_enable_xd_disable)
        allowed &= ~efer::nxe;
    if (value & ~allowed)
        return cpu.gp();
    if (((value ^ cpu.efer) & efer::lme) && (cpu.cr0 & cr0::pg))
        return cpu.gp();
    cpu.efer = (value & ~efer::lma) | (cpu.efer & efer::lma);
    cpu.mode_changed();
    return {};
}

// ---- VMX capabilities -----------------------------------------------------------------------------------------------

bool exists_vmx(const CpuModel& m) { return m.has(Feature::vmx); }

Faultable<u64> read_vmx(Cpu& cpu, Index msr) {
    u64 value = 0;
    if (!cpu.vmx || !cpu.vmx->read_msr(msr, value))
        return cpu.gp();
    return value;
}

bool exists_pkrs(const CpuModel& m) { return m.has(Feature::pks); }

Faultable<u64> read_pkrs(Cpu& cpu, Index) { return u64{cpu.msr.pkrs}; }

Faultable<> write_pkrs(Cpu& cpu, Index, u64 value) {
    if (value >> 32)
        return cpu.gp();
    cpu.msr.pkrs = static_cast<u32>(value);
    cpu.paging_changed();
    return {};
}

// ---- AMD's performance counters: they can be programmed, and no event that they could count ever happens ----------------

bool exists_perf_legacy(const CpuModel& m) { return m.vendor == Vendor::amd; }

Faultable<u64> read_perf_legacy_ctl(Cpu& cpu, Index msr) { return cpu.msr.perf_event_select[msr & 3]; }

Faultable<> write_perf_legacy_ctl(Cpu& cpu, Index msr, u64 value) {
    return store_unless(cpu, cpu.msr.perf_event_select[msr & 3], value, ~u64{0x3f0'ffff'ffff});
}

Faultable<u64> read_perf_legacy_ctr(Cpu& cpu, Index msr) { return cpu.msr.perf_counter[msr & 3]; }

Faultable<> write_perf_legacy_ctr(Cpu& cpu, Index msr, u64 value) {
    cpu.msr.perf_counter[msr & 3] = value & low_mask(48);
    return {};
}

bool exists_xss(const CpuModel& m) { return m.has(Feature::xsaves); }

Faultable<u64> read_xss(Cpu& cpu, Index) { return cpu.msr.xss; }

Faultable<> write_xss(Cpu& cpu, Index, u64 value) { return store_unless(cpu, cpu.msr.xss, value, ~xss_supported(cpu.model())); }

// ---- the table ------------------------------------------------------------------------------------------------------

/// A row without an exists_ID of its own is in every model.
using Exists = bool (*)(const CpuModel&);
constexpr Exists exists_everywhere = nullptr;

struct ExistsRow {
    std::string_view id;
    Exists exists;
};

constexpr ExistsRow conditions[] = {
    {"tsc_adjust", exists_tsc_adjust}, {"tsc_aux", exists_tsc_aux},           {"x2apic", exists_x2apic},
    {"tsc_deadline", exists_tsc_deadline}, {"arch_capabilities", exists_arch_capabilities}, {"spec_ctrl", exists_spec_ctrl},
    {"pred_cmd", exists_pred_cmd},     {"flush_cmd", exists_flush_cmd},       {"xss", exists_xss},
    {"vmx", exists_vmx},               {"test_ctrl", exists_test_ctrl},
    {"pkg_cst_config", exists_idle_states}, {"power_ctl", exists_idle_states},
    {"pkrs", exists_pkrs},             {"perf_legacy_ctl", exists_perf_legacy}, {"perf_legacy_ctr", exists_perf_legacy},
};

constexpr Exists exists_of(std::string_view id) {
    for (const ExistsRow& row : conditions)
        if (row.id == id)
            return row.exists;
    return exists_everywhere;
}

#define VITRINE_MSR_rw(id) read_##id, write_##id
#define VITRINE_MSR_ro(id) read_##id, nullptr
#define VITRINE_MSR_wo(id) nullptr, write_##id
constexpr MsrRow rows[] = {
#define MSR(id, index, count, access, name) {#id, index, count, name, exists_of(#id), VITRINE_MSR_##access(id)},
#include "x86/spec/msrs.def"
#undef MSR
};

/// Ascending and disjoint, so that a binary search finds the row.
constexpr bool ordered() {
    for (std::size_t i = 1; i < std::size(rows); ++i)
        if (rows[i].index < rows[i - 1].index + rows[i - 1].count)
            return false;
    return true;
}
static_assert(ordered());

} // namespace

std::span<const MsrRow> msr_rows() { return rows; }

const MsrRow* find_msr(const CpuModel& model, u32 msr) {
    const MsrRow* row = std::upper_bound(std::begin(rows), std::end(rows), msr, [](u32 m, const MsrRow& r) { return m < r.index; });
    if (row == std::begin(rows))
        return nullptr;
    --row;
    return row->covers(msr) && (!row->exists || row->exists(model)) ? row : nullptr;
}

Faultable<u64> read_msr(Cpu& cpu, u32 msr) {
    const MsrRow* row = find_msr(cpu.model(), msr);
    if (!row)
        cpu.glass().odd(Topic::cpu, "msr.unknown", {{"access", "RDMSR"}, {"index", msr}, {"rip", cpu.rip}});
    if (!row || !row->read)
        return cpu.gp();
    const Faultable<u64> value = row->read(cpu, msr);
    if (cpu.glass().on(Topic::cpu)) [[unlikely]]
        cpu.glass().tell(Topic::cpu, value.ok() ? "rdmsr" : "rdmsr.refused",
                         {{"msr", msr}, {"name", row->name}, {"value", value.ok() ? value.value() : 0}, {"rip", cpu.rip}});
    return value;
}

Faultable<> write_msr(Cpu& cpu, u32 msr, u64 value) {
    const MsrRow* row = find_msr(cpu.model(), msr);
    if (!row)
        cpu.glass().odd(Topic::cpu, "msr.unknown", {{"access", "WRMSR"}, {"index", msr}, {"value", value}, {"rip", cpu.rip}});
    if (!row || !row->write)
        return cpu.gp();
    const Faultable<> done = row->write(cpu, msr, value);
    cpu.glass().tell(Topic::cpu, done.ok() ? "wrmsr" : "wrmsr.refused", {{"msr", msr}, {"name", row->name}, {"value", value}, {"rip", cpu.rip}});
    return done;
}

void reset_msrs(MsrState& msr, const CpuModel& model, Reset kind) {
    if (kind == Reset::init)
        return;
    msr = MsrState{};
    msr.pat = pat_after_reset;
    msr.feature_control = feature_control_locked;
    msr.misc_enable = misc_enable_fast_strings | misc_enable_bts_unavailable | misc_enable_pebs_unavailable |
                      (model.has(Feature::monitor) ? misc_enable::monitor : 0);
    msr.bios_sign_id = u64{model.identity->microcode} << 32;
}

} // namespace vitrine
