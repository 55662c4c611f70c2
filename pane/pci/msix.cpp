// SPDX-License-Identifier: Apache-2.0
// The table lies in a BAR; it is written by 32-bit accesses, masked first.
#include "pane/pci/msix.h"

#include "pane/kernel/cpu.h"
#include "pane/vtd/interrupts.h"

namespace vitrine::pane {

namespace {

constexpr unsigned table_register = 4, pending_register = 8; ///< offset and BAR, in the capability

u64 place(const Function& f, unsigned at) {
    if (!f.msix)
        return 0;
    const u32 value = config_read(f.id, f.msix + at, 4);
    const unsigned bar = value & 7;
    return bar < Function::bar_count && f.bars[bar].size && f.bars[bar].memory ? f.bars[bar].address + (value & ~7u) : 0;
}

void write32(u64 at, u32 value) { *reinterpret_cast<volatile u32*>(at) = value; }

} // namespace

unsigned msix_entries(const Function& f) {
    return f.msix ? static_cast<unsigned>(pci::msix_control.table_size(capability_read(f.id, f.msix, pci::msix_control))) + 1 : 0;
}

u64 msix_table(const Function& f) { return place(f, table_register); }

u64 msix_pending(const Function& f) { return place(f, pending_register); }

void msix_write(const Function& f, unsigned entry, InterruptRequest request, bool masked) {
    const u64 at = msix_table(f) + entry * pci::msix_entry_size;
    write32(at + 12, pci::msix_vector_masked);
    write32(at, static_cast<u32>(request.address));
    write32(at + 4, static_cast<u32>(request.address >> 32));
    write32(at + 8, request.data);
    if (!masked)
        write32(at + 12, 0);
}

void msix_enable(const Function& f, bool on) {
    const auto& c = pci::msix_control;
    capability_write(f.id, f.msix, c, c.enable.with(c.function_mask.with(capability_read(f.id, f.msix, c), 0), on));
}

bool msix_route(const Function& f, unsigned entry, u8 vector, const Cpu& cpu) {
    if (entry >= msix_entries(f) || !msix_table(f))
        return false;
    // The table is reached with memory decoding on; entries that nobody has written are masked since reset.
    command_bits(f, pci::command.memory_space.mask() | pci::command.interrupt_disable.mask(), 0);
    msix_write(f, entry, own_request(f.id, cpu.apic_id, vector), false);
    msix_enable(f, true);
    return true;
}

} // namespace vitrine::pane
