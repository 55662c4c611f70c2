// SPDX-License-Identifier: Apache-2.0
// IPI virtualization: what is posted and who is notified, and what leaves for the hypervisor instead.
#include "vtx/vmx_machine.h"

#include "vtx/spec/posted_interrupts.h"

namespace vitrine::vtx {
namespace {

struct IpiGuest : VmxMachine {
    static constexpr u64 page = 0x600000, table = 0x601000, descriptor = 0x602040, bitmaps = 0x603000;
    static constexpr u64 apic_page = 0x604000;
    static constexpr u16 last = 3;
    static constexpr u32 target = 2;

    /// In x2APIC mode by WRMSR, else by the APIC-access page.
    explicit IpiGuest(bool x2apic) {
        begin();
        set_up_guest();
        const Secondary& s = secondary;
        vmwrite(F::pin_based, vmread(F::pin_based) | pin.external_interrupt_exiting.mask());
        vmwrite(F::primary, vmread(F::primary) | primary.activate_secondary_controls.mask() |
                                primary.activate_tertiary_controls.mask() | primary.use_tpr_shadow.mask() |
                                primary.use_msr_bitmaps.mask());
        vmwrite(F::secondary, s.apic_register_virtualization.mask() | s.virtual_interrupt_delivery.mask() |
                                  (x2apic ? s.virtualize_x2apic_mode.mask() : s.virtualize_apic_accesses.mask()));
        vmwrite(F::tertiary, tertiary.ipi_virtualization.mask());
        vmwrite(F::virtual_apic_address, page);
        vmwrite(F::apic_access_address, apic_page);
        vmwrite(F::msr_bitmaps, bitmaps);
        vmwrite(F::pid_pointer_table, table);
        vmwrite(F::last_pid_pointer_index, last);
        m.write<u64>(table + 8 * target, descriptor | 1);
        // Notification vector F2h, to 0300h: x2APIC id 300h, xAPIC id 3.
        m.write<u64>(descriptor + PostedControl::offset, u64{0x300} << 32 | 0xf2 << 16);
    }

    /// Sends by WRMSR of 830h: mov ecx,830h; mov eax,low; mov edx,high; wrmsr; hlt.
    void send_x2apic(u32 low, u32 high) {
        const auto byte = [](u32 v, unsigned n) { return static_cast<u8>(v >> (8 * n)); };
        run_guest({0xb9, 0x30, 0x08, 0, 0, 0xb8, byte(low, 0), byte(low, 1), byte(low, 2), byte(low, 3), 0xba,
                   byte(high, 0), byte(high, 1), byte(high, 2), byte(high, 3), 0x0f, 0x30, 0xf4},
                  5);
    }

    /// Sends by the APIC-access page: mov dword [604310h],high; mov dword [604300h],low; hlt.
    void send_xapic(u32 low, u32 high) {
        const auto byte = [](u32 v, unsigned n) { return static_cast<u8>(v >> (8 * n)); };
        run_guest({0xc7, 0x04, 0x25, 0x10, 0x43, 0x60, 0, byte(high, 0), byte(high, 1), byte(high, 2), byte(high, 3),
                   0xc7, 0x04, 0x25, 0x00, 0x43, 0x60, 0, byte(low, 0),  byte(low, 1),  byte(low, 2),  byte(low, 3),
                   0xf4},
                  3);
    }

    bool requested(unsigned vector) { return m.read<u32>(descriptor + vector / 32 * 4) >> (vector % 32) & 1; }

    u64 control() { return m.read<u64>(descriptor + PostedControl::offset); }
};

constexpr u64 hlt = 12, apic_write = 56, exception = 0;

TEST(IpiVirtualization, PostsAndNotifies) {
    IpiGuest g(true);
    g.send_x2apic(0x45, IpiGuest::target);
    EXPECT_EQ(g.reason(), hlt); // without an exit
    EXPECT_TRUE(g.requested(0x45));
    EXPECT_TRUE(posted_control.outstanding(g.control()));
    EXPECT_EQ(g.m.apic.notified, (std::pair<u32, u8>{0x300, 0xf2}));
    EXPECT_EQ(g.m.read<u64>(IpiGuest::page + 0x300), u64{IpiGuest::target} << 32 | 0x45);
    EXPECT_EQ(g.m.glass.counter("vmx.virtual-ipi"), 1u);
}

TEST(IpiVirtualization, ByTheApicAccessPage) {
    IpiGuest g(false);
    g.send_xapic(0x45, IpiGuest::target << 24);
    EXPECT_EQ(g.reason(), hlt);
    EXPECT_TRUE(g.requested(0x45));
    EXPECT_EQ(g.m.apic.notified.second, 0xf2);
}

TEST(IpiVirtualization, NotifiesOnceAndNotWhenSuppressed) {
    for (const Field* flag : {&posted_control.outstanding, &posted_control.suppress}) {
        IpiGuest g(true);
        g.m.write<u64>(IpiGuest::descriptor + PostedControl::offset, g.control() | flag->mask());
        g.send_x2apic(0x99, IpiGuest::target);
        EXPECT_EQ(g.reason(), hlt);
        EXPECT_TRUE(g.requested(0x99));
        EXPECT_EQ(g.m.apic.notified.second, 0) << flag->name();
    }
}

TEST(IpiVirtualization, TheRestExitsAfterTheWrite) {
    const struct {
        u32 low, high;
        const char* why;
    } cases[] = {
        {0x0f, 2, "an illegal vector"},
        {0x45, 4, "beyond the last index"},
        {0x45, 1, "an entry that is not valid"},
        {0x4'0045, 2, "to self"},
        {0x8'0045, 2, "to all"},
        {0x0845, 2, "a logical destination"},
        {0x0445, 2, "an NMI"},
        {0x8045, 2, "level-triggered"},
    };

    for (const auto& c : cases) {
        IpiGuest g(true);
        g.send_x2apic(c.low, c.high);
        EXPECT_EQ(g.reason(), apic_write) << c.why;
        EXPECT_EQ(g.vmread(F::exit_qualification), 0x300u) << c.why;
        EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 17) << c.why; // behind WRMSR
        EXPECT_EQ(g.m.read<u64>(IpiGuest::page + 0x300), u64{c.high} << 32 | c.low) << c.why;
        EXPECT_FALSE(g.requested(c.low & 0xff)) << c.why;
        EXPECT_EQ(g.m.apic.notified.second, 0) << c.why;
    }
}

TEST(IpiVirtualization, ReservedBitsOfAnEntryAndOfTheCommand) {
    for (const u64 entry : {IpiGuest::descriptor | 3, IpiGuest::descriptor | 1 | bit(60)}) {
        IpiGuest g(true);
        g.m.write<u64>(IpiGuest::table + 8 * IpiGuest::target, entry);
        g.send_x2apic(0x45, IpiGuest::target);
        EXPECT_EQ(g.reason(), apic_write);
    }
    IpiGuest g(true);
    g.vmwrite(F::exception_bitmap, bit(13));
    g.send_x2apic(0x45 | bit(13), IpiGuest::target);
    EXPECT_EQ(g.reason(), exception);
    EXPECT_EQ(g.vmread(F::exit_interruption_information) & 0xff, 13u);
}

TEST(IpiVirtualization, WithoutTheControlItIsAnMsrLikeAnother) {
    IpiGuest g(true);
    g.vmwrite(F::tertiary, 0);
    g.vmwrite(F::exception_bitmap, bit(13)); // the test's local APIC has no registers
    g.send_x2apic(0x45, IpiGuest::target);
    EXPECT_EQ(g.reason(), exception);
    EXPECT_FALSE(g.requested(0x45));
}

} // namespace
} // namespace vitrine::vtx
