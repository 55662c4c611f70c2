// SPDX-License-Identifier: Apache-2.0
// CPUID: feature words from the table, and the leaves that describe topology, caches, XSAVE, time and names.
#include "x86/armed_lines.h"
#include "x86/bits.h"
#include "x86/model.h"
#include "x86/spec/xsave.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vitrine {

namespace {

constexpr u32 line_size = ArmedLines::line_size;
constexpr u32 max_extended_leaf = 0x8000'0008;
constexpr u32 crystal_hz = 1'000'000'000; ///< the TSC counts it one to one; so does the local APIC's timer

/// Bits that hold the APIC ids of `n` processors.
u32 id_bits(unsigned n) { return n <= 1 ? 0 : static_cast<u32>(std::bit_width(n - 1)); }

/// Leaves 0BH and 1FH: one thread per core, all cores in one package.
CpuidResult topology(u32 subleaf, const CpuidContext& c) {
    CpuidResult r{.ecx = subleaf & 0xff, .edx = c.apic_id};
    if (subleaf == 0) {
        r.ebx = 1;
        r.ecx |= 1 << 8; // SMT
    } else if (subleaf == 1) {
        r.eax = id_bits(c.cpu_count);
        r.ebx = c.cpu_count;
        r.ecx |= 2 << 8; // core
    }
    return r;
}

CpuidResult xsave_leaf(const CpuModel& model, u32 subleaf, const CpuidContext& c) {
    const u64 user = xcr0_supported(model), supervisor = xss_supported(model);
    if (subleaf == 0)
        return {static_cast<u32>(user), xsave_standard_size(c.xcr0), xsave_standard_size(user), static_cast<u32>(user >> 32)};
    if (subleaf == 1)
        return {0, xsave_compacted_size(c.xcr0 | c.xss), static_cast<u32>(supervisor), static_cast<u32>(supervisor >> 32)};
    for (const XsaveComponent& x : xsave_components)
        if (x.bit == subleaf && ((user >> x.bit) & 1))
            return {x.size, x.offset, x.aligned ? 2u : 0u, 0};
    return {};
}

/// The highest leaf, and the maker's name in EBX, EDX, ECX.
CpuidResult vendor_leaf(u32 max_leaf, Vendor vendor) {
    if (vendor == Vendor::amd)
        return {max_leaf, 0x6874'7541, 0x444d'4163, 0x6974'6e65}; // AuthenticAMD
    return {max_leaf, 0x756e'6547, 0x6c65'746e, 0x4965'6e69};     // GenuineIntel
}

CpuidResult brand(const char* text, u32 part) {
    char name[48]{};
    std::memcpy(name, text, std::min<std::size_t>(std::strlen(text), sizeof name - 1));
    CpuidResult r;
    std::memcpy(&r.eax, name + 16 * part, 4);
    std::memcpy(&r.ebx, name + 16 * part + 4, 4);
    std::memcpy(&r.ecx, name + 16 * part + 8, 4);
    std::memcpy(&r.edx, name + 16 * part + 12, 4);
    return r;
}

} // namespace

CpuidResult CpuModel::cpuid(u32 leaf, u32 subleaf, const CpuidContext& c) const {
    constexpr u64 limit_cpuid = bit(22), xd_disable = bit(34); // of IA32_MISC_ENABLE
    const u32 max_leaf = c.misc_enable & limit_cpuid ? 2 : identity->max_leaf;
    // A leaf beyond the last gives what the last basic one gives.
    if (leaf >= 0x8000'0000 ? leaf > max_extended_leaf : leaf > max_leaf)
        leaf = max_leaf;
    CpuidResult r;
    switch (leaf) {
    case 0: r = vendor_leaf(max_leaf, vendor); break;
    case 1:
        r.eax = signature;
        r.ebx = 8 << 8 | (c.cpu_count > 1 ? std::min(1u << id_bits(c.cpu_count), 255u) : 1) << 16 | c.apic_id << 24;
        r.edx = c.cpu_count > 1 ? 1 << 28 : 0; // HTT: the package has more than one APIC id
        break;
    case 2: r = identity->leaf2; break;
    case 4:
        if (subleaf < 4) {
            r = identity->caches[subleaf];
            const u32 ids = (1u << std::min(id_bits(c.cpu_count), 6u)) - 1;
            r.eax |= (subleaf == 3 ? ids : 0) << 14 | ids << 26;
        }
        break;
    case 5:
        if (has(Feature::monitor))
            r = {line_size, line_size, 3, 0x20}; // MWAIT takes extensions: interrupts break it; C1 has two sub-states
        break;
    case 7:
        if (subleaf == 0)
            r.eax = identity->generation >= Generation::icelake ? 2 : 0;
        break;
    case 0xb: r = topology(subleaf, c); break;
    case 0xd:
        if (has(Feature::xsave))
            r = xsave_leaf(*this, subleaf, c);
        break;
    case 0x15: r = {1, 1, crystal_hz, 0}; break;
    case 0x16: r = {crystal_hz / 1'000'000, crystal_hz / 1'000'000, 100, 0}; break;
    case 0x1f: r = topology(subleaf, c); break;
    case 0x8000'0000:
        // Intel leaves the registers of the name zero.
        r = vendor == Vendor::amd ? vendor_leaf(max_extended_leaf, vendor) : CpuidResult{.eax = max_extended_leaf};
        break;
    case 0x8000'0002:
    case 0x8000'0003:
    case 0x8000'0004: r = brand(identity->brand, leaf - 0x8000'0002); break;
    case 0x8000'0006: r.ecx = 256 << 16 | 6 << 12 | 64; break; // L2: 8-way code, line size
    case 0x8000'0008: r.eax = physical_bits | (has(Feature::la57) ? 57 : 48) << 8; break;
    default: break;
    }
    // The subleaf matters only for leaves that have several.
    const u32 part = leaf == 7 || leaf == 0xd ? subleaf : 0;
    for (const FeatureRow& row : feature_rows())
        if (row.leaf == leaf && row.subleaf == part && has(row.id))
            r[row.reg] |= 1u << row.bit;
    const auto hide = [&](bool hidden, Feature f) {
        const FeatureRow& row = feature_rows()[static_cast<unsigned>(f)];
        if (hidden && row.leaf == leaf && row.subleaf == part)
            r[row.reg] &= ~(1u << row.bit);
    };
    hide(!c.apic_enabled, Feature::apic);
    hide(!c.mode64 && vendor == Vendor::intel, Feature::syscall);
    hide(c.misc_enable & xd_disable, Feature::nx);
    hide(!(c.misc_enable & misc_enable::monitor), Feature::monitor);
    if (leaf == 1 && c.osxsave)
        r.ecx |= 1 << 27;
    if (leaf == 7 && subleaf == 0 && c.ospke)
        r.ecx |= 1 << 4;
    return r;
}

CpuidResult CpuidMemo::ask(const CpuModel& model, u32 leaf, u32 subleaf, const CpuidContext& context) {
    Answer& a = answers_[(leaf + subleaf + (leaf >> 28)) % answers_.size()];
    if (!a.known || a.leaf != leaf || a.subleaf != subleaf || a.context != context)
        a = {leaf, subleaf, true, context, model.cpuid(leaf, subleaf, context)};
    return a.result;
}

} // namespace vitrine
