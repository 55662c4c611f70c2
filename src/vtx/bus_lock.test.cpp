// SPDX-License-Identifier: Apache-2.0
// Bus locks and instruction timeouts: what asserts a bus lock, the exit behind it, #AC by MSR_TEST_CTRL, a delivery
// without an end.
#include "vtx/vmx_machine.h"

namespace vitrine::vtx {
namespace {

constexpr u64 hlt = 12, exception = 0, bus_lock = 74, timeout = 75;

struct LockGuest : VmxMachine {
    explicit LockGuest(bool detects) {
        begin();
        set_up_guest();
        vmwrite(F::primary, vmread(F::primary) | primary.activate_secondary_controls.mask());
        vmwrite(F::secondary, detects ? secondary.bus_lock_detection.mask() : 0);
    }
};

TEST(BusLock, ASplitLockExitsAfterTheInstruction) {
    LockGuest g(true);
    g.m.write<u32>(0x30003e, 7);
    g.run_guest({0xf0, 0xff, 0x04, 0x25, 0x3e, 0x00, 0x30, 0x00, 0xf4}, 2); // lock inc dword [30003eh]; hlt
    EXPECT_EQ(g.reason(), bus_lock | bus_lock_flag);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 8);
    EXPECT_EQ(g.vmread(F::exit_qualification), 0u);
    EXPECT_EQ(g.m.read<u32>(0x30003e), 8u);
    // The next exit is an ordinary one.
    g.resume();
    g.m.run(1);
    EXPECT_EQ(g.reason(), hlt);
}

TEST(BusLock, OnlyLocksThatCrossALine) {
    const struct {
        std::initializer_list<u8> code;
        bool locks;
        const char* what;
    } cases[] = {
        {{0xff, 0x04, 0x25, 0x3e, 0x00, 0x30, 0x00, 0xf4}, false, "inc [30003eh] without LOCK"},
        {{0xf0, 0xff, 0x04, 0x25, 0x3c, 0x00, 0x30, 0x00, 0xf4}, false, "lock inc [30003ch]: aligned"},
        {{0xf0, 0xff, 0x04, 0x25, 0x39, 0x00, 0x30, 0x00, 0xf4}, false, "lock inc [300039h]: unaligned within a line"},
        {{0x87, 0x04, 0x25, 0x3d, 0x00, 0x30, 0x00, 0xf4}, true, "xchg [30003dh],eax locks by itself"},
        {{0xf0, 0x0f, 0xb1, 0x0c, 0x25, 0x3d, 0x00, 0x30, 0x00, 0xf4}, true, "lock cmpxchg [30003dh],ecx"},
        {{0xf0, 0x0f, 0xab, 0x0c, 0x25, 0x00, 0x00, 0x30, 0x00, 0xf4}, false, "lock bts [300000h],ecx with ecx = 0"},
    };

    for (const auto& c : cases) {
        LockGuest g(true);
        g.m.cpu.gpr[rcx] = 0;
        g.run_guest(c.code, 2);
        EXPECT_EQ(g.reason() & 0xffff, c.locks ? bus_lock : hlt) << c.what;
    }
}

TEST(BusLock, ABitsNumberMovesTheOperand) {
    for (const bool crosses : {false, true}) {
        LockGuest g(true);
        // lock bts [rdi],rcx
        g.m.cpu.gpr[rdi] = crosses ? 0x300004 : 0x300000;
        g.m.cpu.gpr[rcx] = 0x1c0; // eight bytes at [rdi + 38h]
        g.run_guest({0xf0, 0x48, 0x0f, 0xab, 0x0f, 0xf4}, 2);
        EXPECT_EQ(g.reason() & 0xffff, crosses ? bus_lock : hlt);
        EXPECT_EQ(g.m.read<u8>((crosses ? 0x300004 : 0x300000) + 0x38), 1u);
    }
}

TEST(BusLock, AFaultComesWithoutOne) {
    LockGuest g(true);
    g.vmwrite(F::exception_bitmap, bit(14));
    g.run_guest({0xf0, 0xff, 0x04, 0x25, 0x3e, 0x00, 0x00, 0x40, 0xf4}, 1); // lock inc dword [4000003eh]: not mapped
    EXPECT_EQ(g.reason(), exception);
    EXPECT_EQ(g.vmread(F::exit_interruption_information) & 0xff, 14u);
}

TEST(BusLock, TestControlMakesItAnAlignmentCheck) {
    LockGuest g(true);
    g.m.write<u32>(0x30003e, 7);
    g.m.cpu.msr.test_ctrl = test_ctrl::split_lock_ac;
    g.vmwrite(F::exception_bitmap, bit(17));
    g.run_guest({0xf0, 0xff, 0x04, 0x25, 0x3e, 0x00, 0x30, 0x00, 0xf4}, 1);
    EXPECT_EQ(g.reason(), exception); // at CPL 0, with RFLAGS.AC = 0, and before the bus is locked
    EXPECT_EQ(g.vmread(F::exit_interruption_information) & 0xff, 17u);
    EXPECT_EQ(g.vmread(F::exit_interruption_error_code), 0u);
    EXPECT_EQ(g.m.read<u32>(0x30003e), 7u);
    // What crosses no line is no split lock.
    g.m.put(VmxMachine::guest_code, {0xf0, 0xff, 0x04, 0x25, 0x39, 0x00, 0x30, 0x00, 0xf4});
    g.resume();
    g.m.run(2);
    EXPECT_EQ(g.reason(), hlt);
}

/// A 32-bit guest at CPL 3 whose handler of #AC is at CPL 3 too, on a stack that is not aligned: each #AC that is to be
/// delivered raises one.
struct EndlessGuest : LockGuest {
    static constexpr u64 idt = 0x700000, gdt = 0x701000, directory = 0x702000;

    explicit EndlessGuest(bool with_timeout, u64 window) : LockGuest(false) {
        m.write<u64>(gdt + 0x18, 0x00cf'fb00'0000'ffff); // code, CPL 3
        m.write<u64>(gdt + 0x20, 0x00cf'f300'0000'ffff); // data
        m.write<u64>(idt + 17 * 8,
                     0x0018'0000 | u64{0xee00} << 32 | (u64{0x18'1000} & 0xffff) | (u64{0x18'1000} >> 16) << 48);
        for (u64 n = 0; n < 4; ++n)
            m.write<u32>(directory + 4 * n, static_cast<u32>(n << 22 | 0x87)); // 4 MiB pages
        vmwrite(F::entry_controls, vmread(F::entry_controls) & ~entering.ia32e_mode_guest.mask());
        vmwrite(F::guest_cr0, vmread(F::guest_cr0) | cr0::am);
        vmwrite(F::guest_cr3, directory);
        vmwrite(F::guest_cr4, cr4::pse | cr4::vmxe);
        for (unsigned n = 0; n < 6; ++n) {
            vmwrite(guest_selector(n), n == cs ? 0x1b : 0x23);
            vmwrite(guest_limit(n), 0xffff'ffff);
            vmwrite(guest_access_rights(n), n == cs ? 0xc0fb : 0xc0f3);
        }
        vmwrite(F::guest_idtr_base, idt);
        vmwrite(F::guest_idtr_limit, 0xff);
        vmwrite(F::guest_gdtr_base, gdt);
        vmwrite(F::guest_gdtr_limit, 0xff);
        vmwrite(F::guest_rflags, 2 | rflags::ac);
        vmwrite(F::guest_rsp, 0x1e'0001);
        vmwrite(F::secondary, with_timeout ? secondary.instruction_timeout.mask() : 0);
        vmwrite(F::instruction_timeout_control, window);
    }
};

TEST(InstructionTimeout, EndsADeliveryWithoutAnEnd) {
    for (const u64 window : {0, 200, 100'000}) {
        EndlessGuest g(true, window);
        const u64 before = g.m.cpu.now();
        g.run_guest({0x50}, 1); // push eax
        EXPECT_FALSE(g.unit.in_non_root());
        EXPECT_EQ(g.reason(), timeout);
        EXPECT_EQ(g.vmread(F::exit_qualification), 0u);
        EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code);
        EXPECT_EQ(g.vmread(F::idt_vectoring_information),
                  bit(31) | bit(11) | interruption_type::hardware_exception << 8 | 17);
        EXPECT_GE(g.m.cpu.now() - before, window);
        EXPECT_LT(g.m.cpu.now() - before, window + 1000);
    }
}

TEST(InstructionTimeout, WithoutItTheProcessorHangsAndTheMachineSaysSo) {
    EndlessGuest g(false, 0);
    g.run_guest({0x50}, 1);
    EXPECT_NE(g.m.cpu.stop_reason().text.find("processor 0 hangs at 001b:180000"), std::string::npos)
        << g.m.cpu.stop_reason().text;
}

TEST(InstructionTimeout, OneEventInPlaceOfAnotherIsNone) {
    EndlessGuest g(true, 0);
    g.vmwrite(F::guest_idtr_limit, 0); // #AC, then #GP, then a double fault, then the third
    g.run_guest({0x50}, 1);
    EXPECT_EQ(g.reason(), 2u);
}

} // namespace
} // namespace vitrine::vtx
