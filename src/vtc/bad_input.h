// SPDX-License-Identifier: Apache-2.0
// For the tests of bad input: a port of either chip with pools, rings and virtual functions, and what it says.
#pragma once

#include "pci/test_board.h"
#include "vtc/adapter.h"
#include "vtc/port_of.h"
#include "vtc/virtual_function.h"

#include <gtest/gtest.h>

#include <string>

namespace vitrine::vtc::test {

inline constexpr u64 registers_at = 0xc000'0000, msix_at = 0xc010'0000, vf_registers_at = 0xc020'0000, vf_msix_at = 0xc040'0000, vf_bar = 16_KiB;
inline constexpr u64 ram = 16_MiB;
inline constexpr u32 entries = 16, sriov = 0x160, msix = 0x70;
inline constexpr Mac mac = 0x0200'0000'0000, outsider = 0x0200'0000'7777;

/// A port with pools 0 to 2 on two virtual functions and the physical function, each with a pair of rings.
template <class T> struct Port : ::testing::Test {
    using At = PortOf<T>;

    Port() {
        board.glass.enable(Topic::vtc);
        board.glass.set_sink([this](std::string_view line) { told.emplace_back(line); });
        nic.connect(&wire);
        plug_in(board, nic, registers_at, msix_at);
        enable_vfs(2);
        open();
    }

    void open() {
        At::open([this](u32 offset, u32 value) { set(offset, value); }, true, mac);
        for (unsigned pool = 0; pool < 3; ++pool)
            rings(pool);
        told.clear();
    }

    void enable_vfs(unsigned count) {
        nic.config_write(sriov + pci::sriov_num_vfs, 2, count);
        nic.config_write(sriov + pci::sriov_vf_bar0, 4, vf_registers_at);
        nic.config_write(sriov + pci::sriov_vf_bar0 + 12, 4, vf_msix_at);
        nic.config_write(sriov + pci::sriov_control.offset, 2, count ? 0x19 : 0);
        for (unsigned n = 0; n < count; ++n)
            vf(n).config_write(pci::command_offset, 2, 4);
    }

    pci::Function& vf(unsigned n) {
        for (pci::Function* f : board.root.bus().functions())
            if (f->name() == "nic0vf" + std::to_string(n))
                return *f;
        throw 0;
    }

    void set(u32 offset, u32 value) { board.write32(registers_at + offset, value); }
    u32 get(u32 offset) { return board.read32(registers_at + offset); }
    void put(u64 at, std::span<const u8> data) { board.space->write(Physical{at}, data, Requester::from_cpu(0)); }
    std::vector<u8> take(u64 at, std::size_t n) {
        std::vector<u8> data(n);
        board.space->read(Physical{at}, data, Requester::from_cpu(0));
        return data;
    }

    static unsigned queue(unsigned pool) { return At::first_queue(pool); }
    static u32 rx(unsigned pool) { return At::rx(queue(pool)); }
    static u32 tx(unsigned pool) { return At::tx(queue(pool)); }
    static u64 rx_ring(unsigned pool) { return 0x10000 + pool * 0x2000; }
    static u64 tx_ring(unsigned pool) { return 0x11000 + pool * 0x2000; }
    static u64 rx_buffers(unsigned pool) { return 0x100000 + pool * 0x10000; }
    static constexpr u64 tx_buffer = 0x200000;

    void rings(unsigned pool) {
        for (u32 n = 0; n < entries; ++n) {
            board.write64(rx_ring(pool) + 16 * n, rx_buffers(pool) + 2048 * n);
            board.write64(rx_ring(pool) + 16 * n + 8, 0);
        }
        ring_at(rx(pool), rx_ring(pool));
        set(rx(pool) + nic.chip().split_control, 2 | 1u << 25);
        set(rx(pool) + ring::control, queue_enabled);
        set(rx(pool) + ring::tail, entries - 1);
        ring_at(tx(pool), tx_ring(pool));
        set(tx(pool) + ring::control, queue_enabled);
    }
    void ring_at(u32 at, u64 base) {
        set(at + ring::control, 0);
        set(at + ring::base_low, static_cast<u32>(base));
        set(at + ring::base_high, static_cast<u32>(base >> 32));
        set(at + ring::length, 16 * entries);
        set(at + ring::tail, 0);
    }

    static constexpr u32 data = tx_extension | 3u << 20, whole = data | tx_end_of_packet | tx_report_status, context = tx_extension | 2u << 20;

    void describe(unsigned pool, u64 address, u32 command, u32 options = 0) {
        const u32 tail = get(tx(pool) + ring::tail);
        board.write64(tx_ring(pool) + 16 * tail, address);
        board.write32(tx_ring(pool) + 16 * tail + 8, command);
        board.write32(tx_ring(pool) + 16 * tail + 12, options);
        set(tx(pool) + ring::tail, (tail + 1) % entries);
    }
    void go() { board.pass(1'000'000); }

    /// A good frame goes through: the queue still works.
    bool sends(unsigned pool) {
        const u64 before = wire.frames;
        put(tx_buffer, frame_of(outsider, mac + pool));
        describe(pool, tx_buffer, whole | 64);
        go();
        return wire.frames == before + 1;
    }
    bool receives(unsigned pool) {
        const u64 before = nic.counters(pool).rx_frames;
        nic.receive(frame_of(mac + pool, outsider));
        return nic.counters(pool).rx_frames == before + 1;
    }
    bool was_told(std::string_view what) const {
        return std::any_of(told.begin(), told.end(), [&](const std::string& line) { return line.find(what) != line.npos; });
    }
    u64 counted(const std::string& name) {
        nic.publish_counters();
        const auto found = board.glass.counters().find(name);
        return found == board.glass.counters().end() ? 0 : found->second;
    }

    struct Wire : FrameSink {
        void receive(std::span<const u8> frame) override { ++frames, longest = std::max(longest, frame.size()); }
        u64 frames = 0;
        std::size_t longest = 0;
    };

    pci::TestBoard board{ram};
    Wire wire;
    T nic{board.platform, board.clock, Options{.name = "nic0", .mac = mac}};
    std::vector<std::string> told;
};

using Chips = ::testing::Types<I82576, I82599>;

} // namespace vitrine::vtc::test
