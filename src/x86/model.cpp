// SPDX-License-Identifier: Apache-2.0
// CPU models as data: the named generations, their identity, and what follows from a set of features.
#include "x86/model.h"

#include "x86/bits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace vitrine {

namespace {

using enum CpuidRegister;

// clang-format off
constexpr FeatureRow rows[] = {
#define CPUID_FEATURE(id, since, owner, leaf, subleaf, reg, bit, name)                                                  \
    {Feature::id, #id, Generation::since, std::string_view(#owner) == "host", leaf, subleaf, reg, bit, name},
#include "x86/spec/cpuid.def"
#undef CPUID_FEATURE
};

/// What leaf 4 says of one cache, the fields that depend on the number of processors left zero.
constexpr CpuidResult cache(u32 type, u32 level, u32 ways, u32 sets, u32 flags) {
    return {type | level << 5 | 1 << 8, (ways - 1) << 22 | 63, sets - 1, flags};
}

constexpr CpuIdentity identities[] = {
    {.name = "icelake-server", .meaning = "Xeon Scalable of the third generation, as far as every allowed host computes it",
     .brand = "Vitrine Processor (Ice Lake-SP) @ 1.00GHz", .generation = Generation::icelake,
     .family = 6, .model = 0x6a, .stepping = 6, .microcode = 0x0d000410, .max_leaf = 0x1f, .physical_bits = 46,
     .leaf2 = {0x00feff01, 0xf0, 0, 0},
     .caches = {cache(1, 1, 12, 64, 0), cache(2, 1, 8, 64, 0), cache(3, 2, 20, 1024, 0), cache(3, 3, 12, 32768, 0)}},
    {.name = "max", .meaning = "icelake-server with every computing instruction that this computer has",
     .brand = "Vitrine Processor (max) @ 1.00GHz", .generation = Generation::max,
     .family = 6, .model = 0x6a, .stepping = 6, .microcode = 0x0d000410, .max_leaf = 0x1f, .physical_bits = 46,
     .leaf2 = {0x00feff01, 0xf0, 0, 0},
     .caches = {cache(1, 1, 12, 64, 0), cache(2, 1, 8, 64, 0), cache(3, 2, 20, 1024, 0), cache(3, 3, 12, 32768, 0)}},
    {.name = "skylake-server", .meaning = "Xeon Scalable of the first generation, without AVX-512",
     .brand = "Vitrine Processor (Skylake-SP) @ 1.00GHz", .generation = Generation::skylake,
     .family = 6, .model = 0x55, .stepping = 4, .microcode = 0x02007006, .max_leaf = 0x16, .physical_bits = 46,
     .leaf2 = {0x76036301, 0x00f0b5ff, 0, 0x00c30000},
     .caches = {cache(1, 1, 8, 64, 0), cache(2, 1, 8, 64, 0), cache(3, 2, 16, 1024, 0), cache(3, 3, 11, 32768, 4)}},
    {.name = "nehalem", .meaning = "Xeon 5500, for old software: SSE4.2, no AVX, no XSAVE",
     .brand = "Vitrine Processor (Nehalem) @ 1.00GHz", .generation = Generation::nehalem,
     .family = 6, .model = 0x1a, .stepping = 5, .microcode = 0x1d, .max_leaf = 0xb, .physical_bits = 40,
     .leaf2 = {0x55035a01, 0x00f0b2e4, 0, 0x09ca212c},
     .caches = {cache(1, 1, 8, 64, 0), cache(2, 1, 4, 128, 0), cache(3, 2, 8, 512, 0), cache(3, 3, 16, 8192, 2)}},
};

struct IsaNeeds {
    ZydisISASet set;
    Feature first, second;
};

constexpr IsaNeeds isa_needs[] = {
#define ISA_SET(set, first, second) {ZYDIS_ISA_SET_##set, Feature::first, Feature::second},
#include "x86/spec/isa_sets.def"
#undef ISA_SET
};

constexpr ZydisISASet isa_never[] = {
#define ISA_SET_NEVER(set) ZYDIS_ISA_SET_##set,
#include "x86/spec/isa_sets_never.def"
#undef ISA_SET_NEVER
};

/// Bits of CR4 and the feature that each needs.
constexpr struct { u64 bits; Feature needs; } cr4_needs[] = {
    {cr4::vme | cr4::pvi, Feature::vme},
    {cr4::tsd, Feature::tsc},
    {cr4::de, Feature::de},
    {cr4::pse, Feature::pse},
    {cr4::pae, Feature::pae},
    {cr4::mce, Feature::mce},
    {cr4::pge, Feature::pge},
    {cr4::pce, Feature::msr},
    {cr4::osfxsr, Feature::fxsr},
    {cr4::osxmmexcpt, Feature::sse},
    {cr4::umip, Feature::umip},
    {cr4::la57, Feature::la57},
    {cr4::vmxe, Feature::vmx},
    {cr4::fsgsbase, Feature::fsgsbase},
    {cr4::pcide, Feature::pcid},
    {cr4::osxsave, Feature::xsave},
    {cr4::smep, Feature::smep},
    {cr4::smap, Feature::smap},
    {cr4::pke, Feature::pku},
    {cr4::pks, Feature::pks},
};

/// IA32_ARCH_CAPABILITIES (SDM volume 4, Architectural MSRs).
constexpr u64 arch_capability_bits = bit(0)    // RDCL_NO
                                     | bit(1)  // IBRS_ALL
                                     | bit(3)  // SKIP_L1DFL_VMENTRY
                                     | bit(4)  // SSB_NO
                                     | bit(5)  // MDS_NO
                                     | bit(6)  // IF_PSCHANGE_MC_NO
                                     | bit(8)  // TAA_NO
                                     | bit(13) // SBDR_SSDP_NO
                                     | bit(14) // FBSDP_NO
                                     | bit(15) // PSDP_NO
                                     | bit(20) // BHI_NO
                                     | bit(24) // PBRSB_NO
                                     | bit(26) // GDS_NO
                                     | bit(27) // RFDS_NO
                                     | bit(62); // ITS_NO
// clang-format on

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

u32 signature_of(const CpuIdentity& i) {
    return i.stepping | (i.model & 0xfu) << 4 | u32{i.family} << 8 | (u32{i.model} >> 4) << 16;
}

std::string list_of_names() {
    std::string names;
    for (const CpuIdentity& i : identities)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", i.name);
    return names;
}

} // namespace

std::span<const FeatureRow> feature_rows() { return rows; }

std::span<const CpuIdentity> cpu_identities() { return identities; }

void CpuModel::set(Feature f, bool on) {
    features_[static_cast<unsigned>(f)] = on;
    derive();
}

void CpuModel::derive() {
    has_1g_pages = has(Feature::page_1g);
    isa_sets_.set();
    for (const IsaNeeds& n : isa_needs)
        isa_sets_[n.set] = has(n.first) && has(n.second);
    for (const ZydisISASet set : isa_never)
        isa_sets_[set] = false;
    cr4_allowed_ = 0;
    for (const auto& n : cr4_needs)
        if (has(n.needs))
            cr4_allowed_ |= n.bits;
    efer_allowed_ = (has(Feature::syscall) ? efer::sce : 0) | (has(Feature::lm) ? efer::lme | efer::lma : 0) |
                    (has(Feature::nx) ? efer::nxe : 0);
}

bool CpuModel::allows(const ZydisDecodedInstruction& i) const {
    if (i.meta.isa_set == ZYDIS_ISA_SET_CET) {
        // Hints of control-flow enforcement are NOPs on processors without it; the rest does not exist.
        switch (i.mnemonic) {
        case ZYDIS_MNEMONIC_ENDBR32:
        case ZYDIS_MNEMONIC_ENDBR64:
        case ZYDIS_MNEMONIC_RDSSPD:
        case ZYDIS_MNEMONIC_RDSSPQ: return true;
        default: return has(Feature::cet_ss);
        }
    }
    // The decoder has two SYSCALLs: one of 64-bit mode, and AMD's of the other modes.
    if (i.meta.isa_set == ZYDIS_ISA_SET_AMD && (i.mnemonic == ZYDIS_MNEMONIC_SYSCALL || i.mnemonic == ZYDIS_MNEMONIC_SYSRET))
        return vendor == Vendor::amd && has(Feature::syscall);
    return isa_sets_[i.meta.isa_set];
}

u64 CpuModel::arch_capabilities() const { return has(Feature::arch_capabilities) ? arch_capability_bits : 0; }

u64 xcr0_supported(const CpuModel& model) {
    if (!model.has(Feature::xsave))
        return 1;
    return 3 | (model.has(Feature::avx) ? 4 : 0) | (model.has(Feature::avx512f) ? 0xe0 : 0) |
           (model.has(Feature::pku) ? 0x200 : 0);
}

u64 xss_supported(const CpuModel&) { return 0; }

Expected<CpuModel> find_cpu_model(std::string_view text) {
    const std::string_view asked = text.substr(0, text.find(','));
    const std::string_view base = asked.empty() ? std::string_view(identities[0].name) : asked;
    const auto found =
        std::find_if(std::begin(identities), std::end(identities), [&](const CpuIdentity& i) { return same_name(i.name, base); });
    if (found == std::end(identities))
        return Error(fmt::format("--cpu {}: there is no such model; choose one of {}", base, list_of_names()));
    CpuModel model;
    model.identity = found;
    model.name = text.empty() ? found->name : std::string(text);
    model.signature = signature_of(*found);
    model.physical_bits = found->physical_bits;
    for (const FeatureRow& row : rows)
        if (row.since < Generation::max ? row.since <= found->generation
                                        : row.since == Generation::max && found->generation == Generation::max && host_has(row.id))
            model.set(row.id);
    for (std::size_t at = text.find(','); at != std::string_view::npos;) {
        const std::size_t end = text.find(',', at + 1);
        const std::string_view item = text.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
        at = end;
        if (static constexpr std::string_view physical = "phys_bits="; item.starts_with(physical)) {
            const std::string_view digits = item.substr(physical.size());
            const auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), model.physical_bits);
            if (error != std::errc{} || last != digits.data() + digits.size() || model.physical_bits < 32 || model.physical_bits > 52)
                return Error(fmt::format("--cpu {}: phys_bits must be a number from 32 to 52", text));
            continue;
        }
        if (item.starts_with("vendor=")) {
            if (item != "vendor=GenuineIntel" && item != "vendor=AuthenticAMD")
                return Error(fmt::format("--cpu {}: vendor must be GenuineIntel or AuthenticAMD", text));
            model.vendor = item == "vendor=AuthenticAMD" ? Vendor::amd : Vendor::intel;
            continue;
        }
        const std::string_view key = item.substr(item.empty() ? 0 : 1);
        const auto row = std::find_if(std::begin(rows), std::end(rows), [&](const FeatureRow& r) { return same_name(r.key, key); });
        if (item.empty() || (item[0] != '+' && item[0] != '-') || row == std::end(rows))
            return Error(fmt::format("--cpu {}: '{}' is not +FEATURE or -FEATURE (features: vitrine cpus)", text, item));
        if (item[0] == '+' && row->since == Generation::later && !model.has(row->id))
            return Error(fmt::format("--cpu {}: {} is not implemented", text, row->name));
        model.set(row->id, item[0] == '+');
    }
    std::string missing;
    for (const FeatureRow& row : rows)
        if (row.host && model.has(row.id) && !host_has(row.id))
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", row.name);
    if (!missing.empty())
        return Error(fmt::format("--cpu {}: this computer's processor lacks {}, which the model computes with", model.name, missing));
    return model;
}

Expected<> check_host() {
    std::string missing;
    for (const FeatureRow& row : rows)
        if (row.host && row.since <= Generation::icelake && !host_has(row.id))
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", row.name);
    if (missing.empty())
        return {};
    return Error(fmt::format("this computer's processor lacks {}: Vitrine needs x86-64-v3 with AES and PCLMULQDQ", missing));
}

} // namespace vitrine
