// SPDX-License-Identifier: Apache-2.0
// Reads the DMAR table, checks what the units can do, and turns them on in the order that the manual asks for.
#include "pane/vtd/vtd.h"

#include "pane/config/config.h"
#include "pane/kernel/acpi.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/time.h"
#include "pane/vmx/capabilities.h"
#include "pane/vtd/domain.h"
#include "pane/vtd/faults.h"
#include "pane/vtd/interrupts.h"

#include "vtd/spec/descriptors.h"
#include "vtd/spec/registers.h"

#include <cstring>

namespace vitrine::pane {

constinit VtdUse vtd_use{};
constinit VtdUnit units[most_units]{};
constinit unsigned unit_count = 0;

namespace {

constexpr unsigned most_reserved = 32;
u16 reserved[most_reserved];
unsigned reserved_count;

template <class T> T peek(u64 address) {
    T value;
    memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

/// The function at the end of a scope's path: a start bus, then a device and a function for each bridge on the way.
u16 function_of_scope(u64 scope) {
    u8 bus = peek<u8>(scope + 5);
    const u64 end = scope + peek<u8>(scope + 1);
    u16 id = 0;
    for (u64 at = scope + 6; at + 2 <= end; at += 2) {
        if (at != scope + 6)
            bus = static_cast<u8>(config_read(id, pci::secondary_bus, 1));
        id = static_cast<u16>(bus << 8 | peek<u8>(at) << 3 | peek<u8>(at + 1));
    }
    return id;
}

template <class Look> void each_scope(u64 from, u64 end, Look look) {
    for (u64 at = from; at + 6 <= end && peek<u8>(at + 1) >= 6; at += peek<u8>(at + 1))
        look(at, peek<u8>(at));
}

void read_dmar(const MachineTables& machine) {
    enum : u16 { remapping_unit = 0, reserved_memory = 1 };
    enum : u8 { io_apic_scope = 3 };
    const u64 end = machine.dmar + peek<u32>(machine.dmar + 4);
    for (u64 at = machine.dmar + 48; at + 4 <= end && peek<u16>(at + 2) >= 4; at += peek<u16>(at + 2)) {
        const u64 next = at + peek<u16>(at + 2);
        if (peek<u16>(at) == remapping_unit && peek<u16>(at + 6) == 0) {
            if (unit_count == most_units)
                panic("there are more than {} remapping units", most_units);
            units[unit_count++].start(peek<u64>(at + 8));
            each_scope(at + 16, next, [&](u64 scope, u8 type) {
                if (type == io_apic_scope && peek<u8>(scope + 4) == machine.io_apic_id)
                    set_io_apic_source(function_of_scope(scope));
            });
        } else if (peek<u16>(at) == reserved_memory) {
            each_scope(at + 24, next, [](u64 scope, u8) {
                if (reserved_count < most_reserved)
                    reserved[reserved_count++] = function_of_scope(scope);
            });
        }
    }
}

/// What all units have.
u64 common(u64 (VtdUnit::*word)() const) {
    u64 value = ~0ull;
    for (unsigned n = 0; n < unit_count; ++n)
        value &= (units[n].*word)();
    return value;
}

const char* missing(const MachineTables& machine) {
    if (!machine.dmar)
        return "the machine has none (no DMAR table)";
    if (!unit_count)
        return "its DMAR table names no unit";
    const u64 c = common(&VtdUnit::capability), e = common(&VtdUnit::extended_capability);
    if (!vtd::extended_capability.queue(e))
        return "a unit has no queued invalidation";
    if (!vtd::extended_capability.interrupt_remapping(e))
        return "a unit cannot remap interrupts, so that a guest's device could raise any";
    if (!(vtd::capability.address_widths(c) & 6))
        return "a unit knows neither 39-bit nor 48-bit tables";
    if (apic_is_x2apic() && !vtd::extended_capability.extended_interrupt_mode(e))
        return "a unit has no extended interrupt mode for the local APICs' x2APIC mode";
    return nullptr;
}

} // namespace

bool vtd_reserves_memory_for(u16 id) {
    for (unsigned n = 0; n < reserved_count; ++n)
        if (reserved[n] == id)
            return true;
    return false;
}

void VtdUnit::start(u64 registers) {
    base_ = registers;
    map_devices(base_, vtd::region_size);
    capability_ = read64(vtd::capability_at);
    extended_ = read64(vtd::extended_capability_at);
}

void VtdUnit::command(u64 bit, bool set) const {
    const auto& g = vtd::global_command;
    const u64 once = g.set_interrupt_table.mask() | g.write_buffer_flush.mask() | g.set_root_table.mask();
    const u64 lasting = read32(vtd::global_status_at) & ~(once | bit);
    write32(vtd::global_command_at, static_cast<u32>(lasting | (set ? bit : 0)));
    const u64 start = rdtsc(), limit = microseconds(1'000'000);
    const bool shown = bit != g.write_buffer_flush.mask() ? set : false; // that one falls when it is done
    while (((read32(vtd::global_status_at) & bit) != 0) != shown)
        if (rdtsc() - start > limit)
            panic("the remapping unit at {x} does not obey: command {x}, status {x}", base_, bit, read32(vtd::global_status_at));
}

void VtdUnit::start_queue() {
    queue_ = reinterpret_cast<u64*>(allocate(page_size));
    write64(vtd::queue_tail_at, 0);
    write64(vtd::queue_address_at, reinterpret_cast<u64>(queue_)); // of one page, with descriptors of 128 bits
    command(vtd::global_command.queue.mask());
}

void VtdUnit::submit(u64 low, u64 high) {
    queue_[tail_ / 8] = low;
    queue_[tail_ / 8 + 1] = high;
    vtd_flush(queue_ + tail_ / 8, vtd::descriptor_bytes);
    tail_ = (tail_ + vtd::descriptor_bytes) % page_size;
}

void VtdUnit::invalidate(u64 low, u64 high) {
    if (vtd::capability.write_buffer_flush(capability_))
        command(vtd::global_command.write_buffer_flush.mask());
    const auto& w = vtd::wait_descriptor_low;
    done_ = 0;
    submit(low, high);
    submit(w.data.with(w.status_write.mask(), 1) | static_cast<u64>(vtd::DescriptorType::wait), reinterpret_cast<u64>(&done_));
    write64(vtd::queue_tail_at, tail_);
    const u64 start = rdtsc(), limit = microseconds(1'000'000);
    while (!done_)
        if (rdtsc() - start > limit)
            panic("the remapping unit at {x} does not carry out {x} {x}: fault status {x}", base_, low, high, read32(vtd::fault_status_at));
}

void vtd_invalidate(u64 low, u64 high) {
    for (unsigned n = 0; n < unit_count; ++n)
        units[n].invalidate(low, high);
}

void vtd_flush(const void* table, u64 size) {
    if (vtd_use.coherent)
        return;
    const u64 from = align_down(reinterpret_cast<u64>(table), 64);
    for (u64 at = from; at < reinterpret_cast<u64>(table) + size; at += 64)
        asm volatile("clflush (%0)" ::"r"(at) : "memory");
    asm volatile("mfence" ::: "memory");
}

void vtd_start(const MachineTables& machine, const Config& config) {
    if (!config.vtd) {
        say("pane: VT-d stays off, as the configuration says: no device can be assigned, and DMA is not held back");
        return;
    }
    if (machine.dmar)
        read_dmar(machine);
    if (const char* why = missing(machine)) {
        say("pane: no VT-d: {}; no device can be assigned", why);
        return;
    }
    const u64 c = common(&VtdUnit::capability), e = common(&VtdUnit::extended_capability);
    VtdUse& u = vtd_use;
    u.coherent = vtd::extended_capability.coherent(e);
    u.snoop_control = vtd::extended_capability.snoop_control(e);
    u.large_pages = vtd::capability.large_pages(c) & 1;
    u.levels = vtd::capability.address_widths(c) & 2 ? 3 : 4;
    u.extended = apic_is_x2apic();
    u.posted = config.posted && vtd::capability.posted_interrupts(c) && vmx_use.posted;
    const auto& g = vtd::global_command;
    for (unsigned n = 0; n < unit_count; ++n) {
        VtdUnit& unit = units[n];
        for (const u64 bit : {g.translation.mask(), g.interrupt_remapping.mask(), g.queue.mask()})
            if (unit.read32(vtd::global_status_at) & bit)
                unit.command(bit, false); // somebody before Pane has used it
        unit.start_queue();
    }
    start_domains();
    start_interrupt_entries();
    u.on = true;
    route_io_apic(machine);
    start_faults();
    say("pane: VT-d: {} {}, DMA remapping{}, interrupt remapping{}{}", unit_count, unit_count == 1 ? "unit" : "units",
        u.large_pages ? " with 2-MiB pages" : "", u.extended ? " for x2APIC" : "", u.posted ? ", posted interrupts" : "");
    if (!u.posted)
        say("pane: goes without posted interrupts: {}; each interrupt of an assigned device costs a VM exit",
            !config.posted ? "the configuration says so" : vmx_use.posted ? "a remapping unit has none" : "the processor has none");
}

} // namespace vitrine::pane
