// SPDX-License-Identifier: Apache-2.0
// Page walks for people: each level's index, entry and bits, what they allow, what stops a walk.
#include "x86/explain.h"
#include "x86/model.h"

#include <fmt/format.h>

#include <iterator>

namespace vitrine {

namespace {

using enum FieldKind;

constexpr u64 present = bit(0), writable = bit(1), user = bit(2), page_size_bit = bit(7), no_execute = bit(63);
constexpr u64 in_register = ~0ull; ///< Cpu::Mapping: the entry is no memory but a PDPTE register

constexpr Field table_bits[] = {{0, rw, "P", ""},   {1, rw, "R/W", ""}, {2, rw, "U/S", ""}, {3, rw, "PWT", ""},
                                {4, rw, "PCD", ""}, {5, rw, "A", ""},   {7, rw, "PS", ""},  {63, rw, "XD", ""}};
constexpr Field leaf_bits[] = {{0, rw, "P", ""},   {1, rw, "R/W", ""},      {2, rw, "U/S", ""}, {3, rw, "PWT", ""},
                               {4, rw, "PCD", ""}, {5, rw, "A", ""},        {6, rw, "D", ""},   {7, rw, "PAT", ""},
                               {8, rw, "G", ""},   {59, 62, rw, "key", ""}, {63, rw, "XD", ""}};
constexpr Field large_bits[] = {{0, rw, "P", ""},   {1, rw, "R/W", ""},  {2, rw, "U/S", ""},      {3, rw, "PWT", ""},
                                {4, rw, "PCD", ""}, {5, rw, "A", ""},    {6, rw, "D", ""},        {7, rw, "PS", ""},
                                {8, rw, "G", ""},   {12, rw, "PAT", ""}, {59, 62, rw, "key", ""}, {63, rw, "XD", ""}};

constexpr const char* level_names[] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

class Walk {
public:
    Walk(Cpu& cpu, Linear a) : cpu_(cpu), a_(a), mapping_(cpu.examine(a)) {
        legacy_ = !(cpu.cr4 & cr4::pae);
        levels_ = cpu.long_mode() ? (cpu.cr4 & cr4::la57 ? 5 : 4) : legacy_ ? 2 : 3;
    }

    std::string text() {
        std::string out = fmt::format("linear {:x}, CR3 {:x}, {}\n", a_.value, cpu_.cr3,
                                      cpu_.long_mode() ? (levels_ == 5 ? "5-level paging" : "4-level paging")
                                      : legacy_        ? "32-bit paging"
                                                       : "PAE paging");
        for (unsigned i = 0; i < mapping_.levels; ++i)
            out += line(i);
        return out + (mapping_.present ? end() : stop());
    }

private:
    unsigned shift(unsigned i) const {
        const unsigned level = levels_ - 1 - i;
        return legacy_ ? 12 + 10 * level : 12 + 9 * level;
    }

    bool large(unsigned i) const {
        const unsigned level = levels_ - 1 - i;
        return level > 0 && level < 3 && (mapping_.entries[i] & page_size_bit) && (!legacy_ || (cpu_.cr4 & cr4::pse)) &&
               mapping_.entry_addresses[i] != in_register;
    }

    std::string line(unsigned i) const {
        const u64 e = mapping_.entries[i];
        const unsigned level = levels_ - 1 - i;
        const u64 index = (a_.value >> shift(i)) & (legacy_                                      ? 0x3ff
                                                    : mapping_.entry_addresses[i] == in_register ? 3
                                                                                                 : 0x1ff);
        const std::string where = mapping_.entry_addresses[i] == in_register
                                      ? "in a register"
                                      : fmt::format("at {:x}", mapping_.entry_addresses[i]);
        std::span<const Field> names = table_bits;
        if (level == 0)
            names = leaf_bits;
        else if (large(i))
            names = large_bits;
        return fmt::format("  {:<5} {:>3x} {:<16} = {:016x} [{}]\n", level_names[level], index, where, e,
                           e & present ? explain_bits(e, names) : "not present");
    }

    /// What all levels together allow (PDPTE registers of PAE paging say nothing).
    std::string end() const {
        u64 all = writable | user, any = 0;
        for (unsigned i = 0; i < mapping_.levels; ++i) {
            if (mapping_.entry_addresses[i] == in_register)
                continue;
            all &= mapping_.entries[i];
            any |= mapping_.entries[i];
        }
        const bool nx = (cpu_.efer & efer::nxe) && !legacy_ && (any & no_execute);
        const char* size = mapping_.size_log2 == 12   ? "4-KByte"
                           : mapping_.size_log2 == 21 ? "2-MByte"
                           : mapping_.size_log2 == 22 ? "4-MByte"
                                                      : "1-GByte";
        return fmt::format("  -> physical {:x} ({} page: {}, {}, {})\n", mapping_.page.value, size,
                           all & user ? "user" : "supervisor only",
                           all & writable                              ? "writable"
                           : (cpu_.cr0 & cr0::wp) || (all & user) == 0 ? "read-only"
                                                                       : "read-only for the user",
                           nx ? "not executable" : "executable");
    }

    std::string stop() const {
        const u64 e = mapping_.levels ? mapping_.entries[mapping_.levels - 1] : 0;
        if (!(e & present))
            return "  the walk stops here: not present (P = 0)\n";
        std::string why;
        const u64 beyond = e & low_mask(52) & ~low_mask(cpu_.model().physical_bits) & ~0xfffull;
        if (beyond && !legacy_)
            why += fmt::format("; address bits {:x} beyond MAXPHYADDR ({})", beyond, cpu_.model().physical_bits);
        if ((e & no_execute) && !(cpu_.efer & efer::nxe))
            why += "; XD = 1 with EFER.NXE = 0";
        const unsigned last = mapping_.levels - 1;
        if (!legacy_ && (e & page_size_bit) && levels_ - 1 - last >= 3)
            why += "; PS = 1 where no page can be";
        if (large(last) && (e & low_mask(shift(last)) & ~0x1fffull))
            why += "; low address bits of a large page";
        if (why.empty() && cpu_.second_level)
            return "  the guest's walk ends here; EPT does not map what it leads to\n";
        return fmt::format("  the walk stops here: a reserved bit is set{}\n", why);
    }

    Cpu& cpu_;
    Linear a_;
    Cpu::Mapping mapping_;
    bool legacy_ = false;
    unsigned levels_ = 4;
};

} // namespace

std::string explain_walk(Cpu& cpu, Linear a) {
    if (!(cpu.cr0 & cr0::pg))
        return fmt::format("linear {:x}: paging is off (CR0.PG = 0), so it is the physical address\n", a.value);
    if (cpu.long_mode() && sign_extend(a.value, cpu.cr4 & cr4::la57 ? 57 : 48) != a.value)
        return fmt::format("linear {:x} is not canonical: a use gives #GP or #SS\n", a.value);
    return Walk(cpu, a).text();
}

} // namespace vitrine
