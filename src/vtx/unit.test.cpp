// SPDX-License-Identifier: Apache-2.0
// Enters and leaves VMX non-root operation on the bare machine.
#include "vtx/unit.h"

#include "vtx/vmx_machine.h"

#include <gtest/gtest.h>

namespace vitrine::vtx {
namespace {

TEST(Vmx, InstructionsAreUndefinedOutsideVmxOperation) {
    VmxMachine v;
    v.m.run({0x0f, 0x01, 0xc2}, 1);
    EXPECT_NE(v.m.cpu.stop_reason().text.find("#UD"), std::string::npos) << v.m.cpu.stop_reason().text;
}

TEST(Vmx, VmxonWantsItsRegion) {
    VmxMachine v;
    v.run_with_pointer({0xf3, 0x0f, 0xc7, 0x37}, VmxMachine::vmxon_region + 8);
    EXPECT_TRUE(v.failed_invalid());
    v.m.write<u32>(VmxMachine::vmxon_region, 1);
    v.run_with_pointer({0xf3, 0x0f, 0xc7, 0x37}, VmxMachine::vmxon_region);
    EXPECT_TRUE(v.failed_invalid());
    EXPECT_FALSE(v.unit.in_operation());
}

TEST(Vmx, FieldsAreReadAndWritten) {
    VmxMachine v;
    v.begin();
    v.vmwrite(F::guest_rip, 0x1234'5678'9abc);
    EXPECT_TRUE(v.succeeded());
    EXPECT_EQ(v.vmread(F::guest_rip), 0x1234'5678'9abcu);
    v.vmwrite(F::guest_es_selector, 0x12345);
    EXPECT_EQ(v.vmread(F::guest_es_selector), 0x2345u);
    // An encoding without a field.
    v.m.cpu.gpr[rax] = 0x5800;
    v.m.run({0x0f, 0x78, 0xc3});
    EXPECT_TRUE(v.failed_valid());
    EXPECT_EQ(v.vmread(F::vm_instruction_error), 12u);
}

TEST(Vmx, RegionsHoldFieldsWhileNotCurrent) {
    VmxMachine v;
    v.begin();
    v.vmwrite(F::guest_rsp, 0x7777);
    v.run_with_pointer({0x66, 0x0f, 0xc7, 0x37}, VmxMachine::vmcs_region);
    // Software may copy the region after VMCLEAR.
    for (u64 at = 0; at < 4096; at += 8)
        v.m.write<u64>(VmxMachine::vmcs_region + 0x1000 + at, v.m.read<u64>(VmxMachine::vmcs_region + at));
    v.run_with_pointer({0x0f, 0xc7, 0x37}, VmxMachine::vmcs_region + 0x1000);
    EXPECT_EQ(v.vmread(F::guest_rsp), 0x7777u);
}

TEST(Vmx, EntersAndLeaves) {
    VmxMachine v;
    v.begin();
    v.set_up_guest();
    v.m.put(VmxMachine::guest_code, {0x48, 0xc7, 0xc1, 0x2a, 0, 0, 0, 0xf4}); // mov rcx, 42; hlt
    v.launch();
    ASSERT_TRUE(v.unit.in_non_root()) << v.unit.explain_entry();
    EXPECT_EQ(v.m.cpu.rip, VmxMachine::guest_code);
    v.m.run(2);
    EXPECT_FALSE(v.unit.in_non_root());
    EXPECT_EQ(v.m.cpu.rip, VmxMachine::host_entry);
    EXPECT_EQ(v.m.cpu.gpr[rcx], 42u);
    EXPECT_EQ(v.vmread(F::exit_reason), 12u);
    EXPECT_EQ(v.vmread(F::guest_rip), VmxMachine::guest_code + 7);
    EXPECT_EQ(v.vmread(F::exit_instruction_length), 1u);
    v.launch();
    EXPECT_EQ(v.vmread(F::vm_instruction_error), 4u);
    v.resume();
    EXPECT_TRUE(v.unit.in_non_root());
}

TEST(Vmx, FailingEntriesSayWhy) {
    VmxMachine v;
    v.begin();
    v.set_up_guest();
    v.vmwrite(F::guest_rflags, 0);
    const u64 writer = BareMachine::code_at;
    v.launch();
    EXPECT_EQ(v.m.cpu.rip, VmxMachine::host_entry);
    EXPECT_EQ(v.vmread(F::exit_reason), 33u | 1u << 31);
    const std::string why = v.unit.explain_entry();
    EXPECT_NE(why.find("entry.guest-rflags-reserved"), std::string::npos) << why;
    EXPECT_NE(why.find("guest RFLAGS = 0x0, last written at rip 0000000000100000, 0 VM entries ago"), std::string::npos) << why << writer;
    v.vmwrite(F::guest_rflags, 2);
    v.vmwrite(F::cr3_target_count, 5);
    v.launch();
    EXPECT_TRUE(v.failed_valid());
    EXPECT_EQ(v.vmread(F::vm_instruction_error), 7u);
}

/// EPT that maps the first 2 MiB by one 2 MiB page and nothing else.
TEST(Vmx, EptViolationsAreReported) {
    VmxMachine v;
    v.begin();
    v.set_up_guest();
    constexpr u64 tables = 0x600000;
    v.m.write<u64>(tables, (tables + 0x1000) | 7);
    v.m.write<u64>(tables + 0x1000, (tables + 0x2000) | 7);
    v.m.write<u64>(tables + 0x2000, 0xb7);
    v.vmwrite(F::primary, v.vmread(F::primary) | primary.activate_secondary_controls.mask());
    v.vmwrite(F::secondary, secondary.enable_ept.mask());
    v.vmwrite(F::eptp, tables | 6 | 3 << 3);
    v.m.put(VmxMachine::guest_code, {0x48, 0x8b, 0x0c, 0x25, 0x08, 0, 0x40, 0}); // mov rcx, [400008h]
    v.launch();
    ASSERT_TRUE(v.unit.in_non_root()) << v.unit.explain_entry();
    v.m.run(1);
    EXPECT_FALSE(v.unit.in_non_root());
    EXPECT_EQ(v.vmread(F::exit_reason), 48u);
    EXPECT_EQ(v.vmread(F::guest_physical_address), 0x400008u);
    EXPECT_EQ(v.vmread(F::guest_linear_address), 0x400008u);
    EXPECT_EQ(v.vmread(F::exit_qualification), 0x181u);
    EXPECT_EQ(v.vmread(F::guest_rip), VmxMachine::guest_code);
}

} // namespace
} // namespace vitrine::vtx
