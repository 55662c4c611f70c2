// SPDX-License-Identifier: Apache-2.0
// Builds extended page tables once; they never change afterwards, so nothing ever has to be invalidated for them.
#include "pane/vmx/ept.h"

#include "pane/kernel/memory.h"
#include "pane/vmx/capabilities.h"

#include "vtx/spec/controls.h"

namespace vitrine::pane {

namespace {

constexpr u64 all_rights = 7, leaf = 1 << 7;
constexpr u64 address_mask = 0x000f'ffff'ffff'f000;

u64* follow(u64 entry) { return reinterpret_cast<u64*>(entry & address_mask); }

} // namespace

u64* Ept::table(u64* entry) {
    if (!*entry)
        *entry = allocate(4096) | all_rights;
    return follow(*entry);
}

u64* Ept::directory_entry(u64 gpa) {
    u64* pdpt = table(&root_[bits(gpa, 47, 39)]);
    return &table(&pdpt[bits(gpa, 38, 30)])[bits(gpa, 29, 21)];
}

void Ept::build(u64 memory, u64 size) {
    root_ = reinterpret_cast<u64*>(allocate(4096));
    for (u64 at = 0; at < size; at += large_page) {
        u64* entry = directory_entry(at);
        if (vmx_use.ept_2m) {
            *entry = (memory + at) | all_rights | write_back | leaf;
            continue;
        }
        u64* pages = table(entry);
        for (u64 n = 0; n < 512; ++n)
            pages[n] = (memory + at + n * page_size) | all_rights | write_back;
    }
    const auto& p = vtx::ept_pointer;
    pointer_ = reinterpret_cast<u64>(root_);
    pointer_ = p.memory_type.with(pointer_, 6);
    pointer_ = p.walk_length.with(pointer_, 3);
    pointer_ = p.accessed_dirty.with(pointer_, vmx_use.ept_accessed_dirty);
}

void Ept::map_page(GuestPhysical from, u64 to, Type type) {
    constexpr u64 read_write = 3;
    table(directory_entry(from.value))[bits(from.value, 20, 12)] = to | read_write | type;
}

} // namespace vitrine::pane
