// SPDX-License-Identifier: Apache-2.0
// MONITOR and MWAIT in VMX non-root operation: exits, what clears address-range monitoring, and waiting in a guest.
#include "vtx/vmx_machine.h"

namespace vitrine::vtx {
namespace {

constexpr u64 line = 0x600000;

struct Guest : VmxMachine {
    Guest() {
        begin();
        set_up_guest();
        m.cpu.gpr[rcx] = 0;
        m.cpu.gpr[rax] = line;
    }

    void enter(Bytes code, u64 count) {
        m.cpu.gpr[rax] = line;
        run_guest(code, count);
    }
};

constexpr auto monitor_mwait = {u8{0x0f}, u8{0x01}, u8{0xc8}, u8{0x0f}, u8{0x01}, u8{0xc9}, u8{0xf4}};

TEST(VmxMonitoring, MonitorExits) {
    Guest g;
    g.turn_on(F::primary, primary.monitor_exiting);
    g.m.cpu.gpr[rcx] = 7; // #GP would come after the exit
    g.enter(monitor_mwait, 1);
    EXPECT_EQ(g.reason(), 39u);
    EXPECT_FALSE(g.m.cpu.monitor_armed);
}

TEST(VmxMonitoring, MwaitExitsAndTellsWhetherSomethingIsArmed) {
    for (const bool armed : {false, true}) {
        Guest g;
        g.turn_on(F::primary, primary.mwait_exiting);
        g.enter(monitor_mwait, 1);
        ASSERT_TRUE(g.m.cpu.monitor_armed);
        if (!armed)
            g.m.write<u8>(line, 1);
        g.m.run(1);
        EXPECT_EQ(g.reason(), 36u);
        EXPECT_EQ(g.vmread(F::exit_qualification), armed);
        EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 3);
        EXPECT_FALSE(g.m.cpu.monitor_armed) << "VM exits clear it";
    }
}

TEST(VmxMonitoring, EntriesClearIt) {
    Guest g;
    g.m.cpu.monitor_armed = true;
    g.m.cpu.monitor_address = line;
    g.enter({0x90}, 0);
    EXPECT_FALSE(g.m.cpu.monitor_armed);
}

TEST(VmxMonitoring, AGuestWaitsUntilAnInterruptExits) {
    Guest g;
    g.turn_on(F::pin_based, pin.external_interrupt_exiting);
    g.enter(monitor_mwait, 10);
    EXPECT_EQ(g.m.cpu.activity, Activity::mwait);
    EXPECT_FALSE(g.m.cpu.wakes());
    g.m.cpu.set_interrupt(true);
    g.m.run(1);
    g.m.cpu.set_interrupt(false);
    EXPECT_EQ(g.reason(), 1u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 6);
    EXPECT_EQ(g.vmread(F::guest_activity_state), 0u) << "waiting by MWAIT is no activity state";
}

TEST(VmxMonitoring, AGuestIsWokenByAStore) {
    Guest g;
    g.enter(monitor_mwait, 10);
    ASSERT_FALSE(g.m.cpu.wakes());
    g.m.write<u8>(line + 63, 1);
    g.m.run(1);
    EXPECT_EQ(g.reason(), 12u); // the HLT behind it
}

TEST(VmxMonitoring, AVirtualInterruptEndsItAsAnInterruptWould) {
    Guest g;
    g.enter(monitor_mwait, 10);
    g.m.cpu.virtual_interrupt = true;
    EXPECT_FALSE(g.m.cpu.wakes()) << "it is masked";
    g.m.cpu.mwait_any_interrupt = true;
    EXPECT_TRUE(g.m.cpu.wakes());
}

TEST(VmxMonitoring, WhatAMaskedInterruptWouldEndDoesNotBeginWithAnOpenWindow) {
    Guest g;
    g.turn_on(F::primary, primary.interrupt_window_exiting);
    g.enter(monitor_mwait, 1);
    ASSERT_TRUE(g.m.cpu.monitor_armed);
    g.m.cpu.gpr[rcx] = 1;
    g.m.run(1);
    EXPECT_TRUE(g.unit.in_non_root());
    EXPECT_EQ(g.m.cpu.activity, Activity::active);
    EXPECT_EQ(g.m.cpu.rip, VmxMachine::guest_code + 6);
}

} // namespace
} // namespace vitrine::vtx
