// SPDX-License-Identifier: Apache-2.0
// For unit tests of PCI devices: a small board with RAM, a root complex, plain DMA, and interrupts that are written
// down.
#pragma once

#include "base/clock.h"
#include "memory/space.h"
#include "pci/plain_dma.h"
#include "pci/root.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace vitrine::pci {

/// Saves state to bytes and loads it again.
class Tape : public Visitor {
public:
    Tape() = default;

    explicit Tape(std::vector<u8> from) : data(std::move(from)), loading_(true) {}

    void number(std::string_view, u64& value, unsigned width) override { raw(&value, width); }

    void bytes(std::string_view, std::span<u8> b) override { raw(b.data(), b.size()); }

    void blob(std::string_view name, std::vector<u8>& b, u64 limit) override {
        b.resize(count(name, b.size(), limit));
        raw(b.data(), b.size());
    }

    u64 count(std::string_view, u64 n, u64 limit) override {
        raw(&n, 8);
        return n <= limit ? n : 0;
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return loading_; }

    void refuse(std::string_view why) override { refused = why; }

    std::vector<u8> data;
    std::string refused;

private:
    void raw(void* p, std::size_t n) {
        if (!loading_) {
            const u8* from = static_cast<const u8*>(p);
            data.insert(data.end(), from, from + n);
            return;
        }
        if (at_ + n > data.size()) {
            refused = "too short";
            std::fill_n(static_cast<u8*>(p), n, u8{0});
            return;
        }
        std::copy_n(data.data() + at_, n, static_cast<u8*>(p)); // nothing may be no memory at all
        at_ += n;
    }

    bool loading_ = false;
    std::size_t at_ = 0;
};

inline std::vector<u8> save(Device& device) {
    Tape tape;
    device.state(tape);
    return tape.data;
}

inline std::string load(Device& device, std::vector<u8> from) {
    Tape tape(std::move(from));
    device.state(tape);
    return tape.refused;
}

struct MessageLog : MsiSink {
    struct Entry {
        u16 requester;
        u64 address;
        u32 data;
        bool operator==(const Entry&) const = default;
    };

    void message(Requester requester, u64 address, u32 data) override {
        entries.push_back({requester.id, address, data});
    }

    std::vector<Entry> entries;
};

struct TestBoard {
    static constexpr u64 standard_ram = 16_MiB;

    explicit TestBoard(u64 ram = standard_ram) : space(Space::create(ram, glass).value()) {
        root.on_pirq([this](unsigned n, bool level) { pirqs.push_back({n, level}); });
    }

    u32 read32(u64 address) { return space->read<u32>(Physical{address}, Requester::from_cpu(0)); }

    u64 read64(u64 address) { return space->read<u64>(Physical{address}, Requester::from_cpu(0)); }

    void write32(u64 address, u32 value) { space->write<u32>(Physical{address}, value, Requester::from_cpu(0)); }

    void write64(u64 address, u64 value) { space->write<u64>(Physical{address}, value, Requester::from_cpu(0)); }

    u32 in(u16 port, unsigned size) {
        Access a{.size = size, .requester = Requester::from_cpu(0)};
        space->port(port, a);
        return static_cast<u32>(a.value);
    }

    void out(u16 port, unsigned size, u32 value) {
        Access a{.size = size, .write = true, .value = value, .requester = Requester::from_cpu(0)};
        space->port(port, a);
    }

    /// Lets virtual time pass, firing what is due on the way.
    void pass(u64 nanoseconds) {
        const u64 end = clock.now() + nanoseconds;
        while (clock.next_due() <= end) {
            clock.advance_to(std::max(clock.next_due(), clock.now()));
            clock.fire();
        }
        clock.advance_to(end);
    }

    Glass glass;
    Clock clock;
    std::unique_ptr<Space> space;
    MessageLog msi;
    PlainDma dma{*space, msi};
    Platform platform{space->mmio(), space->ports(), dma, msi, glass};
    RootComplex root{platform};
    std::vector<std::pair<unsigned, bool>> pirqs;
};

} // namespace vitrine::pci
