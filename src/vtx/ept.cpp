// SPDX-License-Identifier: Apache-2.0
// The walk of the EPT paging structures (SDM volume 3, The Extended Page Table Mechanism).
#include "vtx/ept.h"

#include "vtx/spec/ept_entry.h"
#include "vtx/spec/sub_pages.h"
#include "vtx/unit.h"
#include "x86/model.h"

#include <cstring>

namespace vitrine::vtx {

namespace {

constexpr u64 readable = ept_entry.readable.mask(), writable = ept_entry.writable.mask(), executable = ept_entry.executable.mask(),
              user_executable = ept_entry.user_executable.mask(), accessed = ept_entry.accessed.mask(),
              dirty = ept_entry.dirty.mask(), sub_pages = ept_entry.sub_pages.mask(), suppress_ve = ept_entry.suppress_ve.mask();

} // namespace

unsigned Ept::levels() const { return ept_levels(eptp_); }

u64 Ept::rights_mask() const { return readable | writable | executable | (mode_based_ ? user_executable : 0); }

bool Ept::misconfigured(Cpu& cpu, u64 entry, unsigned level) const {
    return ept_misconfiguration(entry, level, unit_.capabilities().ept_vpid, cpu.model().physical_bits) != nullptr;
}

void Ept::look(Cpu& cpu, GuestPhysical address, const SecondLevelStart& start, SecondLevelLook& found) {
    found.present = false;
    found.count = 0;
    if (address.value >> ept_width(levels()))
        return;
    u64 table = start.level ? start.table : eptp_ & ~0xfffull & low_mask(52);
    u64 rights = start.level ? start.rights : rights_mask();
    for (unsigned level = start.level ? start.level : levels();; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        TableEntry& entry = found.entries[found.count];
        entry = {.at = Physical{table + (address.value >> shift & 0x1ff) * 8}, .level = static_cast<u8>(level)};
        if (const u8* host = cpu.space().host(entry.at)) // a device would see that somebody looks
            std::memcpy(&entry.value, host, sizeof entry.value);
        rights &= entry.value;
        found.rights_below[found.count++] = rights;
        const bool leaf = ept_leaf(entry.value, level);
        if (!(entry.value & rights_mask()) || misconfigured(cpu, entry.value, level))
            return;
        if (!leaf) {
            table = entry.value & ~0xfffull & low_mask(52);
            continue;
        }
        found.present = true;
        found.page = (entry.value & low_mask(52) & ~low_mask(shift)) | (address.value & low_mask(shift) & ~0xfffull);
        found.size_log2 = static_cast<u8>(shift);
        found.rights = rights;
        found.readable = rights & readable;
        found.writable = rights & writable;
        found.executable = rights & executable;
        found.user_executable = rights & (mode_based_ ? user_executable : executable);
        return;
    }
}

Faultable<SecondLevelPage> Ept::translate(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) {
    const bool flags = ept_pointer.accessed_dirty(eptp_) != 0;
    // With accessed and dirty flags, accesses to the guest's paging structures count as writes.
    const bool write = access.write || (access.page_walk && flags);
    const bool read = access.read || access.page_walk;
    const u64 fetchable = mode_based_ && access.user ? user_executable : executable;
    u64 rights = rights_mask(), table = eptp_ & ~0xfffull & low_mask(52);
    struct {
        Physical at;
        u64 value;
    } used[most_ept_levels];
    unsigned count = 0;
    if (address.value >> ept_width(levels()))
        return violation(cpu, address, access, read, write, 0, suppress_ve);
    for (unsigned level = levels();; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        const Physical at{table + (address.value >> shift & 0x1ff) * 8};
        u64 entry = 0;
        cpu.read_physical(at, &entry, 8);
        if (!(entry & rights_mask()))
            return violation(cpu, address, access, read, write, 0, entry);
        if (misconfigured(cpu, entry, level))
            return misconfiguration(cpu, address, access);
        const bool leaf = ept_leaf(entry, level);
        rights &= entry;
        used[count++] = {at, entry};
        if (!leaf) {
            table = entry & ~0xfffull & low_mask(52);
            continue;
        }
        const u64 wanted = (read ? readable : 0) | (write ? writable : 0) | (access.fetch ? fetchable : 0);
        if ((rights & wanted) != wanted) {
            // All that is missing is the page's own permission to write, which its sub-pages may have.
            const bool eligible = by_sub_page_ && level == 1 && (entry & sub_pages) && !access.page_walk && access.linear_valid &&
                                  (wanted & ~rights) == writable && (rights & readable) && !(address.value >> ept_width(sub_page_levels));
            if (!eligible || !TRY(sub_page_allows(cpu, address, access)))
                return violation(cpu, address, access, read, write, rights, entry);
        }
        const u64 page = (entry & low_mask(52) & ~low_mask(shift)) | (address.value & low_mask(shift) & ~0xfffull);
        bool is_dirty = true;
        if (flags) {
            const bool becomes_dirty = write && !(entry & dirty);
            if (becomes_dirty && log_ && !unit_.log_dirty(address))
                return cpu.raise_exit();
            for (unsigned n = 0; n < count; ++n) {
                const u64 set = accessed | (n + 1 == count && write ? dirty : 0);
                if ((used[n].value & set) == set)
                    continue;
                cpu.mark_entry(used[n].at, used[n].value | set, 8);
            }
            is_dirty = write || (entry & dirty);
        }
        return SecondLevelPage{.page = page, .size_log2 = static_cast<u8>(shift), .readable = (rights & readable) != 0,
                               .writable = (rights & writable) != 0, .executable = (rights & fetchable) != 0, .dirty = is_dirty};
    }
}

bool Ept::examine(Cpu& cpu, GuestPhysical address, Physical& at) {
    if (address.value >> ept_width(levels()))
        return false;
    u64 table = eptp_ & ~0xfffull & low_mask(52);
    for (unsigned level = levels();; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        u64 entry = 0;
        cpu.read_physical(Physical{table + (address.value >> shift & 0x1ff) * 8}, &entry, 8);
        if (!(entry & 7))
            return false;
        if (ept_leaf(entry, level)) {
            at = Physical{(entry & low_mask(52) & ~low_mask(shift)) | (address.value & low_mask(shift))};
            return true;
        }
        table = entry & ~0xfffull & low_mask(52);
    }
}

/// The write permission of the sub-page. Fault: a miss or a misconfiguration exits.
Faultable<bool> Ept::sub_page_allows(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) {
    const auto event = [&](u64 qualification) {
        unit_.record(ExitReason::spp_event, qualification, address, access);
        return cpu.raise_exit();
    };
    u64 table = unit_.vmcs()[F::spptp];
    for (unsigned level = sub_page_levels;; --level) {
        u64 entry = 0;
        cpu.read_physical(Physical{table + (address.value >> (12 + 9 * (level - 1)) & 0x1ff) * 8}, &entry, 8);
        if (level == 1)
            return entry & sub_page_reserved ? Faultable<bool>(event(0)) : sub_page_writable(entry, address.value);
        if (!sub_page_table_entry.valid(entry))
            return event(spp_qualification.miss.mask());
        if (sub_page_table_entry.reserved(entry) || entry >> cpu.model().physical_bits)
            return event(0);
        table = entry & ~0xfffull;
    }
}

Fault Ept::violation(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access, bool read, bool write, u64 rights,
                     u64 entry) {
    const EptViolation& q = ept_violation_qualification;
    u64 qualification = (read ? q.read.mask() : 0) | (write ? q.write.mask() : 0) | (access.fetch ? q.fetch.mask() : 0) |
                        (rights & 7) << q.readable.low() | (rights & user_executable ? q.user_executable.mask() : 0);
    if (access.linear_valid)
        qualification |= q.linear_valid.mask() | (access.page_walk ? 0 : q.translated.mask());
    if (!(entry & suppress_ve) && unit_.virtualization_exception(qualification, address, access))
        return cpu.raise(Vector::ve);
    unit_.record(ExitReason::ept_violation, qualification, address, access);
    return cpu.raise_exit();
}

Fault Ept::misconfiguration(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) {
    unit_.record(ExitReason::ept_misconfiguration, 0, address, access);
    return cpu.raise_exit();
}

void Ept::state(Visitor& v) {
    v.field("eptp", eptp_);
    v.field("log", log_);
    v.field("mode-based", mode_based_);
    v.field("by sub-page", by_sub_page_);
}

} // namespace vitrine::vtx
