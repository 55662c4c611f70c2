// SPDX-License-Identifier: Apache-2.0
// Tests of --stale max in VMX operation: INVEPT and INVVPID that were left out, and what VM entries and exits drop by themselves.
#include "vtx/vmx_machine.h"

#include <string>
#include <vector>

namespace vitrine::vtx {
namespace {

struct StaleGuest : VmxMachine {
    static constexpr u64 ept = 0x600000, page = 0x400000, guest_table = BareMachine::tables + 0x3000, first = 0x720000, second = 0x721000, descriptor = 0x730000;

    explicit StaleGuest(u64 secondary_controls) : VmxMachine(true) {
        m.glass.set_sink([this](std::string_view line) { lines.emplace_back(line); });
        begin();
        set_up_guest();
        // EPT is the identity by 2 MiB pages, but for the page at 400000h.
        m.write<u64>(ept, (ept + 0x1000) | 7);
        m.write<u64>(ept + 0x1000, (ept + 0x2000) | 7);
        for (u64 n = 0; n < 8; ++n)
            m.write<u64>(ept + 0x2000 + 8 * n, n * 2_MiB | 0xb7);
        m.write<u64>(ept + 0x2000 + 8 * 2, (ept + 0x3000) | 7);
        for (u64 n = 0; n < 512; ++n)
            m.write<u64>(ept + 0x3000 + 8 * n, first | 0x37);
        // The guest's own tables have a 4 KiB page there as well.
        m.write<u64>(BareMachine::tables + 0x2000 + 8 * 2, guest_table | 7);
        for (u64 n = 0; n < 512; ++n)
            m.write<u64>(guest_table + 8 * n, (page + n * page_size) | 0x67);
        m.write<u64>(first, 0x11);
        m.write<u64>(second, 0x22);
        vmwrite(F::primary, vmread(F::primary) | primary.activate_secondary_controls.mask());
        vmwrite(F::secondary, secondary_controls);
        vmwrite(F::eptp, ept | 6 << 0 | 3 << 3);
        vmwrite(F::vpid, 5);
        // mov rax,[400000h]; hlt; and again.
        m.put(guest_code, {0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0, 0xf4, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0, 0xf4});
    }

    /// One load in the guest.
    u64 read(bool first_time) {
        m.cpu.activity = Activity::active;
        if (first_time) {
            launch();
        } else {
            vmwrite(F::guest_rip, guest_code + 9);
            resume();
        }
        EXPECT_TRUE(unit.in_non_root()) << unit.explain_entry();
        m.run(2);
        const u64 loaded = m.cpu.gpr[rax];
        EXPECT_EQ(reason(), 12u);
        return loaded;
    }

    /// INVEPT (80h) or INVVPID (81h).
    void invalidate(u8 opcode, u64 type, u64 low, u64 high = 0) {
        m.cpu.activity = Activity::active;
        m.write<u64>(descriptor, low);
        m.write<u64>(descriptor + 8, high);
        m.cpu.gpr[rcx] = type;
        m.cpu.gpr[rdi] = descriptor;
        m.run({0x66, 0x0f, 0x38, opcode, 0x0f}); // rcx, [rdi]
        EXPECT_TRUE(succeeded());
    }

    u64 found(std::string_view kind) { return m.glass.counter(kind); }

    u64 found() { return found("stale.linear") + found("stale.combined") + found("stale.guest-physical") + found("stale.paging-structure"); }

    std::vector<std::string> lines;
};

const u64 with_ept = secondary.enable_ept.mask() | secondary.enable_vpid.mask(), with_vpid = secondary.enable_vpid.mask();

TEST(VmxStale, AMissingInveptIsTold) {
    StaleGuest g(with_ept);
    EXPECT_EQ(g.read(true), 0x11u);
    // The hypervisor moves the page: mov [603000h],rbx
    g.m.cpu.activity = Activity::active;
    g.m.cpu.gpr[rbx] = StaleGuest::second | 0x37;
    g.m.run({0x48, 0x89, 0x1c, 0x25, 0, 0x30, 0x60, 0});
    EXPECT_EQ(g.read(false), 0x11u);
    EXPECT_EQ(g.found("stale.combined"), 1u);
    ASSERT_FALSE(g.lines.empty());
    EXPECT_NE(g.lines[0].find("level=L2 vpid=5 pcid=0 eptp=60001e rip=180009 access=read linear=400000 cached=720000,rwx memory=721000,rwx "
                              "entry=EPT-PTE@603000=721037 changed-by=CPU0,L1,rip=100000"),
              std::string::npos)
        << g.lines[0];
}

TEST(VmxStale, InveptDropsWhatItMust) {
    for (const u64 type : {1, 2}) {
        StaleGuest g(with_ept);
        EXPECT_EQ(g.read(true), 0x11u);
        g.m.write<u64>(StaleGuest::ept + 0x3000, StaleGuest::second | 0x37);
        g.invalidate(0x80, type, StaleGuest::ept | 6 | 3 << 3);
        EXPECT_EQ(g.read(false), 0x22u);
        EXPECT_EQ(g.found(), 0u);
    }
}

TEST(VmxStale, InveptOfAnotherEptpIsNotEnough) {
    StaleGuest g(with_ept);
    EXPECT_EQ(g.read(true), 0x11u);
    g.m.write<u64>(StaleGuest::ept + 0x3000, StaleGuest::second | 0x37);
    g.invalidate(0x80, 1, (StaleGuest::ept + 0x8000) | 6 | 3 << 3);
    EXPECT_EQ(g.read(false), 0x11u);
    EXPECT_EQ(g.found("stale.combined"), 1u);
}

TEST(VmxStale, InvvpidLeavesGuestPhysicalTranslations) {
    StaleGuest g(with_ept);
    EXPECT_EQ(g.read(true), 0x11u);
    g.m.write<u64>(StaleGuest::ept + 0x3000, StaleGuest::second | 0x37);
    g.invalidate(0x81, 1, 5);
    EXPECT_EQ(g.read(false), 0x11u);
    EXPECT_EQ(g.found("stale.guest-physical"), 1u);
}

TEST(VmxStale, AMissingInvvpidIsTold) {
    StaleGuest g(with_vpid);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::first | 0x67);
    EXPECT_EQ(g.read(true), 0x11u);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::second | 0x67);
    EXPECT_EQ(g.read(false), 0x11u);
    EXPECT_EQ(g.found("stale.linear"), 1u);
    ASSERT_FALSE(g.lines.empty());
    EXPECT_NE(g.lines[0].find("level=L2 vpid=5 pcid=0 eptp=0"), std::string::npos) << g.lines[0];
}

TEST(VmxStale, InvvpidDropsWhatItMust) {
    const struct {
        u64 type, address;
    } enough[] = {{0, StaleGuest::page}, {1, 0}, {2, 0}, {3, 0}};
    for (const auto& [type, address] : enough) {
        StaleGuest g(with_vpid);
        g.m.write<u64>(StaleGuest::guest_table, StaleGuest::first | 0x67);
        EXPECT_EQ(g.read(true), 0x11u);
        g.m.write<u64>(StaleGuest::guest_table, StaleGuest::second | 0x67);
        g.invalidate(0x81, type, 5, address);
        EXPECT_EQ(g.read(false), 0x22u) << type;
        EXPECT_EQ(g.found(), 0u) << type;
    }
    StaleGuest g(with_vpid);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::first | 0x67);
    EXPECT_EQ(g.read(true), 0x11u);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::second | 0x67);
    g.invalidate(0x81, 1, 6); // another VPID
    EXPECT_EQ(g.read(false), 0x11u);
    EXPECT_EQ(g.found("stale.linear"), 1u);
}

TEST(VmxStale, WithoutVpidTransitionsDropLinearTranslations) {
    StaleGuest g(0);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::first | 0x67);
    EXPECT_EQ(g.read(true), 0x11u);
    g.m.write<u64>(StaleGuest::guest_table, StaleGuest::second | 0x67);
    EXPECT_EQ(g.read(false), 0x22u);
    EXPECT_EQ(g.found(), 0u);
}

TEST(VmxStale, AnEptViolationDropsWhatItMet) {
    StaleGuest g(with_ept);
    g.m.write<u64>(StaleGuest::ept + 0x3000, StaleGuest::first | 0x31); // readable
    EXPECT_EQ(g.read(true), 0x11u);
    // The guest writes: an EPT violation, after which the hypervisor gives it a copy.
    g.m.put(VmxMachine::guest_code + 9, {0x48, 0x89, 0x04, 0x25, 0, 0, 0x40, 0, 0xf4}); // mov [400000h],rax
    g.m.cpu.activity = Activity::active;
    g.vmwrite(F::guest_rip, VmxMachine::guest_code + 9);
    g.resume();
    g.m.run(1);
    EXPECT_EQ(g.reason(), 48u);
    g.m.write<u64>(StaleGuest::ept + 0x3000, StaleGuest::second | 0x37);
    g.m.cpu.gpr[rax] = 0x77;
    g.resume();
    ASSERT_TRUE(g.unit.in_non_root());
    g.m.run(2);
    EXPECT_EQ(g.reason(), 12u);
    EXPECT_EQ(g.m.read<u64>(StaleGuest::second), 0x77u);
    EXPECT_EQ(g.found(), 0u);
}

} // namespace
} // namespace vitrine::vtx
