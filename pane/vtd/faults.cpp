// SPDX-License-Identifier: Apache-2.0
// Reads and clears fault records. The first ones of a guest are printed; after many its function does no DMA any more, so that they cost nothing.
#include "pane/vtd/faults.h"

#include "pane/guest/guest.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/vtd/domain.h"
#include "pane/vtd/vtd.h"

#include "vtd/spec/faults.h"
#include "vtd/spec/registers.h"

namespace vitrine::pane {

extern Config config;

namespace {

constexpr u64 most_shown = 8, most_recorded = 4096;
u64 of_nobody;
bool some_lost;

void stop_dma(Guest& g, const Function& f) {
    for (unsigned n = 0; n < g.assigned_count; ++n)
        if (&g.assigned[n]->function() == &f)
            g.assigned[n]->stop_dma();
}

void charge(u16 source, u8 code, bool read, u64 information) {
    const Function* f = function_of(source);
    Guest* g = f ? f->owner : nullptr;
    const vtd::FaultRow* row = vtd::find_fault(code);
    const bool interrupt = row && row->interrupt;
    u64& count = !g ? of_nobody : interrupt ? g->statistics.interrupt_faults : g->statistics.dma_faults;
    if (++count <= most_shown)
        say("pane: {} of {} ({}) is blocked: {} {x}: fault {}, {}", interrupt ? "an interrupt" : read ? "a read" : "a write", FunctionName(source),
            g ? g->config.name : std::string_view("nobody's"), interrupt ? "entry" : "address", interrupt ? information >> 48 : information, code,
            row ? row->meaning : "a reason that Pane does not know");
    if (count == most_shown)
        say("pane: further ones are counted only");
    if (count >= most_recorded && g)
        stop_dma(*g, *f);
    if (g && config.stop_at_faults)
        g->end(Ending::crash, interrupt ? "its device raised an interrupt that was not given to it" : "its device reached for memory that is not its own");
}

void look_at(const VtdUnit& unit) {
    const auto& h = vtd::fault_record_high;
    const u64 first = vtd::capability.fault_offset(unit.capability()) * 16, count = vtd::capability.fault_records(unit.capability()) + 1;
    for (u64 n = 0; n < count; ++n) {
        const u64 at = first + 16 * n, high = unit.read64(at + 8);
        if (!h.fault(high))
            continue;
        const u64 low = unit.read64(at);
        unit.write32(at + 12, static_cast<u32>(h.fault.mask() >> 32));
        charge(static_cast<u16>(h.source(high)), static_cast<u8>(h.reason(high)), h.read(high), low);
    }
    const u32 status = unit.read32(vtd::fault_status_at);
    if (vtd::fault_status.queue_error(status))
        panic("the remapping unit at {x} does not take a descriptor: error {}", unit.base(), unit.read32(vtd::queue_error_at) & 15);
    if (vtd::fault_status.overflow(status)) {
        unit.write32(vtd::fault_status_at, static_cast<u32>(vtd::fault_status.overflow.mask()));
        if (!some_lost)
            say("pane: a remapping unit had no room for all faults; how many more there were is not known");
        some_lost = true;
    }
}

} // namespace

void look_at_faults() {
    for (unsigned n = 0; n < unit_count && vtd_use.on; ++n)
        look_at(units[n]);
}

void start_faults() {
    const u8 vector = take_vector([](void*, u32) { look_at_faults(); }, nullptr);
    const InterruptRequest request = apic_request(cpus[0]->apic_id, vector); // a unit's own messages are not remapped
    look_at_faults();
    for (unsigned n = 0; n < unit_count; ++n) {
        units[n].write32(vtd::fault_event_at + 4, request.data);
        units[n].write32(vtd::fault_event_at + 8, static_cast<u32>(request.address));
        units[n].write32(vtd::fault_event_at + 12, 0);
        units[n].write32(vtd::fault_event_at, 0);
    }
}

} // namespace vitrine::pane
