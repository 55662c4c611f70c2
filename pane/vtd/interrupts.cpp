// SPDX-License-Identifier: Apache-2.0
// An entry has 128 bits that a unit may read at any time: it is replaced in one piece, and then the units forget the old one.
#include "pane/vtd/interrupts.h"

#include "pane/kernel/acpi.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/vtd/vtd.h"

#include "interrupts/spec/apic.h"
#include "vtd/spec/descriptors.h"
#include "vtd/spec/registers.h"
#include "vtd/spec/structures.h"

namespace vitrine::pane {

namespace {

constexpr u32 entry_count = 4096;
constexpr u64 size_field = 11; // 2^(11 + 1)
u64* table;
u32 next_entry;
u32 io_apic_source;
bool io_apic_known;

u16 new_entry() {
    if (next_entry == entry_count)
        panic("all {} entries of the interrupt remapping table are taken", entry_count);
    return static_cast<u16>(next_entry++);
}

void replace(u64* entry, u64 low, u64 high) {
    u64 old_low = entry[0], old_high = entry[1];
    bool done;
    do
        asm volatile("lock cmpxchg16b %1" : "=@ccz"(done), "+m"(*reinterpret_cast<u128*>(entry)), "+a"(old_low), "+d"(old_high) : "b"(low), "c"(high) : "memory");
    while (!done);
}

} // namespace

void start_interrupt_entries() {
    table = reinterpret_cast<u64*>(allocate(entry_count * 16));
    vtd_flush(table, entry_count * 16);
    const auto& t = vtd::interrupt_table;
    const auto& g = vtd::global_command;
    for (unsigned n = 0; n < unit_count; ++n) {
        units[n].write64(vtd::interrupt_table_at, t.extended.with(t.size.with(reinterpret_cast<u64>(table), size_field), vtd_use.extended));
        units[n].command(g.set_interrupt_table.mask());
    }
    vtd_invalidate(static_cast<u64>(vtd::DescriptorType::interrupt_entry_cache));
    for (unsigned n = 0; n < unit_count; ++n)
        units[n].command(g.interrupt_remapping.mask()); // messages of the old format are blocked: CFI stays 0
}

void InterruptEntry::take(u16 source) {
    if (taken())
        return;
    source_id_ = source;
    index_ = new_entry();
}

InterruptRequest InterruptEntry::request() const {
    const auto& a = vtd::remappable_address;
    const u64 fee = apic::msi_address.fee.with(0, 0xfee) | a.remappable.mask();
    return {a.handle_high.with(a.handle.with(fee, index_), index_ >> 15), 0};
}

u64 InterruptEntry::source() const {
    const auto& h = vtd::remapped_high;
    return h.validation.with(h.source.with(0, source_id_), static_cast<u64>(vtd::SourceValidation::source));
}

void InterruptEntry::write(u64 low, u64 high) {
    u64* entry = table + 2 * index_;
    replace(entry, low, high);
    vtd_flush(entry, 16);
    const auto& d = vtd::interrupt_descriptor;
    vtd_invalidate(d.index.with(static_cast<u64>(vtd::DescriptorType::interrupt_entry_cache) | d.selective.mask(), index_));
}

void InterruptEntry::to_processor(u32 apic_id, u8 vector) {
    const auto& r = vtd::remapped_low;
    write(r.destination.with(r.vector.with(r.present.mask(), vector), vtd_use.extended ? apic_id : apic_id << 8), source());
}

void InterruptEntry::post(u64 descriptor, u8 vector) {
    const auto& p = vtd::posted_low;
    const u64 low = p.vector.with(p.present.mask() | p.posted.mask(), vector);
    write(p.descriptor_low.with(low, descriptor >> 6 & low_mask(26)), vtd::posted_high.descriptor_high.with(source(), descriptor >> 32));
}

void InterruptEntry::close() {
    if (taken())
        write(0, 0);
}

InterruptRequest own_request(u16 source, u32 apic_id, u8 vector) {
    if (!vtd_use.on)
        return apic_request(apic_id, vector);
    InterruptEntry entry;
    entry.take(source);
    entry.to_processor(apic_id, vector);
    return entry.request();
}

void set_io_apic_source(u16 id) {
    io_apic_source = id;
    io_apic_known = true;
}

void route_io_apic(const MachineTables& machine) {
    if (!io_apic_known)
        panic("the DMAR table does not say which requester the I/O APIC is");
    static InterruptEntry entry;
    entry.take(static_cast<u16>(io_apic_source));
    entry.to_processor(cpus[0]->apic_id, vector::serial);
    const InterruptRequest request = entry.request();
    const auto& a = vtd::remappable_address;
    // In an I/O APIC's entry the handle lies in bits 63:49 and 11, and the vector must be that of the remapping entry.
    io_apic_route(machine.io_apic, machine.serial_pin, 1ull << 48 | a.handle(request.address) << 49 | a.handle_high(request.address) << 11 | vector::serial);
}

} // namespace vitrine::pane
