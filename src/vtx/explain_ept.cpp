// SPDX-License-Identifier: Apache-2.0
// Walks through EPT for people, and a guest's own walk with EPT under each of its tables.
#include "vtx/explain.h"
#include "vtx/spec/ept_entry.h"
#include "vtx/unit.h"
#include "x86/explain.h"
#include "x86/model.h"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace vitrine::vtx {

namespace {

const auto entry_fields = std::bit_cast<std::array<Field, sizeof(EptEntry) / sizeof(Field)>>(ept_entry);

constexpr const char* memory_types[] = {"UC", "WC", "reserved", "reserved", "WT", "WP", "WB", "reserved"};

std::string entry_names(u64 entry, bool leaf) {
    std::string text;
    for (const Field& f : entry_fields) {
        const bool type = f.low() == ept_entry.memory_type.low();
        if (!type && f(entry))
            text += fmt::format("{}{}", text.empty() ? "" : " ", f.name());
        else if (type && leaf)
            text += fmt::format(" {}", memory_types[f(entry)]);
    }
    return text;
}

} // namespace

std::string explain_ept_walk(Unit& unit, Cpu& cpu, GuestPhysical a) {
    const u64 controls = unit.vmcs()[F::secondary];
    if (!unit.vmcs().valid())
        return "no VMCS is current\n";
    if (!primary.activate_secondary_controls(unit.vmcs()[F::primary]) || !secondary.enable_ept(controls))
        return "\"enable EPT\" is 0 in the current VMCS: guest-physical addresses are physical ones\n";
    const u64 eptp = unit.vmcs()[F::eptp];
    const bool by_mode = secondary.mode_based_execute_control(controls) != 0;
    std::string text = fmt::format("guest-physical {:x}, EPTP {:x}\n", a.value, eptp);
    const unsigned levels = ept_levels(eptp);
    if (!ept_walk_supported(eptp, unit.capabilities().ept_vpid))
        return text + fmt::format("  no walk: {} levels are not supported\n", levels);
    if (a.value >> ept_width(levels))
        return text + fmt::format("  the walk stops here: EPT violation, the address is wider than {} levels translate\n", levels);
    u64 table = eptp & ~0xfffull & low_mask(52), rights = ~u64{0};
    for (unsigned level = levels;; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        const u64 index = a.value >> shift & 0x1ff;
        u64 entry = 0;
        cpu.read_physical(Physical{table + index * 8}, &entry, 8);
        const bool leaf = ept_leaf(entry, level);
        text += fmt::format("  {:<9} {:>3x} at {:<12x} = {:016x} [{}]\n", ept_level_names[level - 1], index, table + index * 8, entry, entry_names(entry, leaf));
        if (!(entry & (7 | (by_mode ? ept_entry.user_executable.mask() : 0))))
            return text + "  the walk stops here: EPT violation, the entry is not present\n";
        if (const char* why = ept_misconfiguration(entry, level, unit.capabilities().ept_vpid, cpu.model().physical_bits))
            return text + fmt::format("  the walk stops here: EPT misconfiguration, {}\n", why);
        rights &= entry;
        table = entry & ~0xfffull & low_mask(52);
        if (!leaf)
            continue;
        const u64 page = entry & low_mask(52) & ~low_mask(shift);
        constexpr const char* sizes[] = {"4-KByte", "2-MByte", "1-GByte"};
        std::string allowed = fmt::format("{}{}{}", ept_entry.readable(rights) ? "R" : "-", ept_entry.writable(rights) ? "W" : "-",
                                          ept_entry.executable(rights) ? "X" : "-");
        if (by_mode)
            allowed += ept_entry.user_executable(rights) ? " XU" : " no XU";
        return text + fmt::format("  -> physical {:x} ({} page: {})\n", page | (a.value & low_mask(shift)), sizes[level - 1], allowed);
    }
}

std::string explain_nested_walk(Unit& unit, Cpu& cpu, Linear a) {
    const auto through = [&](u64 guest_physical) {
        std::string text = explain_ept_walk(unit, cpu, GuestPhysical{guest_physical}), indented;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at) + 1;
            indented += "      " + text.substr(at, end - at);
            at = end;
        }
        return indented;
    };
    const std::string own = explain_walk(cpu, a);
    if (!(cpu.cr0 & cr0::pg))
        return own + through(a.value);
    // The guest's lines, each with the way to the table that its entry lies in.
    const Cpu::Mapping m = cpu.examine(a);
    const bool wide = cpu.long_mode() || (cpu.cr4 & cr4::pae);
    const unsigned levels = cpu.long_mode() ? (cpu.cr4 & cr4::la57 ? 5 : 4) : wide ? 3 : 2;
    std::string text;
    u64 table = cpu.cr3 & (cpu.long_mode() ? low_mask(52) & ~0xfffull : wide ? 0xffff'ffe0 : 0xffff'f000);
    std::size_t at = own.find('\n') + 1;
    text += own.substr(0, at);
    for (unsigned n = 0; n < m.levels && at < own.size(); ++n) {
        const std::size_t end = own.find('\n', at) + 1;
        const unsigned shift = wide ? 12 + 9 * (levels - 1 - n) : 12 + 10 * (levels - 1 - n);
        const bool in_register = m.entry_addresses[n] == ~0ull;
        if (!in_register)
            text += through(table + (a.value >> shift & (wide ? 0x1ff : 0x3ff)) * (wide ? 8 : 4));
        text += own.substr(at, end - at);
        table = m.entries[n] & low_mask(52) & ~0xfffull;
        at = end;
    }
    text += own.substr(at);
    if (m.levels == 0 || !(m.entries[m.levels - 1] & 1))
        return text;
    // The page itself, by the size of the last entry's level.
    const unsigned shift = m.size_log2;
    return text + through((table & ~low_mask(shift)) | (a.value & low_mask(shift)));
}

} // namespace vitrine::vtx
