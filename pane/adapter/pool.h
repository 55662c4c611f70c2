// SPDX-License-Identifier: Apache-2.0
// A queue pair of the adapter for one guest: its rings and buffers lie in Pane's memory, never in the guest's.
#pragma once

#include "pane/virtio/network.h"

namespace vitrine::pane {

struct Port;

class Pool {
public:
    static constexpr unsigned descriptors = 256, buffer_size = 2048, ring_size = descriptors * 16;
    static constexpr u64 memory_size = 2 * (ring_size + u64{descriptors} * buffer_size);
    /// Frames that are looked at in one turn.
    static constexpr unsigned batch = 64;

    /// Rings into `memory`, and the queue on; frames raise the adapter's vector `vector`.
    void start(Port& port, unsigned number, u64 memory, unsigned vector, u16 vlan);

    // --- sending
    /// Where the next frame goes; null when the ring is full: then the adapter's interrupt tells when it is not any
    /// more.
    u8* room();
    void send(u32 size);
    void flush();

    // --- receiving
    /// Frames that have arrived go to the guest, a batch at most; whether there may be more.
    bool receive();
    /// Whether frames for it are received at all; not while its guest has ended.
    void listen(bool on);

    /// Frames that waited in the guest's queue for want of room are sent.
    void resume();

    bool is_of(const VirtioDevice& device) const;
    /// Null before the guest is there.
    VirtioDevice* device() const;

    unsigned number = 0;
    Mac address{};
    u16 vlan = 0;
    unsigned guest_number = 0, network = 0; ///< whose it is: the guest, and which of its networks
    bool more = false;                      ///< frames were left for the next turn

    u64 interrupts = 0;
    u64 received = 0, received_bytes = 0, sent = 0, sent_bytes = 0;
    u64 damaged = 0; ///< received with an error, or in more than one buffer
    u64 waits = 0;   ///< times that the ring was full

private:
    struct Descriptor {
        u32 words[4];
    };

    volatile Descriptor* receive_ring() { return reinterpret_cast<volatile Descriptor*>(memory_); }

    volatile Descriptor* transmit_ring() { return reinterpret_cast<volatile Descriptor*>(memory_ + ring_size); }

    u64 receive_buffer(unsigned n) const { return memory_ + 2 * ring_size + u64{n} * buffer_size; }

    u64 transmit_buffer(unsigned n) const { return receive_buffer(descriptors + n); }

    void fill(unsigned n);
    void reap();

    Port* port_ = nullptr;
    u64 memory_ = 0;
    u32 receive_registers_ = 0, transmit_registers_ = 0;
    unsigned queue_ = 0, entry_ = 0;
    unsigned next_received_ = 0;
    unsigned next_sent_ = 0, oldest_sent_ = 0, told_ = 0; ///< `told_` is the tail that the adapter knows
    bool waiting_ = false, deaf_ = false;
};

} // namespace vitrine::pane
