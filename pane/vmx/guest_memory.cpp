// SPDX-License-Identifier: Apache-2.0
// Paging of all three kinds: 32-bit, PAE and 4-level; without looking at rights, which the processor has checked before it exited.
#include "pane/vmx/guest_memory.h"

#include "pane/guest/guest.h"

#include <cstring>

namespace vitrine::pane {

namespace {

constexpr u64 present = 1, large = 1 << 7, address_mask = 0x000f'ffff'ffff'f000;

template <class T> bool entry(const Guest& g, u64 table, u64 index, T& value) {
    const u8* at = g.at(table + index * sizeof(T), sizeof(T));
    if (!at)
        return false;
    memcpy(&value, at, sizeof value);
    return value & present;
}

bool walk_32(const Guest& g, u64 cr3, u32 linear, bool pse, u64& result) {
    u32 e;
    if (!entry(g, cr3 & 0xffff'f000, linear >> 22, e))
        return false;
    if (pse && (e & large)) {
        result = (u64{e} >> 13 & 0xff) << 32 | (e & 0xffc0'0000) | (linear & 0x3f'ffff);
        return true;
    }
    if (!entry(g, e & 0xffff'f000, linear >> 12 & 0x3ff, e))
        return false;
    result = (e & 0xffff'f000) | (linear & 0xfff);
    return true;
}

/// From a table of level `level` (4 to 1) down.
bool walk_64(const Guest& g, u64 table, u64 linear, unsigned level, u64& result) {
    for (;; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        u64 e;
        if (!entry(g, table, bits(linear, shift + 8, shift), e))
            return false;
        if (level == 1 || (level < 4 && (e & large))) {
            result = (e & address_mask & ~low_mask(shift)) | (linear & low_mask(shift));
            return true;
        }
        table = e & address_mask;
    }
}

template <class Copy> unsigned each_page(const Vcpu& v, Linear address, unsigned size, Copy copy) {
    unsigned done = 0;
    while (done < size) {
        GuestPhysical gpa;
        if (!translate(v, address + done, gpa))
            break;
        unsigned part = static_cast<unsigned>(page_size - gpa.page_offset());
        if (part > size - done)
            part = size - done;
        u8* at = v.guest->at(gpa.value, part);
        if (!at)
            break;
        copy(at, done, part);
        done += part;
    }
    return done;
}

} // namespace

bool translate(const Vcpu& v, Linear address, GuestPhysical& result) {
    const u64 cr0 = vmread(F::guest_cr0), cr3 = vmread(F::guest_cr3), cr4 = vmread(F::guest_cr4), efer = vmread(F::guest_efer);
    const Guest& g = *v.guest;
    if (!(cr0 & control::cr0_pg)) {
        result = GuestPhysical{address.value & 0xffff'ffff};
        return true;
    }
    if (efer & control::efer_lma)
        return walk_64(g, cr3 & address_mask, address.value, 4, result.value);
    const auto linear = static_cast<u32>(address.value);
    if (!(cr4 & control::cr4_pae))
        return walk_32(g, cr3, linear, cr4 & control::cr4_pse, result.value);
    const u64 pdpte = vmread(vtx::after(F::guest_pdpte0, linear >> 30));
    return (pdpte & present) && walk_64(g, pdpte & address_mask, linear, 2, result.value);
}

unsigned read_linear(const Vcpu& v, Linear address, u8* to, unsigned size) {
    return each_page(v, address, size, [&](u8* at, unsigned done, unsigned part) { memcpy(to + done, at, part); });
}

unsigned write_linear(const Vcpu& v, Linear address, const u8* from, unsigned size) {
    return each_page(v, address, size, [&](u8* at, unsigned done, unsigned part) { memcpy(at, from + done, part); });
}

} // namespace vitrine::pane
