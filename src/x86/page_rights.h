// SPDX-License-Identifier: Apache-2.0
// What the paging structures' rights allow under the present control registers (SDM volume 3, Determination of Access Rights).
#pragma once

#include "x86/cpu.h"

namespace vitrine {

/// The rights of a linear address as all entries of its walk give them, before any control register is asked.
struct PageRights {
    bool user = true, writable = true, no_execute = false;
    u8 key = 0; ///< protection key

    void add(u64 entry, bool nxe) {
        writable &= (entry & bit(1)) != 0;
        user &= (entry & bit(2)) != 0;
        no_execute |= nxe && (entry & bit(63));
    }
};

struct Allowed {
    bool readable = false, writable = false, executable = false;
    bool key_denies_read = false, key_denies_write = false; ///< whether the tables would have allowed it or not

    bool operator()(Use use) const { return use == Use::fetch ? executable : use == Use::write ? writable : readable; }
};

inline Allowed allowed(const Cpu& cpu, const PageRights& rights, Privilege privilege) {
    const bool user = privilege == Privilege::user, wp = cpu.cr0 & cr0::wp;
    Allowed a{.readable = true, .writable = rights.writable || !wp, .executable = !rights.no_execute};
    if (user) {
        a.readable = rights.user;
        a.writable = rights.user && rights.writable;
        a.executable &= rights.user;
    } else if (rights.user) {
        if (cpu.cr4 & cr4::smep)
            a.executable = false;
        if ((cpu.cr4 & cr4::smap) && privilege != Privilege::supervisor_ac)
            a.readable = a.writable = false;
    }
    if ((cpu.cr4 & (rights.user ? cr4::pke : cr4::pks)) && cpu.long_mode()) {
        const u32 key_rights = rights.user ? cpu.pkru : cpu.msr.pkrs;
        a.key_denies_read = (key_rights >> (2 * rights.key)) & 1;
        const bool wd = (key_rights >> (2 * rights.key + 1)) & 1;
        a.key_denies_write = a.key_denies_read || (wd && (user || wp));
        a.readable &= !a.key_denies_read;
        a.writable &= !a.key_denies_write;
    }
    return a;
}

} // namespace vitrine
