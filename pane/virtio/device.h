// SPDX-License-Identifier: Apache-2.0
// A virtio device behind the MMIO transport: registers, features and queues; what it does is its kind's (Virtio 1.1).
#pragma once

#include "pane/virtio/queue.h"

namespace vitrine::pane {

struct Guest;
class VirtioDevice;

/// What makes a console, a disk, a network adapter.
struct VirtioKind {
    const char* name;
    u32 id;
    unsigned queues;
    u64 features;
    void (*notified)(VirtioDevice& device, unsigned queue);
    u8 (*config)(const VirtioDevice& device, u32 offset); ///< a byte of the device's configuration
};

class VirtioDevice {
public:
    static constexpr unsigned most_queues = 2;
    static constexpr u64 window = 0x1000; ///< bytes of guest-physical space

    void start(Guest& guest, const VirtioKind& kind, u64 address, unsigned pin);
    void reset();
    u32 read(u32 offset, unsigned size);
    void write(u32 offset, u32 value);
    void interrupt();

    /// The device has noticed that the driver breaks the rules: it stops until it is reset.
    void broken(const char* why);

    Guest& guest() const { return *guest_; }
    const VirtioKind* kind() const { return kind_; }
    Queue& queue(unsigned n) { return queues_[n]; }
    u64 address() const { return address_; }
    unsigned pin() const { return pin_; }
    bool ready() const { return status_ & 4; }

    u64 sent = 0, received = 0; ///< chains that the device took from the driver, and that it filled unasked
    u64 bytes_in = 0, bytes_out = 0, interrupts = 0, dropped = 0;

private:
    Guest* guest_ = nullptr;
    const VirtioKind* kind_ = nullptr;
    u64 address_ = 0;
    unsigned pin_ = 0;
    Queue queues_[most_queues];
    u32 feature_select_ = 0, driver_select_ = 0, queue_select_ = 0, status_ = 0, interrupt_status_ = 0;
    u64 driver_features_ = 0;
};

extern const VirtioKind virtio_console, virtio_block, virtio_network, virtio_vmdq;

/// A character for the guest's hvc0.
bool virtio_console_receive(Guest& guest, u8 c);

} // namespace vitrine::pane
