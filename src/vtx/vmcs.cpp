// SPDX-License-Identifier: Apache-2.0
// The VMCS and its region in memory.
#include "vtx/vmcs.h"

#include <span>

namespace vitrine::vtx {

namespace {

// The region: 0 revision (bit 31: shadow), 4 abort indicator, 8 launch state, 16 fields, eight bytes each in the order of fields.def.
constexpr u64 launch_at = 8, fields_at = 16;
static_assert(fields_at + 8 * field_count <= page_size);

u64 address_of(u64 pointer, F f) { return pointer + fields_at + 8 * static_cast<u64>(f); }

} // namespace

void Vmcs::Writer::state(Visitor& v) {
    v.field("rip", rip);
    v.field("entries", entries);
    v.field("known", known);
}

void Vmcs::store(Cpu& cpu) {
    if (!valid())
        return;
    cpu.space().write(Physical{pointer_ + fields_at}, std::span<const u8>(reinterpret_cast<const u8*>(values_.data()), sizeof values_),
                      cpu.requester());
    cpu.space().write<u64>(Physical{pointer_ + launch_at}, launched, cpu.requester());
}

void Vmcs::load(Cpu& cpu, u64 pointer) {
    if (pointer == pointer_)
        return;
    store(cpu);
    pointer_ = pointer;
    present_ = nullptr;
    if (all_writers_.size() >= most_writers && !all_writers_.contains(pointer))
        all_writers_.erase(all_writers_.begin());
    cpu.space().read(Physical{pointer + fields_at}, std::span<u8>(reinterpret_cast<u8*>(values_.data()), sizeof values_), cpu.requester());
    // Software may have written anything there.
    for (unsigned n = 0; n < field_count; ++n)
        values_[n] &= width_mask(static_cast<F>(n));
    launched = cpu.space().read<u64>(Physical{pointer + launch_at}, cpu.requester()) & 1;
    shadow_ = (cpu.space().read<u32>(Physical{pointer}, cpu.requester()) & shadow_flag) != 0;
    controls_checked = host_checked = false;
}

void Vmcs::clear(Cpu& cpu, u64 pointer) {
    if (pointer == pointer_) {
        launched = false;
        forget(cpu);
        return;
    }
    cpu.space().write<u64>(Physical{pointer + launch_at}, 0, cpu.requester());
}

void Vmcs::forget(Cpu& cpu) {
    store(cpu);
    drop();
}

void Vmcs::drop() {
    pointer_ = no_pointer;
    present_ = nullptr;
    launched = shadow_ = controls_checked = host_checked = false;
}

u64 Vmcs::read_region(Cpu& cpu, u64 pointer, F f) {
    return cpu.space().read<u64>(Physical{address_of(pointer, f)}, cpu.requester()) & width_mask(f);
}

void Vmcs::write_region(Cpu& cpu, u64 pointer, F f, u64 value) {
    cpu.space().write<u64>(Physical{address_of(pointer, f)}, value & width_mask(f), cpu.requester());
}

void Vmcs::state(Visitor& v) {
    v.field("pointer", pointer_);
    v.field("shadow", shadow_);
    v.field("launched", launched);
    v.field("controls checked", controls_checked);
    v.field("host checked", host_checked);
    for (unsigned n = 0; n < field_count; ++n)
        v.field(field_rows[n].name, values_[n]);
    const u64 known = v.count("writers", all_writers_.size(), most_writers);
    if (v.loading()) {
        all_writers_.clear();
        present_ = nullptr;
        for (u64 n = 0; n < known; ++n) {
            u64 pointer = 0;
            v.field("pointer", pointer);
            v.field("fields", all_writers_[pointer]);
        }
        return;
    }
    for (auto& [pointer, writers] : all_writers_) {
        u64 p = pointer;
        v.field("pointer", p);
        v.field("fields", writers);
    }
}

} // namespace vitrine::vtx
