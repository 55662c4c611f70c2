// SPDX-License-Identifier: Apache-2.0
// The MMIO transport of virtio, version 2 (Virtio 1.1, Virtio Over MMIO).
#include "pane/virtio/device.h"

#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

enum Register : u32 {
    magic = 0x00, version = 0x04, device_id = 0x08, vendor_id = 0x0c, device_features = 0x10, device_features_select = 0x14,
    driver_features = 0x20, driver_features_select = 0x24, queue_select = 0x30, queue_size_most = 0x34, queue_size = 0x38,
    queue_ready = 0x44, queue_notify = 0x50, interrupt_status = 0x60, interrupt_acknowledge = 0x64, status = 0x70,
    descriptors_low = 0x80, descriptors_high = 0x84, driver_low = 0x90, driver_high = 0x94, device_low = 0xa0, device_high = 0xa4,
    config_generation = 0xfc, config = 0x100,
};

constexpr u32 features_ok = 8, needs_reset = 0x40;
constexpr u32 used_buffer = 1, configuration_changed = 2;

void set_half(u64& word, bool high, u32 value) {
    word = high ? (word & 0xffff'ffff) | u64{value} << 32 : (word & ~0xffff'ffffull) | value;
}

} // namespace

void VirtioDevice::start(Guest& guest, const VirtioKind& kind, u64 address, unsigned pin) {
    guest_ = &guest;
    kind_ = &kind;
    address_ = address;
    pin_ = pin;
    reset();
}

void VirtioDevice::reset() {
    for (Queue& q : queues_)
        q.reset();
    feature_select_ = driver_select_ = queue_select_ = status_ = interrupt_status_ = 0;
    driver_features_ = 0;
    guest_->set_pin(pin_, false);
}

void VirtioDevice::interrupt() {
    ++interrupts;
    interrupt_status_ |= used_buffer;
    guest_->set_pin(pin_, true);
}

void VirtioDevice::broken(const char* why) {
    say("[{}] virtio {}: {}; it waits for a reset", guest_->config.name, kind_->name, why);
    status_ |= needs_reset;
    for (Queue& q : queues_)
        q.ready = false;
    interrupt_status_ |= configuration_changed;
    guest_->set_pin(pin_, true);
}

u32 VirtioDevice::read(u32 offset, unsigned size) {
    if (offset >= config) {
        u32 value = 0;
        for (unsigned n = 0; n < size && n < 4; ++n)
            value |= u32{kind_->config(*this, offset - config + n)} << 8 * n;
        return value;
    }
    const Queue& q = queues_[queue_select_ % most_queues];
    const bool there = queue_select_ < kind_->queues;
    switch (offset) {
    case magic: return 0x7472'6976;
    case version: return 2;
    case device_id: return kind_->id;
    case vendor_id: return 0x656e'6150; // "Pane"
    case device_features: return feature_select_ < 2 ? static_cast<u32>(kind_->features >> 32 * feature_select_) : 0;
    case queue_size_most: return there ? Queue::most : 0;
    case queue_ready: return there && q.ready;
    case interrupt_status: return interrupt_status_;
    case status: return status_;
    default: return 0;
    }
}

void VirtioDevice::write(u32 offset, u32 value) {
    Queue& q = queues_[queue_select_ % most_queues];
    const bool may_set_up = queue_select_ < kind_->queues && !q.ready;
    switch (offset) {
    case device_features_select: feature_select_ = value; break;
    case driver_features_select: driver_select_ = value; break;
    case driver_features:
        if (driver_select_ < 2)
            set_half(driver_features_, driver_select_, value);
        break;
    case queue_select: queue_select_ = value; break;
    case queue_size:
        if (may_set_up && value && value <= Queue::most && (value & (value - 1)) == 0)
            q.size = static_cast<u16>(value);
        break;
    case queue_ready:
        if (queue_select_ < kind_->queues)
            q.ready = value & 1 && q.size;
        break;
    case queue_notify:
        if (value < kind_->queues && queues_[value].ready && ready())
            kind_->notified(*this, value);
        break;
    case interrupt_acknowledge:
        interrupt_status_ &= ~value;
        if (!interrupt_status_)
            guest_->set_pin(pin_, false);
        break;
    case status:
        if (value == 0)
            return reset();
        if ((value & features_ok) && (driver_features_ & ~kind_->features))
            value &= ~features_ok; // the driver took what was not offered
        status_ = value | (status_ & needs_reset);
        break;
    default:
        if (may_set_up && offset >= descriptors_low && offset <= device_high) {
            u64& address = offset < driver_low ? q.descriptors : offset < device_low ? q.driver : q.device;
            set_half(address, offset & 4, value);
        }
        break;
    }
}

} // namespace vitrine::pane
