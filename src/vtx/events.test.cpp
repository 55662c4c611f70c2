// SPDX-License-Identifier: Apache-2.0
// Events in VMX non-root operation: exceptions, injection, interrupts, windows, the trap flag, masks and shadows.
#include "vtx/vmx_machine.h"

namespace vitrine::vtx {
namespace {

struct Guest : VmxMachine {
    Guest() {
        begin();
        set_up_guest();
    }
};

constexpr u64 valid = bit(31), hardware = interruption_type::hardware_exception << 8;

TEST(VmxEvents, ExceptionsExitByTheBitmap) {
    Guest g;
    g.vmwrite(F::exception_bitmap, bit(6));
    g.run_guest({0x90, 0x0f, 0x0b}, 2); // nop; ud2
    EXPECT_FALSE(g.unit.in_non_root());
    EXPECT_EQ(g.reason(), 0u);
    EXPECT_EQ(g.vmread(F::exit_interruption_information), valid | hardware | 6);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 1);
    EXPECT_EQ(g.vmread(F::guest_rflags), 2u | rflags::rf);
    EXPECT_EQ(g.vmread(F::idt_vectoring_information), 0u);
}

TEST(VmxEvents, PageFaultsExitByMaskAndMatch) {
    Guest g;
    g.vmwrite(F::exception_bitmap, bit(14));
    g.vmwrite(F::page_fault_mask, pfec::w);
    g.vmwrite(F::page_fault_match, pfec::w);
    g.run_guest({0xc6, 0x04, 0x25, 0, 0, 0, 0x40, 1}, 1); // mov byte [40000000h], 1
    EXPECT_EQ(g.reason(), 0u);
    EXPECT_EQ(g.vmread(F::exit_interruption_information), valid | hardware | bit(11) | 14);
    EXPECT_EQ(g.vmread(F::exit_qualification), 0x4000'0000u);
    EXPECT_EQ(g.vmread(F::exit_interruption_error_code), u64{pfec::w});
}

TEST(VmxEvents, WithoutAHandlerTheGuestTripleFaults) {
    Guest g;
    g.vmwrite(F::guest_idtr_limit, 0);
    g.run_guest({0x0f, 0x0b}, 1);
    EXPECT_EQ(g.reason(), 2u);
}

/// An IDT of the guest with one gate: the handler is one HLT, which exits.
void add_gate(Guest& g, u8 vector) {
    constexpr u64 idt = 0x700000, gdt = 0x701000, handler = 0x181000;
    g.m.write<u64>(gdt + 0x10, 0x00af'9b00'0000'ffff);
    g.m.write<u64>(idt + vector * 16, 0x0000'8e00'0010'0000 | (handler & 0xffff) | (handler >> 16) << 48);
    g.m.write<u64>(idt + vector * 16 + 8, 0);
    g.m.put(handler, {0xf4});
    g.vmwrite(F::guest_idtr_base, idt);
    g.vmwrite(F::guest_idtr_limit, 0xfff);
    g.vmwrite(F::guest_gdtr_base, gdt);
    g.vmwrite(F::guest_gdtr_limit, 0xff);
}

TEST(VmxEvents, InjectedEventsAreDelivered) {
    Guest g;
    add_gate(g, 13);
    g.vmwrite(F::entry_interruption_information, valid | hardware | bit(11) | 13);
    g.vmwrite(F::entry_exception_error_code, 0x1234);
    g.run_guest({0x90}, 1);
    EXPECT_EQ(g.reason(), 12u); // the handler's HLT
    const u64 sp = g.vmread(F::guest_rsp);
    EXPECT_EQ(g.m.read<u64>(sp), 0x1234u);
    EXPECT_EQ(g.m.read<u64>(sp + 8), VmxMachine::guest_code);
    EXPECT_EQ(g.vmread(F::entry_interruption_information) & valid, 0u);
}

TEST(VmxEvents, ExitsDuringDeliveryReportTheEvent) {
    Guest g;
    g.vmwrite(F::guest_idtr_limit, 0);
    g.vmwrite(F::exception_bitmap, bit(13));
    g.vmwrite(F::entry_interruption_information, valid | 0x40); // external interrupt 40h
    g.vmwrite(F::guest_rflags, 2 | rflags::if_);
    g.launch();
    EXPECT_FALSE(g.unit.in_non_root());
    EXPECT_EQ(g.reason(), 0u);
    EXPECT_EQ(g.vmread(F::exit_interruption_information), valid | hardware | bit(11) | 13);
    EXPECT_EQ(g.vmread(F::idt_vectoring_information), valid | 0x40);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code);
}

/// Injects exception `vector` into a guest whose IDT is empty, so that its delivery is a #GP, and returns the information about the exit.
u64 inject_without_idt(Guest& g, u8 vector, u64 bitmap) {
    g.vmwrite(F::guest_idtr_limit, 0);
    g.vmwrite(F::exception_bitmap, bitmap);
    g.vmwrite(F::entry_interruption_information, valid | hardware | bit(11) | vector);
    g.vmwrite(F::entry_exception_error_code, 0);
    g.launch();
    return g.vmread(F::exit_interruption_information);
}

TEST(VmxEvents, WhatExitsByItselfMakesNoDoubleFault) {
    Guest g;
    EXPECT_EQ(inject_without_idt(g, 12, bit(13) | bit(8)), valid | hardware | bit(11) | 13);
    EXPECT_EQ(g.vmread(F::exit_interruption_error_code), 12u * 8 + 3); // IDT and EXT
    EXPECT_EQ(g.vmread(F::idt_vectoring_information), valid | hardware | bit(11) | 12);
    Guest h;
    EXPECT_EQ(inject_without_idt(h, 12, bit(8)), valid | hardware | bit(11) | 8);
    EXPECT_EQ(h.vmread(F::idt_vectoring_information) & valid, 0u);
}

TEST(VmxEvents, WhatExitsByItselfMakesNoTripleFault) {
    Guest g;
    EXPECT_EQ(inject_without_idt(g, 8, bit(13)), valid | hardware | bit(11) | 13);
    EXPECT_EQ(g.vmread(F::idt_vectoring_information), valid | hardware | bit(11) | 8);
    Guest h;
    inject_without_idt(h, 8, 0);
    EXPECT_EQ(h.reason(), 2u);
}

TEST(VmxEvents, TheTrapFlagExitsAfterEachInstruction) {
    Guest g;
    g.turn_on(F::primary, primary.monitor_trap_flag);
    g.run_guest({0x90, 0x90, 0x90}, 1);
    g.m.run(1);
    EXPECT_EQ(g.reason(), 37u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 1);
}

TEST(VmxEvents, APendingTrapComesBeforeTheFirstInstruction) {
    Guest g;
    g.vmwrite(F::entry_interruption_information, valid | interruption_type::other_event << 8);
    g.launch();
    EXPECT_EQ(g.unit.entries(), 1u);
    EXPECT_EQ(g.reason(), 37u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code);
}

TEST(VmxEvents, InterruptsExitWhateverIfSays) {
    Guest g;
    g.turn_on(F::pin_based, pin.external_interrupt_exiting);
    g.turn_on(F::exit_controls, exiting.acknowledge_interrupt_on_exit);
    g.m.apic.vector = 0x77;
    g.m.put(VmxMachine::guest_code, {0x90, 0x90});
    g.launch();
    g.m.cpu.set_interrupt(true);
    g.m.run(65); // a VM exit takes 64 virtual nanoseconds
    EXPECT_EQ(g.m.cpu.rip, VmxMachine::host_entry + 1);
    g.m.cpu.set_interrupt(false);
    EXPECT_EQ(g.reason(), 1u);
    EXPECT_EQ(g.vmread(F::exit_interruption_information), valid | 0x77);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code);
}

TEST(VmxEvents, TheInterruptWindowWaitsForSti) {
    Guest g;
    g.turn_on(F::primary, primary.interrupt_window_exiting);
    g.run_guest({0xfb, 0x90, 0x90, 0x90}, 1); // sti; nop (in its shadow)
    EXPECT_TRUE(g.unit.in_non_root());
    g.m.run(1);
    EXPECT_EQ(g.reason(), 7u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 2);
}

TEST(VmxEvents, AnExpiredTimerComesBeforeTheFirstInstruction) {
    Guest g;
    g.turn_on(F::pin_based, pin.activate_preemption_timer);
    g.vmwrite(F::preemption_timer_value, 0);
    g.launch();
    EXPECT_EQ(g.unit.entries(), 1u);
    EXPECT_EQ(g.reason(), 52u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code);
}

TEST(VmxControls, MasksAndShadowsOfCr0) {
    Guest g;
    g.vmwrite(F::cr0_mask, cr0::ts | cr0::mp);
    g.vmwrite(F::cr0_read_shadow, cr0::ts);
    g.run_guest({0x0f, 0x20, 0xc1, 0x0f, 0x06}, 2); // mov rcx, cr0; clts
    EXPECT_EQ(g.m.cpu.gpr[rcx] & (cr0::ts | cr0::mp), cr0::ts);
    EXPECT_EQ(g.reason(), 28u);
    EXPECT_EQ(g.vmread(F::exit_qualification), 2u << 4);
}

TEST(VmxControls, Cr3TargetsDoNotExit) {
    Guest g;
    g.turn_on(F::primary, primary.cr3_load_exiting);
    g.vmwrite(F::cr3_target_count, 1);
    g.vmwrite(F::cr3_target_0, BareMachine::tables);
    // mov rax, 10000h; mov cr3, rax; mov eax, 20000h; mov cr3, rax
    g.run_guest({0xb8, 0, 0, 1, 0, 0x0f, 0x22, 0xd8, 0xb8, 0, 0, 2, 0, 0x0f, 0x22, 0xd8}, 3);
    EXPECT_TRUE(g.unit.in_non_root());
    g.m.run(1);
    EXPECT_EQ(g.reason(), 28u);
    EXPECT_EQ(g.vmread(F::exit_qualification), 3u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 13);
}

TEST(VmxControls, MsrBitmapsSayWhatExits) {
    Guest g;
    constexpr u64 bitmaps = 0x710000;
    g.turn_on(F::primary, primary.use_msr_bitmaps);
    g.vmwrite(F::msr_bitmaps, bitmaps);
    g.m.write<u8>(bitmaps + 1024 + 0x82 / 8, 1 << (0x82 % 8)); // reads of C0000082h
    // mov ecx, c0000081h; rdmsr; inc ecx; rdmsr
    g.run_guest({0xb9, 0x81, 0, 0, 0xc0, 0x0f, 0x32, 0xff, 0xc1, 0x0f, 0x32}, 4);
    EXPECT_EQ(g.reason(), 31u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 9);
}

TEST(VmxControls, PortBitmapsSayWhatExits) {
    Guest g;
    constexpr u64 bitmaps = 0x710000;
    g.turn_on(F::primary, primary.use_io_bitmaps);
    g.vmwrite(F::io_bitmap_a, bitmaps);
    g.vmwrite(F::io_bitmap_b, bitmaps + 0x1000);
    g.m.write<u8>(bitmaps + 0x81 / 8, 2);
    g.run_guest({0xe6, 0x80, 0xe5, 0x7e}, 2); // out 80h, al; in eax, 7eh: reaches 81h
    EXPECT_EQ(g.reason(), 30u);
    EXPECT_EQ(g.vmread(F::exit_qualification), 3u | 1 << 3 | 1 << 6 | 0x7eu << 16);
}

TEST(VmxControls, MsrAreasAreStoredAndLoaded) {
    Guest g;
    constexpr u64 area = 0x720000, kernel_gs_base = 0xc000'0102;
    for (const u64 at : {area, area + 0x100, area + 0x200})
        g.m.write<u64>(at, kernel_gs_base);
    g.m.write<u64>(area + 8, 0x1111);
    g.m.write<u64>(area + 0x208, 0x3333);
    g.vmwrite(F::entry_msr_load_address, area);
    g.vmwrite(F::entry_msr_load_count, 1);
    g.vmwrite(F::exit_msr_store_address, area + 0x100);
    g.vmwrite(F::exit_msr_store_count, 1);
    g.vmwrite(F::exit_msr_load_address, area + 0x200);
    g.vmwrite(F::exit_msr_load_count, 1);
    g.run_guest({0xf4}, 1);
    EXPECT_EQ(g.m.read<u64>(area + 0x108), 0x1111u);
    EXPECT_EQ(g.m.cpu.msr.kernel_gs_base, 0x3333u);
    // One that no area may hold.
    g.m.write<u64>(area, 0xc000'0100);
    g.resume();
    EXPECT_EQ(g.reason(), 34u | bit(31));
    EXPECT_EQ(g.vmread(F::exit_qualification), 1u);
}

} // namespace
} // namespace vitrine::vtx
