// SPDX-License-Identifier: Apache-2.0
// What a collector makes of events: guests by their EPT, instructions by mode, the four paths.
#include "report/collector.h"

#include "report/fake_probe.h"

#include <gtest/gtest.h>

namespace vitrine::report {
namespace {

using vtx::ExitReason;

constexpr u64 out(u16 port) {
    return u64{port} << 16;
}

TEST(Collector, InstructionsGoToTheModeAndTheReason) {
    Stage s;
    s.collector.begin(s.place);
    s.tell(Topic::vmx, "vmxon", {{"cpu", 0}});
    s.enter(0, 0x1000, 0x5000, 100);
    s.leave(0, 0x1000, ExitReason::cpuid, 400);
    s.enter(0, 0x1000, 0x5000, 450);
    s.leave(0, 0x1000, ExitReason::hlt, 1450);
    s.probe.cpus[0].retired = 1500;
    const Report r = s.finish();
    ASSERT_EQ(r.guests.size(), 1u);
    const Guest& g = r.guests[0];
    EXPECT_EQ(g.exits.at(ExitReason::cpuid).guest.instructions, 300u);
    EXPECT_EQ(g.exits.at(ExitReason::cpuid).vmm.instructions, 50u);
    EXPECT_EQ(g.exits.at(ExitReason::cpuid).guest.time, 1000u);
    EXPECT_EQ(g.exits.at(ExitReason::hlt).guest.instructions, 1000u);
    EXPECT_EQ(g.exits.at(ExitReason::hlt).vmm.instructions, 50u); // until the run ended
    EXPECT_EQ(r.processors[0].guests, 1300u);
    EXPECT_EQ(r.processors[0].root, 200u);
    EXPECT_EQ(r.processors[0].outside(), 0u);
    EXPECT_EQ(r.processors[0].retired, 1500u);
}

TEST(Collector, AGuestThatRunsAtTheEndIsCounted) {
    Stage s;
    s.collector.begin(s.place);
    s.enter(0, 0x1000, 0x5000, 100);
    s.probe.cpus[0].retired = 175;
    const Report r = s.finish();
    EXPECT_EQ(r.guests[0].in_guest().instructions, 75u);
    EXPECT_EQ(r.guests[0].all_exits(), 0u);
}

TEST(Collector, GuestsAreToldApartByTheirEpt) {
    Stage s(2);
    s.enter(0, 0x1000, 0x5000, 0);
    s.leave(0, 0x1000, ExitReason::hlt, 1);
    s.enter(1, 0x2000, 0x5000, 0); // the same virtual machine's second processor
    s.leave(1, 0x2000, ExitReason::hlt, 1);
    s.enter(0, 0x3000, 0x6000, 2); // another one
    s.leave(0, 0x3000, ExitReason::hlt, 3);
    s.enter(0, 0x3000, 0x7000, 4); // that is given new tables
    s.leave(0, 0x3000, ExitReason::hlt, 5);
    s.tell(Topic::vmx, "vmclear", {{"cpu", 0}, {"vmcs", 0x3000}});
    s.enter(0, 0x3000, 0x8000, 6); // the region is used for a third one
    s.leave(0, 0x3000, ExitReason::hlt, 7);
    const Report r = s.finish();
    ASSERT_EQ(r.guests.size(), 3u);
    EXPECT_EQ(r.guests[0].vmcs, (std::vector<u64>{0x1000, 0x2000}));
    EXPECT_EQ(r.guests[0].all_exits(), 2u);
    EXPECT_EQ(r.guests[1].all_exits(), 2u);
    EXPECT_EQ(r.guests[1].eptp, 0x7000u);
    EXPECT_EQ(r.guests[2].all_exits(), 1u);
}

TEST(Collector, ThereIsABoundToGuests) {
    Stage s;
    for (u64 n = 0; n < Guests::most + 5; ++n)
        s.enter(0, 0x1000 * (n + 1), 0x100000 * (n + 1), n);
    const Report r = s.finish();
    EXPECT_EQ(r.guests.size(), Guests::most);
    EXPECT_EQ(r.guests_left_out, 5u);
}

TEST(Collector, ThereIsABoundToPorts) {
    Stage s;
    for (unsigned port = 0; port < 0x10000; port += 16) {
        s.enter(0, 0x1000, 0x5000, 0);
        s.leave(0, 0x1000, ExitReason::io_instruction, 0, out(static_cast<u16>(port)));
    }
    const Guest g = s.finish().guests[0];
    EXPECT_EQ(g.ports.size(), Guest::most_ports);
    EXPECT_EQ(g.other_ports.writes, 0x1000 - Guest::most_ports);
}

TEST(Collector, The8259sAreToldByTheirRegisters) {
    Stage s;
    const auto write = [&](u16 port, u8 value) {
        s.enter(0, 0x1000, 0x5000, 0);
        s.leave(0, 0x1000, ExitReason::io_instruction, 0, out(port), value);
    };
    for (const auto& [port, value] : std::initializer_list<std::pair<u16, u8>>{{0x20, 0x11},
                                                                               {0x21, 0x20},
                                                                               {0x21, 0x04},
                                                                               {0x21, 0x01},
                                                                               {0x21, 0xfe},
                                                                               {0x20, 0x20},
                                                                               {0x20, 0x0b},
                                                                               {0xa0, 0x13},
                                                                               {0xa1, 0x28},
                                                                               {0xa1, 0x01},
                                                                               {0xa1, 0xff},
                                                                               {0xa1, 0xff}})
        write(port, value);
    s.enter(0, 0x1000, 0x5000, 0);
    s.leave(0, 0x1000, ExitReason::io_instruction, 0, out(0x21) | 8, 0); // IN
    s.enter(0, 0x1000, 0x5000, 0);
    s.leave(0, 0x1000, ExitReason::io_instruction, 0, out(0x3f8), 0x41);
    const Guest g = s.finish().guests[0];
    EXPECT_EQ(g.pic, (ByName{{"master ICW1", 1},
                             {"master ICW2", 1},
                             {"master ICW3", 1},
                             {"master ICW4", 1},
                             {"master OCW1", 1},
                             {"master OCW2", 1},
                             {"master OCW3", 1},
                             {"slave ICW1", 1},
                             {"slave ICW2", 1},
                             {"slave ICW4", 1},
                             {"slave OCW1", 2}}));
    EXPECT_EQ(g.ports.at(0x21).writes, 4u);
    EXPECT_EQ(g.ports.at(0x21).reads, 1u);
    EXPECT_EQ(g.ports.at(0x3f8).writes, 1u);
}

TEST(Collector, MemoryAndInterrupts) {
    Stage s;
    s.enter(0, 0x1000, 0x5000, 0, 0x8000'0030);
    s.leave(0, 0x1000, ExitReason::ept_violation, 0, 0x182); // a write, linear address valid, final
    s.enter(0, 0x1000, 0x5000, 0, 0x8000'0202);              // NMI
    s.leave(0, 0x1000, ExitReason::ept_violation, 0, 0x18a); // readable
    s.enter(0, 0x1000, 0x5000, 0);
    s.tell(Topic::vmx, "virtual-interrupt", {{"cpu", 0}, {"vmcs", 0x1000}, {"vector", 0x31}});
    s.leave(0, 0x1000, ExitReason::external_interrupt, 0, 0, 0, 0x8000'00ec);
    const Report r = s.finish();
    const Guest& g = r.guests[0];
    EXPECT_EQ(g.violations, (ByName{{"data write, not mapped", 1}, {"data write, mapped r--", 1}}));
    EXPECT_EQ(g.physical, (std::map<int, u64>{{0xec, 1}}));
    EXPECT_EQ(g.injected, (ByName{{"external interrupt", 1}, {"NMI", 1}}));
    EXPECT_EQ(g.injected_vectors, (std::map<unsigned, u64>{{0x30, 1}}));
    EXPECT_EQ(g.delivered, (std::map<unsigned, u64>{{0x31, 1}}));
    const Series& interrupts = r.series[1];
    ASSERT_EQ(interrupts.rows().size(), 3u);
    for (const Series::Row* row : interrupts.rows())
        EXPECT_EQ(row->total, 1u) << row->key;
}

TEST(Collector, ADomainIsTheGuestsWhoseEptLeadsToTheSameMemory) {
    Stage s;
    s.probe.ept[{0x5000, 0x7000}] = 0x1'2345'7000;
    s.enter(0, 0x1000, 0x5000, 0);
    const auto dma = [&](u64 domain, u64 address, u64 physical) {
        s.tell(Topic::vtd, "dma",
               {{"requester", 0x108},
                {"domain", domain},
                {"access", "write"},
                {"address", address},
                {"physical", physical},
                {"size", 64}});
    };
    dma(3, 0x7000, 0x1'2345'8000);
    dma(4, 0x7000, 0x1'2345'7000);
    s.tell(Topic::vtd, "dma.blocked", {{"fault", 5}, {"why", "no write permission"}});
    const Report r = s.finish();
    EXPECT_EQ(r.guests[0].domains, (std::vector<u16>{4}));
    EXPECT_EQ(r.remapping.faults, (ByName{{"0x5 no write permission", 1}}));
}

} // namespace
} // namespace vitrine::report
