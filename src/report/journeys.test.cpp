// SPDX-License-Identifier: Apache-2.0
// Frames are followed from step to step, and only to what their events name.
#include "report/journeys.h"

#include "report/fake_probe.h"

#include <gtest/gtest.h>

namespace vitrine::report {
namespace {

constexpr u64 vf = 0x0180, vmcs = 0x1000, eptp = 0x5000, descriptor = 0x9000;

struct Wire : Stage {
    Wire() {
        probe.ept[{eptp, 0x70000}] = 0x12370000;
        enter(0, vmcs, eptp, 0, 0, descriptor);
    }

    void receive(unsigned pool, unsigned queue) {
        tell(Topic::vtc, "received",
             {{"adapter", "nic0"}, {"frame", "a > b"}, {"pool", pool}, {"queue", queue}, {"why", "exact address"}});
    }

    void dma(std::string_view access, u64 address, u64 size) {
        tell(Topic::vtd, "dma",
             {{"requester", vf},
              {"domain", 7},
              {"access", access},
              {"address", address},
              {"physical", address + 0x12300000},
              {"size", size}});
    }

    void store(unsigned pool, unsigned queue) {
        dma("read", 0x60000, 16);
        dma("write", 0x70000, 98);
        dma("write", 0x60000, 16);
        tell(Topic::vtc, "stored",
             {{"adapter", "nic0"},
              {"function", "nic0vf1"},
              {"requester", vf},
              {"pool", pool},
              {"queue", queue},
              {"descriptor", 4},
              {"address", 0x70000},
              {"size", 98}});
    }

    void message(unsigned queue) {
        tell(Topic::vtc, "cause",
             {{"adapter", "nic0"}, {"function", "nic0vf1"}, {"queue", queue}, {"of", "reception"}, {"vector", 0}});
        tell(Topic::vtc, "interrupt", {{"function", "nic0vf1"}, {"requester", vf}, {"vector", 0}});
    }
};

std::vector<Lane> lanes_of(const Journey& j) {
    std::vector<Lane> list;
    for (const Step& s : j.steps)
        list.push_back(s.lane);
    return list;
}

TEST(Journeys, FromTheWireToTheGuestByPosting) {
    Wire w;
    w.receive(1, 9);
    w.store(1, 9);
    w.message(9);
    w.tell(Topic::vtd, "interrupt", {{"requester", vf}, {"index", 12}, {"low", 0x8001}, {"high", 0}});
    w.tell(Topic::vtd, "posted",
           {{"descriptor", descriptor}, {"vector", 0x41}, {"notification", 1}, {"control", 0xf2'0000}});
    w.tell(Topic::vmx, "virtual-interrupt", {{"cpu", 0}, {"vmcs", vmcs}, {"vector", 0x40}}); // another one
    w.tell(Topic::vmx, "posted-interrupts",
           {{"cpu", 0}, {"vmcs", vmcs}, {"descriptor", descriptor}, {"highest", 0x41}});
    w.tell(Topic::vmx, "virtual-interrupt", {{"cpu", 0}, {"vmcs", vmcs}, {"vector", 0x41}});
    const Report r = w.finish();
    ASSERT_EQ(r.journeys.size(), 1u);
    const Journey& j = r.journeys[0];
    EXPECT_EQ(j.end, JourneyEnd::guest);
    EXPECT_EQ(j.guest, 1u);
    EXPECT_EQ(j.function, "nic0vf1");
    using enum Lane;
    EXPECT_EQ(lanes_of(j), (std::vector<Lane>{wire, filter, dma, dma, dma, ring, interrupt, interrupt, guest, guest}));
    EXPECT_EQ(j.steps[2].what, "descriptor fetched");
    EXPECT_EQ(j.steps[3].what, "frame written");
    EXPECT_EQ(j.steps[4].what, "descriptor written back");
    for (std::size_t n = 1; n < j.steps.size(); ++n)
        EXPECT_LE(j.steps[n - 1].time, j.steps[n].time);
    for (const Step& s : j.steps)
        EXPECT_FALSE(s.inferred) << s.what;
}

TEST(Journeys, ThroughTheVmmByInjection) {
    Wire w;
    w.receive(1, 9);
    w.store(1, 9);
    w.message(9);
    w.tell(Topic::vtd, "interrupt", {{"requester", vf}, {"index", 12}, {"low", 0x41'0001}, {"high", 0}});
    w.probe.cpus[0].non_root = true;
    w.tell(Topic::interrupts, "apic.acknowledge", {{"cpu", 0}, {"vector", 0x40}}); // another one
    w.tell(Topic::interrupts, "apic.acknowledge", {{"cpu", 0}, {"vector", 0x41}});
    w.leave(0, vmcs, vtx::ExitReason::external_interrupt, 0, 0, 0, 0x8000'0041);
    w.enter(0, 0x2000, 0x6000, 0, 0x8000'0055); // another guest's interrupt
    w.enter(0, vmcs, eptp, 0, 0x8000'0055, descriptor);
    const Journey j = w.finish().journeys.at(0);
    EXPECT_EQ(j.end, JourneyEnd::guest);
    ASSERT_GE(j.steps.size(), 2u);
    EXPECT_EQ(j.steps[j.steps.size() - 2].lane, Lane::vmm);
    EXPECT_FALSE(j.steps[j.steps.size() - 2].inferred);
    EXPECT_EQ(j.steps.back().lane, Lane::guest);
    EXPECT_TRUE(j.steps.back().inferred);
}

TEST(Journeys, AFrameOfTheHostEndsAtTheProcessor) {
    Wire w;
    w.receive(0, 0);
    w.tell(Topic::vtc, "stored",
           {{"adapter", "nic0"},
            {"function", "nic0"},
            {"requester", 0x100},
            {"pool", 0},
            {"queue", 0},
            {"descriptor", 0},
            {"address", 0x1000},
            {"size", 60}});
    w.tell(Topic::vtc, "cause",
           {{"adapter", "nic0"}, {"function", "nic0"}, {"queue", 0}, {"of", "transmission"}, {"vector", 0}});
    w.tell(Topic::vtc, "cause",
           {{"adapter", "nic0"}, {"function", "nic0"}, {"queue", 0}, {"of", "reception"}, {"vector", 2}});
    w.tell(Topic::vtc, "interrupt", {{"function", "nic0"}, {"requester", 0x100}, {"vector", 1}});
    w.tell(Topic::vtc, "interrupt", {{"function", "nic0"}, {"requester", 0x100}, {"vector", 2}});
    w.tell(Topic::interrupts, "msi", {{"requester", 0x100}, {"address", 0xfee00000}, {"data", 0x33}});
    w.tell(Topic::interrupts, "apic.acknowledge", {{"cpu", 0}, {"vector", 0x33}});
    const Journey j = w.finish().journeys.at(0);
    EXPECT_EQ(j.end, JourneyEnd::processor);
    EXPECT_EQ(j.guest, 0u);
    EXPECT_EQ(j.steps.size(), 6u);
}

TEST(Journeys, LostFramesTakeNobodysPlace) {
    Wire w;
    w.receive(1, 9);
    w.tell(Topic::vtc, "missed", {{"adapter", "nic0"}, {"pool", 1}, {"queue", 9}});
    w.receive(2, 10);
    w.receive(1, 9);
    w.tell(Topic::vtc, "lost", {{"adapter", "nic0"}, {"pool", 2}, {"queue", 10}});
    w.store(1, 9);
    const Report r = w.finish();
    ASSERT_EQ(r.journeys.size(), 3u);
    EXPECT_EQ(r.journeys[0].end, JourneyEnd::lost);
    EXPECT_EQ(r.journeys[1].end, JourneyEnd::lost);
    EXPECT_EQ(r.journeys[2].end, JourneyEnd::under_way);
    EXPECT_EQ(r.journeys[2].function, "nic0vf1");
    EXPECT_EQ(r.frames_seen, 3u);
}

TEST(Journeys, FewOfAKindAreKept) {
    Wire w;
    for (unsigned n = 0; n < 1000; ++n) {
        w.receive(1, 9);
        w.tell(Topic::vtc, "lost", {{"adapter", "nic0"}, {"pool", 1}, {"queue", 9}});
    }
    for (unsigned n = 0; n < 1000; ++n)
        w.receive(2, 10); // and never a descriptor
    const Report r = w.finish();
    EXPECT_EQ(r.journeys.size(), 2 * Journeys::kept_of_a_kind);
    EXPECT_EQ(r.frames_seen, 2000u);
}

} // namespace
} // namespace vitrine::report
