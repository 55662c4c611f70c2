// SPDX-License-Identifier: Apache-2.0
// Writes root, context and second-stage entries. A context entry is changed only from absent to present and back, and invalidated each time.
#include "pane/vtd/domain.h"

#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/vtd/vtd.h"

#include "vtd/spec/descriptors.h"
#include "vtd/spec/registers.h"
#include "vtd/spec/structures.h"

namespace vitrine::pane {

namespace {

u64* root_table;
u16 last_domain; // 0 is for what is not present
Domain own;

u64* context_entry(u16 id) {
    u64* root = root_table + 2 * (id >> 8);
    if (!*root) {
        *root = allocate(page_size) | vtd::root_entry.present.mask();
        vtd_flush(root, 16);
    }
    return reinterpret_cast<u64*>(*root & vtd::root_entry.context_table.mask()) + 2 * (id & 0xff);
}

/// What the units may have cached of the function's context entry and of its domain's translations.
void forget(u16 id, u16 domain) {
    using enum vtd::DescriptorType;
    const auto& c = vtd::context_descriptor;
    u64 context = static_cast<u64>(context_cache) | c.granularity.with(0, static_cast<u64>(vtd::Granularity::selective));
    context = c.source.with(c.domain.with(context, domain), id);
    vtd_invalidate(context);
    const auto& t = vtd::iotlb_descriptor_low;
    const u64 translations = static_cast<u64>(iotlb) | t.granularity.with(0, static_cast<u64>(vtd::Granularity::domain)) |
                             t.drain_reads.mask() | t.drain_writes.mask();
    vtd_invalidate(t.domain.with(translations, domain));
}

} // namespace

void start_domains() {
    root_table = reinterpret_cast<u64*>(allocate(page_size));
    vtd_flush(root_table, page_size);
    const auto& g = vtd::global_command;
    for (unsigned n = 0; n < unit_count; ++n) {
        units[n].write64(vtd::root_table_at, reinterpret_cast<u64>(root_table));
        units[n].command(g.set_root_table.mask());
    }
    const u64 all = static_cast<u64>(vtd::Granularity::global);
    vtd_invalidate(vtd::context_descriptor.granularity.with(static_cast<u64>(vtd::DescriptorType::context_cache), all));
    vtd_invalidate(vtd::iotlb_descriptor_low.granularity.with(static_cast<u64>(vtd::DescriptorType::iotlb), all));
    for (unsigned n = 0; n < unit_count; ++n)
        units[n].command(g.translation.mask());
}

void Domain::start() {
    root_ = reinterpret_cast<u64*>(allocate(page_size));
    vtd_flush(root_, page_size);
    number_ = ++last_domain;
}

/// The entry of the table at `level` (1: the lowest) for an address.
u64* Domain::entry(u64 address, unsigned level) {
    const auto& s = vtd::second_stage;
    u64* table = root_;
    for (unsigned at = vtd_use.levels;; --at) {
        u64* e = table + (address >> (3 + 9 * at) & 511);
        if (at == level)
            return e;
        if (!*e) {
            const u64 next = allocate(page_size);
            vtd_flush(reinterpret_cast<void*>(next), page_size);
            *e = next | s.read.mask() | s.write.mask();
            vtd_flush(e, 8);
        }
        table = reinterpret_cast<u64*>(*e & s.address.mask());
    }
}

void Domain::map(DeviceAddress from, u64 to, u64 size) {
    const auto& s = vtd::second_stage;
    const u64 rights = s.read.mask() | s.write.mask() | (vtd_use.snoop_control ? s.snoop.mask() : 0);
    for (u64 done = 0; done < size;) {
        const bool large = vtd_use.large_pages && is_aligned(from.value + done, large_page) && is_aligned(to + done, large_page) && size - done >= large_page;
        u64* e = entry(from.value + done, large ? 2 : 1);
        if (*e)
            panic("device address {x} is mapped twice", from.value + done);
        *e = (to + done) | rights | (large ? s.large.mask() : 0);
        vtd_flush(e, 8);
        done += large ? large_page : page_size;
    }
}

void attach(const Function& f, const Domain& domain) {
    u64* e = context_entry(f.id);
    if (*e)
        panic("{} is in a domain already", FunctionName(f.id));
    const u64 width = vtd_use.levels - 2;
    e[1] = vtd::context_high.domain.with(vtd::context_high.width.with(0, width), domain.number());
    __atomic_store_n(e, domain.table() | vtd::context_low.present.mask(), __ATOMIC_RELEASE);
    vtd_flush(e, 16);
    forget(f.id, 0); // a unit that caches what is not present has it for domain 0
    forget(f.id, domain.number());
}

void detach(const Function& f, const Domain& domain) {
    u64* e = context_entry(f.id);
    __atomic_store_n(e, 0, __ATOMIC_RELEASE);
    vtd_flush(e, 16);
    forget(f.id, domain.number());
}

void give_own_memory(const Function& f, u64 base, u64 size) {
    if (!vtd_use.on)
        return;
    if (!own.number())
        own.start();
    const u64 end = align_up(base + size, page_size);
    own.map(DeviceAddress{align_down(base, page_size)}, align_down(base, page_size), end - align_down(base, page_size));
    if (!*context_entry(f.id))
        attach(f, own);
    else
        forget(f.id, own.number()); // where a unit caches what is not present
}

} // namespace vitrine::pane
