// SPDX-License-Identifier: Apache-2.0
// For unit tests: either adapter on a small board, with rings, a wire that keeps what it gets, and frames.
#pragma once

#include "pci/test_board.h"
#include "vtc/adapter.h"
#include "vtc/port_of.h"

#include <vector>

namespace vitrine::vtc {

inline constexpr u64 registers_at = 0xc000'0000, msix_at = 0xc010'0000, vf_registers_at = 0xc020'0000, vf_msix_at = 0xc040'0000;
inline constexpr u64 rx_ring = 0x10000, tx_ring = 0x20000, rx_buffers = 0x100000, tx_buffer = 0x200000;
inline constexpr unsigned ring_entries = 16;

struct Wire : FrameSink {
    void receive(std::span<const u8> frame) override { frames.emplace_back(frame.begin(), frame.end()); }
    std::vector<std::vector<u8>> frames;
};

inline std::vector<u8> counting_frame(Mac to, Mac from, std::size_t size = 64) {
    std::vector<u8> f = frame_of(to, from, size);
    for (std::size_t i = 14; i < size; ++i)
        f[i] = static_cast<u8>(i);
    return f;
}

template <class T> struct Bench {
    Bench() {
        nic.connect(&wire);
        plug_in(board, nic, registers_at, msix_at);
    }

    void open() {
        PortOf<T>::open([this](u32 offset, u32 value) { set(offset, value); }, false, 0);
    }

    void set(u32 offset, u32 value) { board.write32(registers_at + offset, value); }
    u32 get(u32 offset) { return board.read32(registers_at + offset); }

    void put(u64 at, std::span<const u8> data) { board.space->write(Physical{at}, data, Requester::from_cpu(0)); }
    std::vector<u8> take(u64 at, std::size_t n) {
        std::vector<u8> data(n);
        board.space->read(Physical{at}, data, Requester::from_cpu(0));
        return data;
    }

    /// Receive queue `q` with its buffers, transmit queue likewise.
    void rings(u32 rx, u32 tx, u64 shift = 0) {
        for (unsigned n = 0; n < ring_entries; ++n)
            board.write64(rx_ring + shift + 16 * n, rx_buffers + shift + 2048 * n), board.write64(rx_ring + shift + 16 * n + 8, 0);
        set(rx + ring::base_low, static_cast<u32>(rx_ring + shift));
        set(rx + ring::length, 16 * ring_entries);
        set(rx + nic.chip().split_control, 2 | 1u << 25);
        set(rx + ring::control, queue_enabled);
        set(rx + ring::tail, ring_entries - 1);
        set(tx + ring::base_low, static_cast<u32>(tx_ring + shift));
        set(tx + ring::length, 16 * ring_entries);
        set(tx + ring::control, queue_enabled);
    }

    void send(u32 tx, std::span<const u8> frame, u64 shift = 0) {
        put(tx_buffer + shift, frame);
        const u32 tail = get(tx + ring::tail);
        board.write64(tx_ring + shift + 16 * tail, tx_buffer + shift);
        board.write32(tx_ring + shift + 16 * tail + 8, static_cast<u32>(frame.size()) | tx_end_of_packet | tx_insert_fcs | tx_report_status | tx_extension | 3u << 20);
        board.write32(tx_ring + shift + 16 * tail + 12, static_cast<u32>(frame.size()) << tx_payload_shift);
        set(tx + ring::tail, (tail + 1) % ring_entries);
        board.pass(1'000'000);
    }

    pci::TestBoard board;
    Wire wire;
    T nic{board.platform, board.clock, Options{.name = "nic0", .mac = 0x0200'0000'0001}};
};

inline constexpr Mac own = 0x0200'0000'0001, other = 0x0200'0000'0002;

} // namespace vitrine::vtc
