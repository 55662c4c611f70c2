// SPDX-License-Identifier: Apache-2.0
// Tests of the glass: topics, odd events and counters.
#include "glass/glass.h"

#include <gtest/gtest.h>

using namespace vitrine;

TEST(Glass, TellsOnlyWhatIsOn) {
    Glass glass;
    std::vector<std::string> lines;
    glass.set_sink([&](std::string_view l) { lines.emplace_back(l); });
    glass.set_place([] { return Place{.time = 1'500'000'000, .instructions = 42, .cpu = 3}; });
    glass.tell(Topic::pci, "bar", {{"address", 0xfe000000ull}});
    EXPECT_TRUE(lines.empty());
    EXPECT_TRUE(glass.enable("pci"));
    EXPECT_FALSE(glass.enable("pcie"));
    glass.tell(Topic::pci, "bar", {{"address", 0xfe000000ull}, {"name", "nvme"}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], "[    1.500000000 42 CPU3] pci bar address=fe000000 name=nvme");
}

TEST(Glass, OddEventsAreCountedAndTheFirstShown) {
    Glass glass;
    unsigned shown = 0;
    glass.set_sink([&](std::string_view) { ++shown; });
    for (int i = 0; i < 10; ++i)
        glass.odd(Topic::cpu, "msr.unknown");
    EXPECT_EQ(shown, Glass::shown_odd);
    EXPECT_EQ(glass.counter("msr.unknown"), 10u);
}

TEST(Glass, AWatcherGetsItsTopicsAndShowsNothing) {
    Glass glass;
    unsigned lines = 0;
    std::vector<std::string> watched;
    glass.set_sink([&](std::string_view) { ++lines; });
    glass.set_watcher({Topic::vmx, Topic::vtd}, [&](const Place&, Topic, std::string_view event, std::initializer_list<Detail>) { watched.emplace_back(event); });
    EXPECT_TRUE(glass.on(Topic::vmx));
    glass.tell(Topic::vmx, "exit");
    glass.tell(Topic::pci, "bar");
    for (int i = 0; i < 5; ++i)
        glass.odd(Topic::vtd, "dma.blocked");
    glass.odd(Topic::cpu, "msr.unknown");
    EXPECT_EQ(watched, (std::vector<std::string>{"exit", "dma.blocked", "dma.blocked", "dma.blocked", "dma.blocked", "dma.blocked"}));
    EXPECT_EQ(lines, Glass::shown_odd + 1);
    glass.enable(Topic::vmx);
    glass.tell(Topic::vmx, "entry");
    EXPECT_EQ(lines, Glass::shown_odd + 2);
    glass.enable(Topic::vmx, false);
    EXPECT_TRUE(glass.on(Topic::vmx));
    glass.set_watcher({}, {});
    EXPECT_FALSE(glass.on(Topic::vmx));
}
