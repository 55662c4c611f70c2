// SPDX-License-Identifier: Apache-2.0
// Tests of the remapping unit: registers, page walks, every fault reason, fault recording, protected memory, state, options.
#include "vtd/unit.h"

#include "vtd/test_fixture.h"

#include <set>

using namespace vitrine;
using namespace vitrine::vtd;

TEST_F(Vtd, CapabilitiesAndReservedRegisters) {
    EXPECT_EQ(reg32(version_at), 0x10u);
    const u64 cap = reg64(capability_at), ecap = reg64(extended_capability_at);
    EXPECT_EQ(capability.address_widths(cap), 6u);
    EXPECT_EQ(capability.fault_offset(cap) * 16, fault_records_at);
    EXPECT_EQ(capability.fault_records(cap) + 1, fault_records);
    EXPECT_EQ(extended_capability.iotlb_offset(ecap) * 16, iotlb_registers_at);
    EXPECT_TRUE(extended_capability.queue(ecap) && extended_capability.interrupt_remapping(ecap) && extended_capability.coherent(ecap));
    reg64(capability_at, 0);
    reg64(extended_capability_at, 0);
    reg32(global_status_at, ~0u);
    EXPECT_EQ(reg64(capability_at), cap);
    EXPECT_EQ(reg64(extended_capability_at), ecap);
    EXPECT_EQ(reg32(global_status_at), 0u);
    EXPECT_EQ(reg64(0x600), 0u);
}

TEST_F(Vtd, NothingIsTranslatedBeforeItIsEnabled) {
    mem(0x3000, 77);
    EXPECT_EQ(at(0x3000), 77u);
}

TEST_F(Vtd, PagesOfAllSizesAndBothDepths) {
    for (const unsigned levels : {3u, 4u}) {
        Driver d;
        d.attach(domain, levels);
        d.map(0x7000, 0x3000, 3, 1, levels);
        d.map(0x40'0000, 0x20'0000, 3, 2, levels);
        d.map(0x80'0000'0000 / 2, 0, 3, 3, levels);
        d.mem(0x3010, 1);
        d.mem(0x20'0020, 2);
        d.mem(0x3018, 3);
        d.start_translation();
        u64 value = 0;
        EXPECT_TRUE(d.read(0x7010, value));
        EXPECT_EQ(value, 1u);
        EXPECT_TRUE(d.read(0x40'0020, value));
        EXPECT_EQ(value, 2u);
        EXPECT_TRUE(d.read(0x40'0000'3018, value));
        EXPECT_EQ(value, 3u);
        EXPECT_TRUE(d.write(0x7010, 9));
        EXPECT_EQ(d.mem(0x3010), 9u);
    }
}

TEST_F(Vtd, ATransferAcrossPagesEndsWhereAPageIsMissing) {
    attach();
    map(0x7000, 0x3000);
    map(0x8000, 0x5000);
    start_translation();
    std::vector<u8> data(0x1800, 0xaa);
    EXPECT_TRUE(unit.write(Requester::function(device), DeviceAddress{0x7800}, data));
    EXPECT_EQ(mem(0x3ff8), 0xaaaa'aaaa'aaaa'aaaa);
    EXPECT_EQ(mem(0x5ff8), 0xaaaa'aaaa'aaaa'aaaa);
    EXPECT_EQ(mem(0x4000), 0u);
    EXPECT_FALSE(unit.write(Requester::function(device), DeviceAddress{0x8800}, data));
    EXPECT_EQ(take_fault(), 5u);
    EXPECT_FALSE(unit.read(Requester::function(device), DeviceAddress{0x8800}, data));
    EXPECT_EQ(data.back(), 0xff);
}

TEST_F(Vtd, PassThrough) {
    set_context(context_low.present.mask() | context_low.type.with(0, 2), 2 | 5 << 8);
    mem(0x3000, 5);
    start_translation();
    EXPECT_EQ(at(0x3000), 5u);
    EXPECT_EQ(at(1ull << 48), ~0ull);
    EXPECT_EQ(take_fault(), 4u);
}

TEST_F(Vtd, TheRootTableIsTheLatchedOne) {
    attach();
    map(0x7000, 0x3000);
    mem(0x3000, 6);
    start_translation();
    reg64(root_table_at, 0x3f'0000);
    EXPECT_EQ(at(0x7000), 6u) << "the register alone changes nothing";
    command(global_command.set_root_table.mask());
    EXPECT_EQ(at(0x7000), 6u) << "nor does its latching what is cached";
    start_queue();
    invalidate(all_contexts);
    EXPECT_EQ(at(0x7000), ~0ull);
    EXPECT_EQ(take_fault(), 1u);
}

// Each fault reason comes from what its row says, and no row is left out.
TEST_F(Vtd, EveryFaultReason) {
    struct Case {
        FaultReason reason;
        void (*violate)(Driver& d);
    };
    using F = FaultReason;
    // DMA reads 7000h; an interrupt has index 3.
    static constexpr Case cases[] = {
        {F::root_not_present, [](Driver& d) { d.mem(d.root + 16, 0); }},
        {F::context_not_present, [](Driver& d) { d.set_context(0, 0); }},
        {F::context_invalid, [](Driver& d) { d.set_context(d.tables | 1, 3); }},
        {F::address_beyond_width, [](Driver& d) { d.set_context(d.tables | 1, 1); }},
        {F::write_not_permitted, [](Driver& d) { d.map(0x7000, 0x3000, 1); }},
        {F::read_not_permitted, [](Driver& d) { d.map(0x7000, 0x3000, 2); }},
        {F::table_inaccessible, [](Driver& d) { d.mem(d.entry(0x7000, 2), 0x30'0000'0000 | 3); }},
        {F::root_inaccessible, [](Driver& d) { d.reg64(root_table_at, 0x30'0000'0000), d.command(global_command.set_root_table.mask()); }},
        {F::context_inaccessible, [](Driver& d) { d.mem(d.root + 16, 0x30'0000'0001); }},
        {F::root_reserved, [](Driver& d) { d.mem(d.root + 24, 1); }},
        {F::context_reserved, [](Driver& d) { d.set_context(d.tables | 1, 2 | 1ull << 40); }},
        {F::entry_reserved, [](Driver& d) { d.mem(d.entry(0x7000, 3), second_stage.large.mask() | 0x3003); }},
        {F::mode_unsupported, [](Driver& d) { d.reg64(root_table_at, d.root | 1 << 10), d.command(global_command.set_root_table.mask()); }},
        {F::request_reserved, [](Driver& d) { d.interrupt(d.message_of(3, true), 0x10000); }},
        {F::index_beyond_table, [](Driver& d) { d.interrupt(d.message_of(256)); }},
        {F::irte_not_present, [](Driver& d) { d.set_irte(3, 0); }},
        {F::irte_inaccessible, [](Driver& d) { d.reg64(interrupt_table_at, 0x30'0000'0007), d.command(global_command.set_interrupt_table.mask()); }},
        {F::irte_reserved, [](Driver& d) { d.set_irte(3, fixed_to_1 | 1 << 12); }},
        {F::compatibility_blocked, [](Driver& d) { d.interrupt(0xfee0'0000, 0x41); }},
        {F::source_rejected, [](Driver& d) { d.set_irte(3, fixed_to_1, 0x0118 | 1 << 18); }},
        {F::descriptor_inaccessible, [](Driver& d) { d.set_irte(3, 1 | 1 << 15 | 0x41 << 16, 1ull << 40); }},
        {F::descriptor_reserved, [](Driver& d) { d.set_irte(3, 1 | 1 << 15 | 0x41 << 16 | (d.descriptor >> 6) << 38), d.mem(d.descriptor + 32, 4); }},
    };
    std::set<FaultReason> seen;
    for (const Case& c : cases) {
        SCOPED_TRACE(row_of(c.reason).id);
        Driver d;
        d.attach();
        d.map(0x7000, 0x3000);
        d.set_irte(3, fixed_to_1);
        d.start_translation();
        d.start_remapping();
        c.violate(d);
        u64 value = 0;
        const u64 address = c.reason == F::address_beyond_width ? 0x80'0000'7000 : 0x7000;
        u16 source = 0;
        u64 information = 0;
        if (row_of(c.reason).interrupt) {
            if (!fault_status.pending(d.reg32(fault_status_at)))
                d.interrupt(d.message_of(3));
        } else if (c.reason == F::write_not_permitted) {
            EXPECT_FALSE(d.write(address, 1));
        } else {
            EXPECT_FALSE(d.read(address, value));
            EXPECT_EQ(value, ~0ull);
        }
        EXPECT_EQ(d.take_fault(&source, &information), static_cast<u8>(c.reason));
        EXPECT_EQ(source, device);
        if (!row_of(c.reason).interrupt) {
            EXPECT_EQ(information, address);
        }
        EXPECT_EQ(d.taken(0) + d.taken(1), 0);
        seen.insert(c.reason);
    }
    for (const FaultRow& row : fault_rows)
        EXPECT_TRUE(seen.contains(row.reason)) << row.id;
}

TEST_F(Vtd, FpdSilencesWhatItQualifies) {
    set_context(tables | context_low.present.mask() | context_low.fault_disable.mask(), 2);
    start_translation();
    EXPECT_EQ(at(0x7000), ~0ull);
    EXPECT_EQ(reg32(fault_status_at), 0u);
    start_remapping();
    set_irte(3, remapped_low.fault_disable.mask());
    interrupt(message_of(3));
    EXPECT_EQ(reg32(fault_status_at), 0u);
    interrupt(0xfee0'0000, 0x41);
    EXPECT_EQ(take_fault(), 0x25u);
}

TEST_F(Vtd, RecordsFillAndOverflow) {
    start_translation();
    reg32(fault_event_at + 4, 0x61);
    reg32(fault_event_at + 8, 0xfee0'0000);
    for (unsigned n = 0; n < fault_records; ++n)
        EXPECT_EQ(at(0x7000 + n * page_size), ~0ull);
    EXPECT_EQ(reg32(fault_status_at), 2u);
    EXPECT_EQ(reg32(fault_event_at), 0xc000'0000u) << "masked: it waits";
    EXPECT_EQ(at(0x7000), ~0ull);
    EXPECT_EQ(reg32(fault_status_at), 3u);
    for (unsigned n = 0; n < fault_records; ++n)
        EXPECT_EQ(reg64(fault_records_at + 16 * n), 0x7000 + n * page_size);
    reg32(fault_event_at, 0);
    EXPECT_EQ(taken(0), 0x61);
    EXPECT_EQ(reg32(fault_event_at), 0u);
    reg32(fault_records_at + 12, 0x8000'0000);
    EXPECT_EQ(at(0x9000), ~0ull);
    EXPECT_EQ(reg64(fault_records_at), 0x7000u) << "PFO: nothing is recorded";
    EXPECT_EQ(taken(0), 0) << "the event is one as long as its condition stands";
    reg32(fault_status_at, 1);
    EXPECT_EQ(at(0xa000), ~0ull);
    EXPECT_EQ(reg64(fault_records_at), 0xa000u);
    take_fault();
    EXPECT_EQ(reg32(fault_status_at) & 0xff, 0u);
    EXPECT_EQ(at(0xb000), ~0ull);
    EXPECT_EQ(fault_status.index(reg32(fault_status_at)), 1u);
    EXPECT_EQ(taken(0), 0x61);
}

TEST_F(Vtd, ProtectedMemory) {
    reg32(protected_low_base_at, ~0u);
    EXPECT_EQ(reg32(protected_low_base_at), 0xffe0'0000u) << "the grain is 2 MiB";
    reg32(protected_low_base_at, 0x20'0000);
    reg32(protected_low_limit_at, 0x20'0000);
    reg64(protected_high_base_at, 0x1'0000'0000);
    reg64(protected_high_limit_at, 0);
    EXPECT_TRUE(write(0x20'0000, 1));
    reg32(protected_enable_at, 0x8000'0000);
    EXPECT_EQ(reg32(protected_enable_at), 0x8000'0001u);
    EXPECT_FALSE(write(0x20'0000, 2));
    EXPECT_FALSE(write(0x3f'fff8, 2));
    EXPECT_TRUE(write(0x1f'fff8, 2));
    EXPECT_EQ(mem(0x20'0000), 1u);
    attach();
    map(0x7000, 0x20'0000);
    start_translation();
    EXPECT_TRUE(write(0x7000, 3)) << "what is translated is let through";
    reg32(protected_enable_at, 0);
    EXPECT_EQ(reg32(protected_enable_at), 0u);
}

TEST_F(Vtd, TranslatedAddressesAreNoInterrupts) {
    attach();
    map(0x7000, 0xfee0'0000);
    start_translation();
    const u32 data = 0x41;
    EXPECT_FALSE(unit.write(Requester::function(device), DeviceAddress{0x7000}, {reinterpret_cast<const u8*>(&data), 4}));
    EXPECT_EQ(taken(0) + taken(1), 0);
}

TEST_F(Vtd, StateRoundTrip) {
    attach();
    map(0x7000, 0x3000);
    set_irte(3, fixed_to_1);
    start_translation();
    start_remapping();
    start_queue();
    at(0x7000);
    at(0x9000);
    interrupt(message_of(3));
    testing_support::Saver saver;
    unit.state(saver);
    Driver other;
    testing_support::Loader loader(saver.data);
    other.unit.state(loader);
    EXPECT_TRUE(loader.complete());
    testing_support::Saver again;
    other.unit.state(again);
    EXPECT_EQ(again.data, saver.data);
    // What is cached came along: the other board's memory is empty.
    u64 value = 0;
    EXPECT_TRUE(other.read(0x7000, value));
    other.interrupt(message_of(3));
    EXPECT_EQ(other.taken(1), 0x41);
}

TEST(VtdOptions, Text) {
    EXPECT_TRUE(parse_options("on").ok());
    EXPECT_EQ(parse_options("on,cm=on,aw=39").value().address_bits, 39u);
    EXPECT_FALSE(parse_options("on,intremap=off").value().posted_interrupts);
    for (const char* wrong : {"", "off", "on,cm", "on,cm=2", "on,aw=57", "on,cmx=on", "yes"})
        EXPECT_FALSE(parse_options(wrong).ok()) << wrong;
}
