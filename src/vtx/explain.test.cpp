// SPDX-License-Identifier: Apache-2.0
// What people are told: the VMCS by name, walks through EPT and where they stop, exits and what they cost, failing entries.
#include "vtx/explain.h"
#include "vtx/vmx_machine.h"

namespace vitrine::vtx {
namespace {

struct Told : VmxMachine {
    Told() {
        begin();
        set_up_guest();
    }

    static bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

    /// EPT with one 2-MByte page at 200000h and what `entry` says above it.
    void ept(u64 leaf) {
        constexpr u64 root = 0x600000;
        for (const u64 at : {root, root + 0x1000})
            m.write<u64>(at, (at + 0x1000) | 7);
        m.write<u64>(root + 0x2000 + 8, leaf);
        vmwrite(F::primary, vmread(F::primary) | primary.activate_secondary_controls.mask());
        vmwrite(F::secondary, secondary.enable_ept.mask());
        vmwrite(F::eptp, root | 6 | 3 << 3);
    }
};

TEST(VmxExplain, FieldsHaveNamesBitsAndWriters) {
    Told t;
    const std::string text = explain_vmcs(t.unit, "PROCESSOR-BASED");
    EXPECT_TRUE(Told::has(text, "primary processor-based VM-execution controls")) << text;
    EXPECT_TRUE(Told::has(text, "HLT exiting")) << text;
    EXPECT_TRUE(Told::has(text, " entries ago")) << text;
    EXPECT_FALSE(Told::has(text, "guest RIP")) << text;
    EXPECT_TRUE(Told::has(explain_vmcs(t.unit, ""), "guest RIP"));
}

TEST(VmxExplain, EptWalksSayWhereTheyStop) {
    Told t;
    EXPECT_TRUE(Told::has(explain_ept_walk(t.unit, t.m.cpu, GuestPhysical{0}), "\"enable EPT\" is 0"));
    const auto walk = [&](u64 leaf, u64 at) {
        t.ept(leaf);
        return explain_ept_walk(t.unit, t.m.cpu, GuestPhysical{at});
    };
    EXPECT_TRUE(Told::has(walk(0x800000 | 0xb7, 0x234567), "-> physical 834567 (2-MByte page: RWX)"));
    EXPECT_TRUE(Told::has(walk(0x800000 | 0xb7, 0x434567), "EPT violation, the entry is not present"));
    EXPECT_TRUE(Told::has(walk(0x800000 | 0xb6, 0x234567), "EPT misconfiguration, writable and not readable"));
    EXPECT_TRUE(Told::has(walk(0x800000 | 0x97, 0x234567), "EPT misconfiguration, a reserved memory type"));
    EXPECT_TRUE(Told::has(walk(0x801000 | 0xb7, 0x234567), "EPT misconfiguration, low address bits of a large page"));
    EXPECT_TRUE(Told::has(walk(0x800000 | 0xb7, u64{1} << 48), "wider than 4 levels"));
}

TEST(VmxExplain, QualificationsByTheirShape) {
    EXPECT_EQ(qualification_text(ExitReason::io_instruction, 0x20'0000), "port 20, 1 byte, out");
    EXPECT_EQ(qualification_text(ExitReason::io_instruction, 0x71'0039), "port 71, 2 bytes, in, string, REP");
    EXPECT_EQ(qualification_text(ExitReason::cr_access, 0x0103), "MOV to CR3 from RCX");
    EXPECT_EQ(qualification_text(ExitReason::ept_violation, 0x182), "write, the entries allow ---");
    EXPECT_EQ(qualification_text(ExitReason::cpuid, 0), "");
    for (const ExitRow& r : exit_rows) // whatever the guest's VMM finds there
        for (const u64 q : {u64{0}, ~u64{0}, u64{0x5555'5555'5555'5555}})
            (void)qualification_text(r.reason, q);
}

TEST(VmxExplain, ExitsAreCountedWithTheirCost) {
    Told t;
    t.m.put(VmxMachine::host_entry, {0x90, 0x90, 0x0f, 0x01, 0xc3}); // nop; nop; vmresume
    t.run_guest({0x0f, 0xa2, 0xf4}, 1);                                // cpuid; hlt
    t.m.run(2);
    (void)t.m.run(1);
    EXPECT_TRUE(t.unit.in_non_root());
    const auto rows = t.unit.statistics().rows(ExitStatistics::By::reason);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].key.reason, ExitReason::cpuid);
    EXPECT_EQ(rows[0].sum.exits, 1u);
    EXPECT_EQ(rows[0].sum.instructions, 2u);
    const auto places = t.unit.statistics().rows(ExitStatistics::By::rip);
    ASSERT_EQ(places.size(), 1u);
    EXPECT_EQ(places[0].key.rip, VmxMachine::guest_code);
    EXPECT_EQ(t.unit.statistics().rows(ExitStatistics::By::vmcs)[0].key.vmcs, VmxMachine::vmcs_region);
    EXPECT_TRUE(t.unit.statistics().rows(ExitStatistics::By::reason, 0x1000).empty());
}

TEST(VmxExplain, InstructionsAreCountedByMode) {
    Told t;
    const auto before = t.unit.retired();
    EXPECT_EQ(before.non_root, 0u);
    EXPECT_GT(before.root, 0u);        // VMXON ... set-up
    t.m.put(VmxMachine::host_entry, {0x90, 0x90, 0x90, 0x0f, 0x01, 0xc3}); // nop; nop; nop; vmresume
    t.run_guest({0x90, 0x90, 0x0f, 0xa2, 0xf4}, 3);                        // nop; nop; cpuid; hlt
    EXPECT_EQ(t.unit.retired().non_root, 2u);
    EXPECT_EQ(t.unit.retired().root, before.root);
    t.m.run(2);
    EXPECT_EQ(t.unit.retired().root, before.root + 2);
    t.m.run(1); // the last nop
    EXPECT_EQ(t.unit.retired().root, before.root + 3);
    t.m.run(1); // vmresume: transitions retire nothing
    EXPECT_TRUE(t.unit.in_non_root());
    const auto after = t.unit.retired();
    EXPECT_EQ(after.root, before.root + 3);
    EXPECT_EQ(after.without_vmx, before.without_vmx);
    EXPECT_EQ(after.without_vmx + after.root + after.non_root, t.m.cpu.retired);
    EXPECT_EQ(t.unit.statistics().rows(ExitStatistics::By::vmcs)[0].sum.guest, 2u);
    EXPECT_EQ(t.unit.statistics().rows(ExitStatistics::By::reason)[0].sum.instructions, 3u);
    t.m.cpu.reset(Reset::init); // goes on counting
    EXPECT_EQ(t.unit.retired().non_root, 2u);
    t.m.cpu.reset(Reset::warm); // does not
    t.unit.restarted();
    EXPECT_EQ(t.unit.retired().without_vmx, before.without_vmx);
}

TEST(VmxExplain, ARestoredMachineCountsAnew) {
    ExitStatistics s;
    s.vmxon(10);
    s.entered(0x1000, 30);
    s.exited({0x1000, 0, ExitReason::hlt}, 100);
    s.restored(true, 0x2000, 1000);
    EXPECT_EQ(s.unfinished(0x2000, 1007), 7u);
    EXPECT_EQ(s.unfinished(0x1000, 1007), 0u);
    s.exited({0x2000, 0, ExitReason::hlt}, 1010);
    const auto retired = s.retired(1030);
    EXPECT_EQ(retired.without_vmx, 0u);
    EXPECT_EQ(retired.root, 20u);
    EXPECT_EQ(retired.non_root, 10u);
    EXPECT_EQ(s.rows(ExitStatistics::By::vmcs).size(), 1u);
}

TEST(VmxExplain, AnEntryThatFailsLateEndsTheExitBeforeIt) {
    ExitStatistics s;
    s.vmxon(0);
    s.entered(0x1000, 10);
    s.exited({0x1000, 0, ExitReason::hlt}, 15);
    s.exited({0x1000, 0, ExitReason::invalid_guest_state}, 22);
    s.entered(0x1000, 25);
    for (const auto& row : s.rows(ExitStatistics::By::reason)) {
        EXPECT_EQ(row.sum.instructions, row.key.reason == ExitReason::hlt ? 7u : 3u);
        EXPECT_EQ(row.sum.guest, row.key.reason == ExitReason::hlt ? 5u : 0u);
    }
}

TEST(VmxExplain, ManyPlacesAreCountedTogether) {
    ExitStatistics s;
    for (u64 n = 0; n < ExitStatistics::most_places + 100; ++n) {
        s.exited({0x1000, 0x10'0000 + n, ExitReason::hlt}, n);
        s.entered(0x1000, n + 3);
    }
    const auto rows = s.rows(ExitStatistics::By::reason);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].sum.exits, ExitStatistics::most_places + 100);
    EXPECT_EQ(rows[0].sum.instructions, 3 * rows[0].sum.exits);
    EXPECT_EQ(s.rows(ExitStatistics::By::rip)[0].sum.exits, 100u);
}

TEST(VmxExplain, AFailingEntryIsReported) {
    Told t;
    t.vmwrite(F::host_cr3, ~u64{0});
    t.launch();
    EXPECT_TRUE(t.failed_valid());
    ASSERT_EQ(t.unit.failed_entries().size(), 1u);
    const EntryReport& r = t.unit.failed_entries()[0];
    EXPECT_STREQ(r.outcome, "entry.invalid-host-state");
    EXPECT_EQ(r.vmcs, VmxMachine::vmcs_region);
    ASSERT_FALSE(r.rules.empty());
    bool found = false;
    for (const FieldReport& f : r.rules[0].fields)
        found |= f.field == F::host_cr3 && f.value == ~u64{0} && f.written && f.entries_ago == 0;
    EXPECT_TRUE(found) << text_of(r.rules);
}

TEST(VmxExplain, APersonMayStopAtAnExit) {
    Told t;
    t.unit.stop_at({.reason = ExitReason::cpuid});
    t.m.put(VmxMachine::guest_code, {0x90, 0x0f, 0xa2});
    t.launch();
    EXPECT_EQ(t.m.run(10), RunEnd::stopped);
    EXPECT_EQ(t.m.cpu.stop_reason().kind, StopKind::debugger);
    EXPECT_TRUE(Told::has(t.m.cpu.stop_reason().text, "VM exit: CPUID, guest rip 180001")) << t.m.cpu.stop_reason().text;
    EXPECT_EQ(t.m.cpu.rip, VmxMachine::host_entry);
}

} // namespace
} // namespace vitrine::vtx
