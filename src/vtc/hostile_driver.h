// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: drivers of an adapter and of its virtual functions, and a network, that mean no good, made of choices that
// somebody else supplies. What must hold whatever they do is in check(): it gives a sentence about what does not.
#pragma once

#include "base/choices.h"
#include "pci/test_board.h"
#include "vtc/port_of.h"
#include "vtc/virtual_function.h"

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace vitrine::vtc {

/// `Board` has glass, clock, space, platform and root like pci::TestBoard; it may have act(), for what a hypervisor does meanwhile, and
/// check(), for what nobody may have reached.
template <class Chip, class Board = pci::TestBoard> class HostileDriver {
public:
    explicit HostileDriver(Choices& choices) : choices_(choices) {
        board.glass.enable(Topic::vtc, choice(4) == 0);
        board.glass.set_sink([this](std::string_view line) { told += line.size(); });
        nic.connect(&wire);
        board.root.bus().attach(nic, 1);
        nic.attach_virtual_functions(board.root.bus());
        nic.reset(Reset::cold);
        place();
        if (choice(8) != 0)
            begin();
    }

    /// One thing that a driver, a guest or a network may do, rightly or wrongly.
    void act() {
        using Act = void (HostileDriver::*)();
        constexpr Act acts[] = {
            &HostileDriver::write_register, &HostileDriver::begin,          &HostileDriver::read_register, &HostileDriver::write_vf,
            &HostileDriver::set_up_ring,    &HostileDriver::read_vf,        &HostileDriver::set_up_ring,   &HostileDriver::break_ring,
            &HostileDriver::describe_frame, &HostileDriver::describe_frame, &HostileDriver::describe_frame, &HostileDriver::any_descriptor,
            &HostileDriver::doorbell,       &HostileDriver::doorbell,       &HostileDriver::poke,          &HostileDriver::from_outside,
            &HostileDriver::from_outside,   &HostileDriver::from_outside,   &HostileDriver::pass,          &HostileDriver::pass,
            &HostileDriver::configure,      &HostileDriver::storm,          &HostileDriver::aim_interrupt, &HostileDriver::mailbox,
            &HostileDriver::reset,          &HostileDriver::look,           &HostileDriver::settle,        &HostileDriver::restore,
            &HostileDriver::hypervise,
        };
        (this->*acts[choice(std::size(acts))])();
    }

    /// Empty while everything holds.
    std::string check() {
        const PortCounters& port = nic.port_counters();
        u64 tx = 0, stayed = 0, queue_rx = 0, pool_rx = 0, queue_tx = 0;
        for (unsigned n = 0; n < nic.chip().pools; ++n) {
            tx += nic.counters(n).tx_frames;
            stayed += nic.counters(n).stayed;
            pool_rx += nic.counters(n).rx_frames;
        }
        for (unsigned n = 0; n < nic.chip().queues; ++n) {
            queue_rx += nic.queue_counters(n).rx_frames;
            queue_tx += nic.queue_counters(n).tx_frames;
        }
        const u64 taken = port.rx_frames + port.runt + port.link_down + port.deaf + port.receiver_off + port.no_filter + port.vlan + port.pool_off + port.too_long + port.rx_control;
        const std::pair<const char*, std::array<u64, 2>> sums[] = {
            {"frames from outside and to itself, and those that are counted", {offered_ + port.looped_back, taken}},
            {"frames sent by pools, and those that left or stayed", {tx, port.tx_frames + port.tx_link_down + port.looped_back + stayed}},
            {"frames on the wire, and those that are counted", {wire.frames, port.tx_frames + port.tx_control}},
            {"frames received by pools and by queues", {pool_rx, queue_rx}},
            {"frames sent by pools and by queues", {tx, queue_tx}},
        };
        if (!restored_) // a state that somebody wrote may have any counts
            for (const auto& [what, pair] : sums)
                if (pair[0] != pair[1])
                    return fmt::format("{} differ: {} and {}", what, pair[0], pair[1]);
        if (wire.longest > 16383 + 4)
            return fmt::format("a frame of {} bytes is on the wire", wire.longest);
        if (endless_)
            return fmt::format("a doorbell's work does not end: {} timers for {} descriptors", fired_, asked_);
        if constexpr (requires { board.check(); })
            return board.check();
        return {};
    }

    struct Wire : FrameSink {
        void receive(std::span<const u8> frame) override {
            ++frames;
            longest = std::max(longest, frame.size());
        }
        u64 frames = 0;
        std::size_t longest = 0;
    };

    static constexpr u64 memory = 2_MiB, memory_end = 12_MiB; ///< what the adapter's drivers call their own
    static constexpr Mac mac = 0x0200'0000'0000;

    Board board;
    Wire wire;
    Chip nic{board.platform, board.clock, Options{.name = "nic0", .mac = mac}};
    u64 told = 0;

private:
    static constexpr u64 registers_at = 0xc000'0000, msix_at = 0xc010'0000, vf_registers_at = 0xc020'0000, vf_msix_at = 0xc040'0000, vf_bar = 16_KiB;
    static constexpr u64 registers_size = 128_KiB, ram_end = 16_MiB; ///< clang 14 calls a literal's operator in a template's function
    static constexpr u32 msix_capability = 0x70, msi_capability = 0x50, express_capability = 0xa0, power_capability = 0x40, sriov = 0x160;
    static constexpr u64 ring_bytes = 4096, rings = memory, buffers = memory + 2_MiB;

    unsigned choice(u64 end) { return static_cast<unsigned>(choices_.below(end)); }

    void set(u32 offset, u32 value) { board.write32(registers_at + offset, value); }
    u32 get(u32 offset) { return board.read32(registers_at + offset); }
    void put(u64 at, std::span<const u8> data) { board.space->write(Physical{at}, data, Requester::from_cpu(0)); }

    /// Where its registers are, so that the rest means something.
    void place() {
        nic.config_write(power_capability + 4, 2, 0);
        nic.config_write(pci::bar0, 4, registers_at);
        nic.config_write(pci::bar0 + 12, 4, msix_at);
        nic.config_write(pci::command_offset, 2, 6);
    }

    /// As a stock driver begins.
    void begin() {
        place();
        // Messages lead to interrupts, with the requesters' own numbers, until somebody aims them elsewhere.
        for (unsigned n = 0; n < 8; ++n) {
            board.write32(msix_at + 16 * n, 0xfee0'0000);
            board.write32(msix_at + 16 * n + 8, 0x40 + n);
            board.write32(msix_at + 16 * n + 12, 0);
        }
        nic.config_write(msix_capability + 2, 2, 0x8000);
        enable_vfs(1 + choice(nic.chip().vfs));
        PortOf<Chip>::open([this](u32 offset, u32 value) { set(offset, value); }, choice(4) != 0, mac);
        if (choice(8) != 0)
            pass_time(3'000'000); // the link comes
        for (unsigned n = 0; n < 8; ++n)
            set_up_ring();
    }

    void enable_vfs(unsigned count) {
        nic.config_write(sriov + pci::sriov_num_vfs, 2, count);
        nic.config_write(sriov + pci::sriov_vf_bar0, 4, vf_registers_at);
        nic.config_write(sriov + pci::sriov_vf_bar0 + 12, 4, vf_msix_at);
        nic.config_write(sriov + pci::sriov_control.offset, 2, 0x9 | choice(2) << 4);
        for (pci::Function* f : board.root.bus().functions())
            if (f->is_virtual() && f->present()) {
                f->config_write(pci::command_offset, 2, 4);
                f->config_write(msix_capability + 2, 2, 0x8000);
            }
    }

    // ---- words that mean something

    /// In memory, at its end, at the adapter's own registers, at interrupts, or anywhere.
    u64 address() {
        switch (choice(8)) {
        case 0: return choices_.any();
        case 1: return registers_at + choices_.below(2 * registers_size);
        case 2: return vf_registers_at + choices_.below(64 * vf_bar);
        case 3: return ram_end - choices_.below(64);
        case 4: return 0xfee0'0000 + choices_.below(0x1000);
        default: return memory + choices_.below(memory_end - memory);
        }
    }

    u32 value() {
        switch (choice(5)) {
        case 0: return static_cast<u32>(choices_.any());
        case 1: return static_cast<u32>(bit(choice(32)));
        case 2: return choice(256);
        case 3: return ~0u >> choice(32);
        default: return static_cast<u32>(address());
        }
    }

    u32 register_of(std::span<const RegisterRow> rows) {
        const RegisterRow& row = rows[choice(rows.size())];
        return row.offset + row.stride * choice(row.count);
    }

    unsigned vfs() const { return std::max(1u, nic.virtual_functions()); }
    unsigned queue() { return choice(4) == 0 ? choice(nic.chip().queues) : PortOf<Chip>::first_queue(choice(std::min(4u, nic.chip().pools))); }
    u32 ring_of(bool transmit, unsigned queue) { return transmit ? PortOf<Chip>::tx(queue) : PortOf<Chip>::rx(queue); }
    static u64 memory_of(bool transmit, unsigned queue) { return rings + (2 * queue + transmit) * ring_bytes; }

    // ---- what they do

    void write_register() { set(choice(4) == 0 ? choice(registers_size / 4) * 4 : register_of(nic.chip().registers), value()); }
    void read_register() { (void)get(choice(4) == 0 ? choice(registers_size / 4) * 4 : register_of(nic.chip().registers)); }

    u64 vf_register() {
        const u64 base = vf_registers_at + choice(vfs()) * vf_bar;
        switch (choice(4)) {
        case 0: return base + choices_.below(vf_bar / 4) * 4;
        case 1: return base + (choice(2) ? PortOf<Chip>::vf_rx : PortOf<Chip>::vf_tx) + choice(16) * 4;
        default: return base + register_of(nic.chip().vf_registers);
        }
    }
    void write_vf() { board.write32(vf_register(), value()); }
    void read_vf() { choice(2) ? (void)board.read32(vf_register()) : (void)board.read64(vf_register() & ~7ull); }

    /// A ring that makes sense, with buffers.
    void set_up_ring() {
        const unsigned q = queue();
        const bool transmit = choice(2);
        const u32 at = ring_of(transmit, q), entries = 8u << choice(6);
        const u64 base = memory_of(transmit, q);
        set(at + ring::control, 0);
        set(at + ring::base_low, static_cast<u32>(base));
        set(at + ring::base_high, 0);
        set(at + ring::length, entries * descriptor_size);
        if (transmit) {
            set(at + ring::write_back_low, choice(8) == 0 ? static_cast<u32>(address()) | 1 : 0);
        } else {
            for (u32 n = 0; n < entries; ++n) {
                board.write64(base + descriptor_size * n, choice(32) == 0 ? address() : buffers + choices_.below(1024) * 4096);
                board.write64(base + descriptor_size * n + 8, choice(4) == 0 ? buffers + choices_.below(1024) * 4096 : 0);
            }
            constexpr u32 shapes[] = {0, 1u << 25, 2u << 25, 5u << 25};
            set(at + nic.chip().split_control, shapes[choice(4)] | choice(4) | choice(9) << 8 | (choice(2) ? nic.chip().split_drop : 0));
        }
        set(at + ring::control, queue_enabled | (choice(4) == 0 ? nic.chip().rx_vlan_strip : 0));
        if (!transmit)
            set(at + ring::tail, entries - 1);
    }

    /// One of its registers changes: lengths, bases, heads and tails that do not fit.
    void break_ring() {
        constexpr u32 places[] = {ring::base_low, ring::base_high, ring::length, ring::head, ring::tail, ring::control, ring::write_back_low, 0x0c, 0x14};
        set(ring_of(choice(2), queue()) + places[choice(std::size(places))], choice(3) == 0 ? queue_enabled | value() : value());
    }

    /// A frame that is nearly right, as a stock driver would write it, in the descriptors that would be next.
    void describe_frame() {
        const unsigned q = queue();
        const std::vector<u8> frame = make_frame(q / PortOf<Chip>::first_queue(1) % 8);
        const u64 buffer = buffers + choices_.below(512) * 8192;
        put(buffer, frame);
        const u32 at = PortOf<Chip>::tx(q);
        const u64 base = memory_of(true, q);
        const u32 entries = std::max(1u, get(at + ring::length) / descriptor_size);
        u32 tail = get(at + ring::tail) % entries;
        const auto append = [&](u32 a, u32 b, u32 c, u32 d) {
            const u32 words[] = {a, b, c, d};
            put(base + descriptor_size * (tail % (ring_bytes / descriptor_size)), {reinterpret_cast<const u8*>(words), sizeof words});
            tail = (tail + 1) % entries;
        };
        const bool legacy = choice(4) == 0, offload = !legacy && choice(2);
        if (offload) {
            const unsigned l3 = choice(4) ? 14 : choice(128), ip = choice(4) ? 20 : choice(512), l4 = choice(4) ? 20 : choice(256);
            const u32 mss = choice(4) ? 536 : choice(8) ? static_cast<u32>(choices_.below(0x10000)) : choice(20);
            append(ip | l3 << 9 | choice(0x10000) << 16, 0, tx_extension | 2u << 20 | choice(8) << 10, choice(2) << 4 | l4 << 8 | mss << 16);
        }
        u32 left = static_cast<u32>(choice(16) ? frame.size() : choices_.below(0x10000));
        u64 from = choice(16) ? buffer : address();
        for (unsigned pieces = 1 + choice(3); pieces > 0; --pieces) {
            const u32 size = pieces == 1 ? left : choice(left + 1);
            const u32 last = pieces == 1 ? tx_end_of_packet | tx_report_status : 0;
            const u32 tag = choice(8) == 0 ? tx_vlan_enable : 0;
            if (legacy)
                append(static_cast<u32>(from), static_cast<u32>(from >> 32), size | last | tag | (choice(4) ? 0 : tx_legacy_insert_checksum | choice(256) << 16),
                       choice(256) << 8 | choice(4096) << 16);
            else
                append(static_cast<u32>(from), static_cast<u32>(from >> 32), (size & 0xffff) | last | tag | tx_extension | 3u << 20 | (offload && choice(2) ? tx_segmentation : 0) | (choice(8) ? 0 : tx_timestamp),
                       choice(4) << 8 | choice(2) << 4 | static_cast<u32>(frame.size()) << tx_payload_shift);
            from += size;
            left -= size;
        }
        set(at + ring::tail, tail);
    }

    void any_descriptor() {
        const bool transmit = choice(2);
        const unsigned q = queue();
        const u64 at = memory_of(transmit, q) + choices_.below(ring_bytes / 8) * 8;
        board.write64(at, choice(2) ? address() : choices_.any());
    }

    void doorbell() {
        const u32 at = ring_of(choice(2), queue());
        const u32 entries = get(at + ring::length) / descriptor_size;
        set(at + ring::tail, choice(8) == 0 || entries == 0 ? value() : static_cast<u32>(choices_.below(entries)));
    }

    void poke() { board.write64((memory + choices_.below(memory_end - memory)) & ~7ull, choice(2) ? choices_.any() : address()); }

    /// From a station with this number, mostly.
    std::vector<u8> make_frame(unsigned station) {
        constexpr Mac nobody = 0x0200'0000'7777;
        std::vector<u8> f(choice(8) ? 60 + choices_.below(1500) : choices_.below(12'000));
        const auto byte = [&](std::size_t at, u8 v) {
            if (at < f.size())
                f[at] = v;
        };
        const Mac to = std::array<Mac, 4>{mac + choice(8), broadcast, nobody, 0x0100'5e00'0001}[choice(4)], from = choice(8) ? mac + station : nobody;
        for (unsigned i = 0; i < 6; ++i) {
            byte(i, static_cast<u8>(to >> (40 - 8 * i)));
            byte(6 + i, static_cast<u8>(from >> (40 - 8 * i)));
        }
        std::size_t at = 12;
        for (unsigned tags = choice(4) == 0 ? 1 + choice(2) : 0; tags > 0; --tags, at += 4) {
            byte(at, 0x81), byte(at + 1, 0);
            byte(at + 2, static_cast<u8>(choices_.any())), byte(at + 3, static_cast<u8>(choice(16)));
        }
        const bool ip6 = choice(3) == 0;
        byte(at, ip6 ? 0x86 : 0x08), byte(at + 1, ip6 ? 0xdd : 0);
        at += 2;
        const std::size_t rest = f.size() > at ? f.size() - at : 0;
        constexpr u8 protocols[] = {6, 17, 132, 0, 43, 44, 60, 1};
        const u8 protocol = protocols[choice(std::size(protocols))];
        const std::size_t length = choice(8) ? rest : choices_.below(0x10000);
        if (ip6) {
            const std::size_t payload = length < 40 ? 0 : length - 40;
            byte(at, 0x60), byte(at + 4, static_cast<u8>(payload >> 8)), byte(at + 5, static_cast<u8>(payload)), byte(at + 6, protocol);
            at += 40;
        } else {
            const unsigned words = choice(8) ? 5 : choice(16);
            byte(at, static_cast<u8>(0x40 | words)), byte(at + 2, static_cast<u8>(length >> 8)), byte(at + 3, static_cast<u8>(length)), byte(at + 9, protocol);
            if (choice(8) == 0)
                byte(at + 6, static_cast<u8>(choices_.any()));
            at += 4 * words;
        }
        byte(at + 12, static_cast<u8>(choice(8) ? 0x50 : choices_.any())); // TCP's data offset
        for (unsigned n = choice(4); n > 0 && !f.empty(); --n)
            f[choices_.below(f.size())] = static_cast<u8>(choices_.any());
        return f;
    }

    void from_outside() {
        ++offered_;
        nic.receive(make_frame(choice(8)));
    }

    void pass_time(u64 nanoseconds) { board.pass(nanoseconds); }
    void pass() { pass_time(choices_.below(choice(4) == 0 ? 20'000'000 : 20'000)); }

    // ---- configuration space

    void configure() {
        pci::Function* f = &nic;
        if (const auto& all = board.root.bus().functions(); choice(2))
            f = all[choice(all.size())];
        constexpr u32 places[] = {pci::command_offset, pci::bar0, pci::bar0 + 12, msix_capability + 2, msi_capability + 2, msi_capability + 4,
                                  express_capability + 8, power_capability + 4, sriov + 8, sriov + 0x10, sriov + 0x20, sriov + 0x24, sriov + 0x30, 0x108};
        const unsigned size = 1u << choice(3);
        const u32 at = choice(4) == 0 ? choice(4096) : places[choice(std::size(places))];
        if (choice(4) == 0)
            (void)f->config_read(static_cast<u32>(align_down(at, size)), size);
        else
            f->config_write(static_cast<u32>(align_down(at, size)), size, value());
        if (choice(4) != 0)
            place();
    }

    /// Virtual functions come and go, in the middle of everything.
    void storm() {
        for (unsigned n = choice(4); n > 0; --n) {
            nic.config_write(sriov + pci::sriov_control.offset, 2, 0);
            if (choice(2))
                pass_time(choices_.below(2000));
            enable_vfs(choice(nic.chip().vfs + 2));
        }
    }

    /// A message that is no interrupt but a write: to memory, to the adapter's own registers, to another function's.
    void aim_interrupt() {
        const u64 at = choice(2) ? msix_at + choice(nic.chip().vectors) * 16 : vf_msix_at + choice(vfs()) * vf_bar + choice(nic.chip().vf_vectors) * 16;
        const u64 to = address();
        board.write32(at, static_cast<u32>(to));
        board.write32(at + 4, choice(8) ? 0 : static_cast<u32>(to >> 32));
        board.write32(at + 8, value());
        board.write32(at + 12, choice(4) == 0);
        if (choice(2))
            board.write32(vf_registers_at + choice(vfs()) * vf_bar + PortOf<Chip>::vf_interrupt_set, choice(8));
    }

    void mailbox() {
        const u64 base = vf_registers_at + choice(vfs()) * vf_bar;
        board.write32(base + PortOf<Chip>::vf_message + choice(16) * 4, value());
        board.write32(base + PortOf<Chip>::vf_mailbox, choice(256));
        (void)board.read32(base + PortOf<Chip>::vf_mailbox);
    }

    void reset() {
        switch (choice(6)) {
        case 0: return set(0, bit(26) | value());                                                       // CTRL.RST
        case 1: return nic.function_reset();
        case 2: return board.write32(vf_registers_at + choice(vfs()) * vf_bar, static_cast<u32>(bit(26))); // a VF's
        case 3: {
            const auto& all = board.root.bus().functions();
            return all[choice(all.size())]->function_reset();
        }
        default: return begin();
        }
    }

    void look() {
        (void)nic.describe();
        (void)nic.describe_switch();
        (void)nic.describe_pools();
        (void)nic.describe_vf(choice(80));
        nic.publish_counters();
    }

    /// Nobody does anything more: what the doorbells have asked for is done after a number of steps that the rings' lengths bound.
    void settle() {
        // Messages are writes, and writes may be doorbells; without them nothing rings.
        for (pci::Function* f : board.root.bus().functions()) {
            f->config_write(msix_capability + 2, 2, 0);
            if (!f->is_virtual())
                f->config_write(msi_capability + 2, 2, 0);
        }
        // A partner that is to wait would be told so again and again.
        place();
        PortOf<Chip>::send_no_pauses([this](u32 offset) { return nic.peek(offset); }, [this](u32 offset, u32 value) { set(offset, value); });
        asked_ = 0;
        for (unsigned q = 0; q < nic.chip().queues; ++q)
            asked_ += nic.peek(PortOf<Chip>::tx(q) + ring::length) / descriptor_size;
        const u64 most = 256 + 2 * asked_ + 2 * (nic.chip().vectors + nic.chip().vf_vectors * nic.chip().vfs);
        for (fired_ = 0; board.clock.next_due() != never && fired_ <= most; ++fired_) {
            board.clock.advance_to(std::max(board.clock.next_due(), board.clock.now()));
            board.clock.fire();
        }
        endless_ |= fired_ > most;
        nic.config_write(msix_capability + 2, 2, 0x8000);
    }

    /// State with a few bytes exchanged: refused, or an adapter that can be used.
    void restore() {
        std::vector<u8> data = pci::save(nic);
        for (unsigned n = choice(32) == 0 ? 1 + choice(8) : 0; n > 0; --n) {
            data[choices_.below(data.size())] = static_cast<u8>(choices_.any());
            restored_ = true;
        }
        if (!pci::load(nic, std::move(data)).empty()) // as a machine does with a snapshot that it refuses: nothing of it is used
            nic.reset(Reset::cold), restored_ = true;
    }

    void hypervise() {
        if constexpr (requires { board.act(choices_); })
            board.act(choices_);
    }

    Choices& choices_;
    u64 offered_ = 0, fired_ = 0, asked_ = 0;
    bool restored_ = false, endless_ = false;
};

} // namespace vitrine::vtc
