// SPDX-License-Identifier: Apache-2.0
// MSI-X and MSI of an assigned function: the guest's messages are kept, the function sends Pane's, and an interrupt entry leads from one to
// the other, without Pane where it can.
#include "pane/assigned/assigned.h"

#include "pane/guest/guest.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/pci/msix.h"
#include "pane/vtd/vtd.h"

#include "interrupts/spec/apic.h"

namespace vitrine::pane {

namespace {

bool to_local_apics(const DeviceInterrupt& i) { return i.address >> 20 == 0xfee; }

Message message_of(const DeviceInterrupt& i) {
    const auto& a = apic::msi_address;
    const auto& d = apic::msi_data;
    return {static_cast<u8>(d.vector(i.data)), static_cast<apic::DeliveryMode>(d.delivery_mode(i.data)), a.logical(i.address) != 0, false,
            static_cast<u32>(a.destination(i.address))};
}

/// The one processor that gets the interrupt; null when it may be several, or none.
Vcpu* only_target(Guest& g, const Message& m) {
    using apic::DeliveryMode;
    if (m.vector < 16 || (m.mode != DeliveryMode::fixed && m.mode != DeliveryMode::lowest_priority))
        return nullptr;
    Vcpu* found = nullptr;
    for (unsigned n = 0; n < g.vcpu_count; ++n) {
        if (!g.vcpus[n]->apic.is_destination(m.destination, m.logical))
            continue;
        if (found)
            return nullptr;
        found = g.vcpus[n];
        if (m.mode == DeliveryMode::lowest_priority)
            break;
    }
    return found;
}

} // namespace

void Assigned::arrived(void* interrupt, u32 arrivals) {
    const DeviceInterrupt& i = *static_cast<DeviceInterrupt*>(interrupt);
    Guest& g = *i.device->guest_;
    if (!g.alive() || !i.open || i.posted)
        return;
    g.statistics.device_interrupts += arrivals;
    g.deliver(message_of(i));
}

/// One guest's devices do not take what others need.
bool Assigned::may_take(unsigned& taken, unsigned most, const char* what) {
    if (taken < most)
        return ++taken;
    if (!guest_->statistics.refused_interrupts++)
        say("pane: guest '{}' has {} {}, and no more; further interrupts of its devices stay masked", guest_->config.name, most, what);
    return false;
}

/// Points the interrupt entry to where the guest's message goes. False: nowhere.
bool Assigned::route(DeviceInterrupt& i) {
    if (!to_local_apics(i))
        return false;
    if (!i.entry.taken() && !may_take(guest_->device_entries, most_entries, "interrupt remapping entries"))
        return false;
    i.entry.take(function_->id);
    const Message m = message_of(i);
    Vcpu* target = only_target(*guest_, m);
    i.posted = vtd_use.posted && target;
    if (i.posted) {
        i.entry.post(reinterpret_cast<u64>(&target->posted), m.vector);
        return true;
    }
    if (!i.vector && may_take(guest_->device_vectors, most_vectors, "vectors"))
        i.vector = take_vector(arrived, &i);
    if (!i.vector)
        return false;
    const Cpu* cpu = target && target->last ? target->last : cpus[guest_->number % cpu_count];
    i.entry.to_processor(cpu->apic_id, i.vector);
    return true;
}

/// After a change of the entry or of what is above it.
void Assigned::update(DeviceInterrupt& i) {
    const auto& c = pci::msix_control;
    const bool wanted = c.enable(msix_control_) && !c.function_mask(msix_control_) && !(i.control & pci::msix_vector_masked);
    const bool was_open = i.open;
    i.open = wanted && route(i);
    if (i.open || was_open)
        msix_write(*function_, i.number, i.entry.request(), !i.open);
}

void Assigned::table_written(u64 offset, unsigned size, u64 value) {
    if (size < 4 || offset % size)
        return; // the specification knows double words and quad words
    for (unsigned done = 0; done < size; done += 4, offset += 4, value >>= 32) {
        if (offset / pci::msix_entry_size >= interrupt_count_)
            return;
        DeviceInterrupt& i = interrupts_[offset / pci::msix_entry_size];
        switch (offset % pci::msix_entry_size) {
        case 0: i.address = (i.address & ~0xffff'ffffull) | (value & 0xffff'fffc); break;
        case 4: i.address = (i.address & 0xffff'ffff) | value << 32; break;
        case 8: i.data = static_cast<u32>(value); break;
        default: i.control = value & pci::msix_vector_masked;
        }
        update(i);
    }
}

void Assigned::msix_written(u16 control) {
    const auto& c = pci::msix_control;
    const u16 old = msix_control_;
    msix_control_ = static_cast<u16>(control & (c.enable.mask() | c.function_mask.mask()));
    if (msix_control_ == old)
        return;
    if (c.enable(msix_control_))
        msix_enable(*function_, true); // its entries are masked one by one
    for (unsigned n = 0; n < interrupt_count_; ++n)
        update(interrupts_[n]);
    if (!c.enable(msix_control_))
        msix_enable(*function_, false);
}

void Assigned::msi_written() {
    const auto& c = pci::msi_control;
    DeviceInterrupt& i = interrupts_[0];
    i.address = msi_address_;
    i.data = msi_data_;
    const u64 physical = capability_read(function_->id, function_->msi, c);
    i.open = c.enable(msi_control_) && route(i);
    if (i.open) {
        const InterruptRequest r = i.entry.request();
        pane::config_write(function_->id, function_->msi + 4, 4, static_cast<u32>(r.address));
        if (c.address_64(physical))
            pane::config_write(function_->id, function_->msi + 8, 4, static_cast<u32>(r.address >> 32));
        pane::config_write(function_->id, function_->msi + (c.address_64(physical) ? 12 : 8), 2, r.data);
    }
    capability_write(function_->id, function_->msi, c, c.enable.with(c.multiple_message_enable.with(physical, 0), i.open));
}

void Assigned::close_all() {
    if (function_->msix && table_ && interrupt_count_)
        command_bits(*function_, pci::command.memory_space.mask(), 0);
    for (unsigned n = 0; n < interrupt_count_; ++n) {
        DeviceInterrupt& i = interrupts_[n];
        if (i.open && function_->msix)
            msix_write(*function_, n, i.entry.request(), true);
        i.open = i.posted = false;
        i.entry.close();
    }
    if (function_->msi) {
        const auto& c = pci::msi_control;
        capability_write(function_->id, function_->msi, c, c.enable.with(capability_read(function_->id, function_->msi, c), 0));
    }
}

bool Assigned::posts() const {
    for (unsigned n = 0; n < interrupt_count_; ++n)
        if (interrupts_[n].open && interrupts_[n].posted)
            return true;
    return false;
}

} // namespace vitrine::pane
