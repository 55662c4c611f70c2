// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing only: a small board with a remapping unit, and a driver that fills its tables and rings its queue.
#pragma once

#include "interrupts/testing.h"
#include "pci/plain_dma.h"
#include "vtd/spec/descriptors.h"
#include "vtd/unit.h"

#include <cstring>
#include <memory>

namespace vitrine::vtd {

struct Driver {
    static constexpr u64 root = 0x10000, contexts = 0x11000, tables = 0x20000, irt = 0x80000, queue = 0x90000, status = 0x9f000, descriptor = 0xa0000;
    static constexpr u16 device = 0x0110, domain = 7;

    explicit Driver(const Options& options = {}, EntryWatch* watch = nullptr, u64 ram = 4_MiB)
        : space(Space::create(ram, glass).value()), interrupts(clock, *space, {.apic_ids = {0, 1}}), plain(*space, interrupts),
          unit({clock, *space, plain, interrupts, interrupts.io_apic().requester(), watch}, options) {
        for (unsigned n = 0; n < 2; ++n) {
            interrupts.connect(n, pins[n]);
            set_apic(n, apic::spurious_vector, 0x1ff);
        }
    }

    void set_apic(unsigned n, u16 offset, u32 value) {
        Access a{.offset = offset, .size = 4, .write = true, .value = value, .requester = Requester::from_cpu(static_cast<u16>(n))};
        interrupts.local_apic(n).access(a);
    }

    // ---- registers
    u32 reg32(u64 at) { return space->read<u32>(Physical{default_base + at}, Requester::from_cpu(0)); }
    u64 reg64(u64 at) { return space->read<u64>(Physical{default_base + at}, Requester::from_cpu(0)); }
    void reg32(u64 at, u32 value) { space->write<u32>(Physical{default_base + at}, value, Requester::from_cpu(0)); }
    void reg64(u64 at, u64 value) { space->write<u64>(Physical{default_base + at}, value, Requester::from_cpu(0)); }

    /// Adds to what is on.
    void command(u64 bits) {
        constexpr u64 kept = global_status.translation.mask() | global_status.queue.mask() | global_status.interrupt_remapping.mask() |
                             global_status.compatibility.mask();
        reg32(global_command_at, static_cast<u32>((reg32(global_status_at) & kept) | bits));
    }
    void take_away(u64 bits) { reg32(global_command_at, reg32(global_status_at) & ~static_cast<u32>(bits)); }

    // ---- memory
    u64 mem(u64 at) { return space->read<u64>(Physical{at}, Requester::from_cpu(0)); }
    void mem(u64 at, u64 value) { space->write<u64>(Physical{at}, value, Requester::from_cpu(0)); }

    // ---- tables
    void set_context(u64 low, u64 high, u16 source = device) {
        mem(root + 16 * (source >> 8), contexts | 1);
        mem(contexts + 16 * (source & 0xff), low);
        mem(contexts + 16 * (source & 0xff) + 8, high);
    }
    /// Translating, with `levels` levels.
    void attach(u16 did = domain, unsigned levels = 4, u16 source = device) { set_context(tables | 1, u64{did} << 8 | (levels - 2), source); }

    /// The address of the entry of `level` that translates `address`; tables on the way are made.
    u64 entry(u64 address, unsigned level = 1, unsigned levels = 4) {
        u64 table = tables;
        for (unsigned n = levels; n > level; --n) {
            const u64 at = table + 8 * (address >> (12 + 9 * (n - 1)) & 511);
            if (!(mem(at) & 3)) {
                next_table += page_size;
                mem(at, next_table | 3);
            }
            table = mem(at) & ~0xfffull;
        }
        return table + 8 * (address >> (12 + 9 * (level - 1)) & 511);
    }
    void map(u64 address, u64 physical, u64 rights = 3, unsigned level = 1, unsigned levels = 4) {
        mem(entry(address, level, levels), physical | rights | (level > 1 ? second_stage.large.mask() : 0));
    }

    void start_translation() {
        reg64(root_table_at, root);
        command(global_command.set_root_table.mask());
        command(global_command.translation.mask());
    }

    void set_irte(u32 index, u64 low, u64 high = 0) {
        mem(irt + 16 * index, low);
        mem(irt + 16 * index + 8, high);
    }
    void start_remapping(bool extended = false, unsigned size = 7) {
        reg64(interrupt_table_at, irt | size | (extended ? interrupt_table.extended.mask() : 0));
        command(global_command.set_interrupt_table.mask());
        command(global_command.interrupt_remapping.mask());
    }

    // ---- queue
    void start_queue(unsigned size = 0) {
        reg64(queue_tail_at, 0);
        reg64(queue_address_at, queue | size);
        tail = 0;
        queue_bytes = page_size << size;
        command(global_command.queue.mask());
    }
    void put(u64 low, u64 high = 0) {
        mem(queue + tail, low);
        mem(queue + tail + 8, high);
        tail = (tail + 16) % queue_bytes;
    }
    void ring() { reg64(queue_tail_at, tail); }
    void invalidate(u64 low, u64 high = 0) {
        put(low, high);
        ring();
    }
    static constexpr u64 all_contexts = 1 | 1 << 4, all_pages = 2 | 1 << 4, all_interrupts = 4;
    static constexpr u64 pages_of(u16 did) { return 2 | 2 << 4 | u64{did} << 16; }
    static constexpr u64 some_pages(u16 did) { return 2 | 3 << 4 | u64{did} << 16; }

    // ---- the device
    bool write(u64 address, u64 value, u16 source = device) {
        return unit.write(Requester::function(source), DeviceAddress{address}, {reinterpret_cast<const u8*>(&value), 8});
    }
    bool read(u64 address, u64& value, u16 source = device) {
        return unit.read(Requester::function(source), DeviceAddress{address}, {reinterpret_cast<u8*>(&value), 8});
    }
    void interrupt(u64 address, u32 data = 0, u16 source = device) { unit.message(Requester::function(source), address, data); }
    static constexpr u64 message_of(u32 index, bool subhandle = false) {
        return 0xfee0'0010 | (index & 0x7fff) << 5 | (index >> 15 & 1) << 2 | (subhandle ? 8 : 0);
    }

    /// The oldest fault record: its reason, 0 without one. Cleared.
    u8 take_fault(u16* source = nullptr, u64* information = nullptr) {
        const u32 fsts = reg32(fault_status_at);
        if (!fault_status.pending(fsts))
            return 0;
        u64 at = fault_records_at + 16 * fault_status.index(fsts);
        const u64 high = reg64(at + 8);
        if (source)
            *source = static_cast<u16>(fault_record_high.source(high));
        if (information)
            *information = reg64(at);
        for (unsigned n = 0; n < fault_records; ++n)
            reg32(fault_records_at + 16 * n + 12, 0x8000'0000);
        return static_cast<u8>(fault_record_high.reason(high));
    }

    /// The vector that processor n would take; 0 without one.
    u8 taken(unsigned n) {
        if (!pins[n].interrupt)
            return 0;
        const u8 vector = interrupts.local_apic(n).acknowledge();
        set_apic(n, apic::eoi, 0);
        return vector;
    }

    Glass glass;
    Clock clock;
    std::unique_ptr<Space> space;
    Interrupts interrupts;
    testing_support::FakePins pins[2];
    pci::PlainDma plain;
    Unit unit;
    u64 next_table = tables, tail = 0, queue_bytes = page_size;
};

} // namespace vitrine::vtd
