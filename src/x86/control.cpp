// SPDX-License-Identifier: Apache-2.0
// Control registers (SDM volume 3, Control Registers; Paging; Invalidation of TLBs and Paging-Structure Caches).
#include "x86/control.h"

#include "x86/model.h"

namespace vitrine {

Faultable<> load_pdptes(Cpu& cpu, u64 cr3) {
    constexpr u64 reserved_when_present = 0x1e6; // bits 2:1 and 8:5
    std::array<u64, 4> entries;
    for (unsigned i = 0; i < 4; ++i) {
        const u64 at = (cr3 & 0xffff'ffe0) + 8 * i;
        Physical p{at};
        if (cpu.second_level) {
            const SecondLevelPage page =
                TRY(cpu.second_level->translate(cpu, GuestPhysical{at}, {.read = true, .page_walk = true, .linear_valid = false}));
            p = Physical{page.page | (at & 0xfff)};
        }
        cpu.read_physical(p, &entries[i], 8);
        if ((entries[i] & 1) && (entries[i] & (reserved_when_present | ~low_mask(cpu.model().physical_bits))))
            return cpu.gp();
    }
    cpu.pdpte = entries;
    return {};
}

Faultable<> write_cr0(Cpu& cpu, u64 value) {
    using namespace vitrine::cr0;
    constexpr u64 known = pe | mp | em | ts | et | ne | wp | am | nw | cd | pg;
    if (value >> 32)
        return cpu.gp();
    value = (value & known) | et;
    const u64 changed = value ^ cpu.cr0;
    if ((value & cpu.cr0_required) != cpu.cr0_required)
        return cpu.gp();
    if (((value & pg) && !(value & pe)) || ((value & nw) && !(value & cd)))
        return cpu.gp();
    const bool paging_on = changed & value & pg, paging_off = changed & cpu.cr0 & pg;
    u64 new_efer = cpu.efer;
    if (paging_on && (cpu.efer & efer::lme)) {
        const bool task16 = cpu.segments[tr].usable() && !(cpu.segments[tr].type() & 8);
        if (!(cpu.cr4 & cr4::pae) || rights::l(cpu.segments[cs].rights) || task16)
            return cpu.gp();
        new_efer |= efer::lma;
    }
    if (paging_off) {
        if (cpu.mode64() || (cpu.cr4 & cr4::pcide))
            return cpu.gp();
        new_efer &= ~efer::lma;
    }
    // PDPTEs are loaded when PAE paging begins, and when CD or NW change under it.
    if ((value & pg) && (cpu.cr4 & cr4::pae) && !(new_efer & efer::lma) && (changed & (pg | cd | nw)))
        TRY(load_pdptes(cpu, cpu.cr3));
    cpu.glass().tell(Topic::cpu, "cr0", {{"from", cpu.cr0}, {"to", value}});
    cpu.cr0 = value;
    cpu.efer = new_efer;
    if (changed & pe) {
        // In real mode nothing is privileged. Segment registers keep what they hold.
        cpu.cpl = 0;
    }
    cpu.mode_changed();
    if (changed & pg)
        cpu.flush_tlb(false);
    return {};
}

Faultable<> write_cr3(Cpu& cpu, u64 value) {
    const bool pcide = cpu.cr4 & cr4::pcide;
    const bool keep = pcide && (value & bit(63));
    if (pcide)
        value &= ~bit(63);
    if (cpu.long_mode()) {
        if (value & ~low_mask(cpu.model().physical_bits))
            return cpu.gp();
    } else {
        value &= 0xffff'ffff;
    }
    if (pae_paging(cpu))
        TRY(load_pdptes(cpu, value));
    cpu.glass().tell(Topic::cpu, "cr3", {{"from", cpu.cr3}, {"to", value}});
    cpu.cr3 = value;
    cpu.paging_changed();
    if (!keep)
        cpu.flush_tlb(true);
    return {};
}

Faultable<> write_cr4(Cpu& cpu, u64 value) {
    using namespace vitrine::cr4;
    if ((value & ~cpu.model().cr4_allowed()) || (value & cpu.cr4_required) != cpu.cr4_required)
        return cpu.gp();
    const u64 changed = value ^ cpu.cr4;
    if (cpu.long_mode() && (!(value & pae) || (changed & la57)))
        return cpu.gp();
    if ((changed & value & pcide) && (!cpu.long_mode() || (cpu.cr3 & 0xfff)))
        return cpu.gp();
    constexpr u64 paging = pae | pge | pse | smep;
    if ((cpu.cr0 & cr0::pg) && !cpu.long_mode() && (value & pae) && (changed & paging))
        TRY(load_pdptes(cpu, cpu.cr3));
    const u64 before = cpu.cr4;
    cpu.glass().tell(Topic::cpu, "cr4", {{"from", before}, {"to", value}});
    cpu.cr4 = value;
    cpu.mode_changed();
    if ((changed & (pge | pae | pse)) || (changed & before & pcide) || (changed & value & smep))
        cpu.flush_tlb(false);
    return {};
}

} // namespace vitrine
