// SPDX-License-Identifier: Apache-2.0
// Taking a function for a guest, connecting it, cutting it off; and its memory in the guest's map.
#include "pane/assigned/assigned.h"

#include "pane/guest/guest.h"
#include "pane/kernel/memory.h"
#include "pane/pci/msix.h"
#include "pane/vtd/vtd.h"

namespace vitrine::pane {

namespace {

Function* next_virtual_function() {
    for (unsigned n = 0; n < function_count; ++n)
        if (functions[n]->offered && functions[n]->free())
            return functions[n];
    return nullptr;
}

} // namespace

void Assigned::start(Guest& guest, std::string_view name, unsigned slot) {
    guest_ = &guest;
    slot_ = slot;
    const auto refuse = [&](const char* why) { panic("guest '{}' cannot have device {}: {}", guest.config.name, name, why); };
    if (!vtd_use.on)
        refuse("without VT-d nothing would keep it within the guest's memory");
    u16 id = 0;
    function_ = name == "vf" ? next_virtual_function() : parse_function_name(name, id) ? function_of(id) : nullptr;
    if (!function_)
        refuse(name == "vf" ? "no adapter offers a virtual function any more" : "the machine has no such function");
    if (function_->bridge || function_->class_code >> 16 == 0x06)
        refuse("it is a bridge");
    if (!function_->free())
        refuse(function_->owner ? "another guest has it" : "Pane drives it itself");
    if (vtd_reserves_memory_for(function_->id))
        refuse("the firmware has set memory apart for it (RMRR)");
    function_->owner = &guest;
    table_ = msix_table(*function_);
    pending_ = msix_pending(*function_);
    interrupt_count_ = function_->msix ? (table_ ? msix_entries(*function_) : 0) : function_->msi ? 1 : 0;
    if (interrupt_count_) {
        interrupts_ = new (reinterpret_cast<void*>(allocate(interrupt_count_ * sizeof(DeviceInterrupt)))) DeviceInterrupt[interrupt_count_];
        for (unsigned n = 0; n < interrupt_count_; ++n) {
            interrupts_[n].device = this;
            interrupts_[n].number = n;
        }
    }
    place_bars();
    say("pane: guest '{}' has {} ({x}:{x}{}) as its {}", guest.config.name, FunctionName(function_->id), function_->vendor, function_->device,
        function_->physical ? ", a virtual function" : "", FunctionName(own_id()));
}

void Assigned::place_bars() {
    for (unsigned n = 0; n < bars; ++n) {
        const Bar& bar = function_->bars[n];
        if (!bar.size || !bar.memory)
            continue; // ports are not given away; drivers of this century use memory
        if (!bar.address)
            panic("the firmware has given BAR {} of {} no address", n, FunctionName(function_->id));
        const u64 size = align_up(bar.size, page_size);
        const u64 at = align_up(window_base + guest_->device_memory, size);
        if (at + size > window_base + window_size)
            panic("the BARs of guest '{}' need more than {} MiB", guest_->config.name, window_size >> 20);
        guest_->device_memory = at + size - window_base;
        windows_[n].gpa = at;
        map_bar(n);
    }
}

/// Whole pages of the function's own, but for those that hold its MSI-X table.
void Assigned::map_bar(unsigned n) {
    const Bar& bar = function_->bars[n];
    if (bar.size < page_size)
        return; // who knows what lies beside it
    for (u64 done = 0; done < bar.size; done += page_size)
        if (!trapped(bar.address + done))
            guest_->ept.map_page(GuestPhysical{windows_[n].gpa + done}, bar.address + done, Ept::uncached);
}

bool Assigned::in_table(u64 address) const { return table_ && address - table_ < interrupt_count_ * pci::msix_entry_size; }

bool Assigned::trapped(u64 page) const {
    const u64 end = table_ + interrupt_count_ * pci::msix_entry_size;
    return table_ && page < end && table_ < page + page_size;
}

/// The machine's address of a guest's access that has exited.
bool Assigned::find(u64 gpa, unsigned size, u64& address) const {
    for (unsigned n = 0; n < bars; ++n) {
        const Bar& bar = function_->bars[n];
        if (!windows_[n].gpa || gpa - windows_[n].gpa >= bar.size || size > bar.size - (gpa - windows_[n].gpa))
            continue;
        address = bar.address + (gpa - windows_[n].gpa);
        return true;
    }
    return false;
}

bool Assigned::answers_at(u64 gpa) const {
    u64 address;
    return find(gpa, 1, address);
}

u64 Assigned::memory_read(u64 gpa, unsigned size) {
    ++guest_->statistics.device_accesses_trapped;
    u64 at;
    if (!find(gpa, size, at) || !pci::command.memory_space(command_))
        return ~0ull;
    if (in_table(at) || in_table(at + size - 1)) {
        if (!in_table(at))
            return ~0ull; // half outside
        const DeviceInterrupt& i = interrupts_[(at - table_) / pci::msix_entry_size];
        const u64 words[2] = {i.address, i.data | u64{i.control} << 32};
        const u64 offset = (at - table_) % pci::msix_entry_size;
        return offset % 8 + size > 8 ? ~0ull : words[offset / 8] >> offset % 8 * 8;
    }
    switch (size) {
    case 1: return *reinterpret_cast<volatile u8*>(at);
    case 2: return *reinterpret_cast<volatile u16*>(at);
    case 4: return *reinterpret_cast<volatile u32*>(at);
    default: return *reinterpret_cast<volatile u64*>(at);
    }
}

void Assigned::memory_write(u64 gpa, unsigned size, u64 value) {
    ++guest_->statistics.device_accesses_trapped;
    u64 at;
    if (!find(gpa, size, at) || !pci::command.memory_space(command_))
        return;
    if (in_table(at))
        return table_written(at - table_, size, value);
    if (in_table(at + size - 1))
        return; // half outside
    if (pending_ && at - pending_ < align_up(interrupt_count_, 64) / 8)
        return; // read only
    switch (size) {
    case 1: *reinterpret_cast<volatile u8*>(at) = static_cast<u8>(value); break;
    case 2: *reinterpret_cast<volatile u16*>(at) = static_cast<u16>(value); break;
    case 4: *reinterpret_cast<volatile u32*>(at) = static_cast<u32>(value); break;
    default: *reinterpret_cast<volatile u64*>(at) = value;
    }
}

/// The order matters: first it can reach nothing and say nothing, then it is reset.
void Assigned::cut() {
    command_bits(*function_, pci::command.interrupt_disable.mask(), pci::command.bus_master.mask());
    if (connected_)
        detach(*function_, guest_->domain);
    connected_ = false;
    close_all();
    if (!reset_function(*function_) && function_->msix)
        msix_enable(*function_, false);
    command_bits(*function_, pci::command.interrupt_disable.mask(), pci::command.bus_master.mask());
}

void Assigned::power_on() {
    cut();
    command_ = device_control_ = msi_control_ = msix_control_ = 0;
    msi_address_ = msi_data_ = 0;
    dma_stopped_ = false;
    for (unsigned n = 0; n < bars; ++n) {
        windows_[n].value = static_cast<u32>(windows_[n].gpa);
        if (n && function_->bars[n - 1].wide)
            windows_[n].value = 0; // the upper half
    }
    for (unsigned n = 0; n < interrupt_count_; ++n) {
        interrupts_[n].address = interrupts_[n].data = 0;
        interrupts_[n].control = pci::msix_vector_masked;
    }
    command_bits(*function_, pci::command.memory_space.mask(), 0); // decoded for as long as the guest has it; it cannot move the BARs
    attach(*function_, guest_->domain);
    connected_ = true;
}

void Assigned::stop_dma() {
    if (dma_stopped_)
        return;
    dma_stopped_ = true;
    command_bits(*function_, 0, pci::command.bus_master.mask());
    say("pane: {} of guest '{}' does no DMA any more", FunctionName(function_->id), guest_->config.name);
}

} // namespace vitrine::pane
