// SPDX-License-Identifier: Apache-2.0
// A hostile guest against the NVMe controller: random registers, doorbells, queue entries and lists; nothing may break
// or run on.
#include "devices/nvme_driver.h"

#include <gtest/gtest.h>

#include <random>

namespace vitrine::nvme {

namespace {

class Guest {
public:
    Guest(Driver& d, u64 seed) : d_(d), random_(seed) {}

    void act() {
        switch (pick(12)) {
        case 0: // any register
            d_.reg(align_down(pick(0x4000), 4), value());
            break;
        case 1:
            d_.board.read64(Driver::registers + align_down(pick(0x4000), 8));
            break;
        case 2: // configuration space, but it stays mapped
            d_.disk.config_write(static_cast<unsigned>(align_down(pick(0x200), 4)), 4, value());
            d_.map();
            break;
        case 3:
        case 4: // doorbells of queues that may exist
            d_.reg(doorbells + 4 * pick(12), static_cast<u32>(pick(16)));
            break;
        case 5: // memory that queues and lists lie in
            d_.board.space->write<u64>(Physical{align_down(pick(0x100000), 8)}, address(), Requester::from_cpu(0));
            break;
        case 6:
            d_.board.pass(pick(30'000));
            break;
        case 7:
            if (pick(40) == 0)
                d_.reg(cc_offset, 0);
            if (!(d_.reg(csts_offset) & 1))
                d_.enable(static_cast<u32>(2 + pick(30)));
            break;
        case 8:
            d_.board.write64(Driver::registers + 0x2000 + align_down(pick(0x410), 8), value());
            break;
        default:
            command();
        }
    }

private:
    u64 pick(u64 below) { return random_() % below; }

    u32 value() { return static_cast<u32>(pick(3) ? random_() : pick(2) ? ~0ull : pick(256)); }

    u64 address() { return pick(8) ? pick(0x100) * page_size : random_(); }

    void command() {
        static constexpr u8 opcodes[] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12};
        const unsigned queue = static_cast<unsigned>(pick(4));
        Driver::Queue q{0x10000 + queue * 0x10000, 0, 8, static_cast<u32>(pick(8))};
        const Command c{.opcode = pick(10) ? opcodes[pick(10)] : static_cast<u8>(random_()),
                        .flags = pick(20) ? u8{0} : static_cast<u8>(random_()),
                        .cid = static_cast<u16>(random_()),
                        .nsid = pick(4) ? 1 : value(),
                        .prp1 = address(),
                        .prp2 = address(),
                        .dw10 = pick(2) ? static_cast<u32>(pick(8) | pick(16) << 16) : value(),
                        .dw11 = pick(2) ? static_cast<u32>(pick(8) | pick(4) << 16) : value(),
                        .dw12 = pick(2) ? static_cast<u32>(pick(300)) : value()};
        d_.put(q, c);
        d_.reg(doorbells + 8 * queue, q.tail);
    }

    Driver& d_;
    std::mt19937_64 random_;
};

} // namespace

TEST(NvmeHostile, RandomGuests) {
    u64 commands = 0;
    for (u64 seed = 0; seed < 40; ++seed) {
        Driver d({.queues = 4});
        Guest guest(d, seed);
        for (unsigned i = 0; i < 3000; ++i)
            guest.act();
        commands += d.board.glass.counter("nvme.fatal");
        // It still works after a reset.
        d.disk.reset(Reset::cold);
        d.map();
        d.start();
        ASSERT_EQ(d.failures, 0u) << seed;
        ASSERT_EQ(d.io_run({.opcode = read, .nsid = 1, .prp1 = 0x100000}).status, success) << seed;
    }
    EXPECT_GT(commands, 0u); // some of it went far enough to be fatal
}

TEST(NvmeHostile, TheSameGuestGivesTheSameState) {
    const auto run = [] {
        Driver d({.queues = 4});
        Guest guest(d, 4711);
        for (unsigned i = 0; i < 5000; ++i)
            guest.act();
        return std::pair(pci::save(d.disk), d.image.data);
    };
    EXPECT_EQ(run(), run());
}

TEST(NvmeHostile, StateRoundTripAnywhere) {
    for (u64 seed = 100; seed < 110; ++seed) {
        Driver d({.queues = 4});
        Guest guest(d, seed);
        for (unsigned i = 0; i < 500; ++i) {
            guest.act();
            if (i % 50)
                continue;
            const std::vector<u8> saved = pci::save(d.disk);
            Driver e({.queues = 4});
            e.board.clock.advance_to(d.board.clock.now());
            ASSERT_EQ(pci::load(e.disk, saved), "") << seed << ' ' << i;
            ASSERT_EQ(pci::save(e.disk), saved) << seed << ' ' << i;
        }
    }
}

} // namespace vitrine::nvme
