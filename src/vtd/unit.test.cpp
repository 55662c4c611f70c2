// SPDX-License-Identifier: Apache-2.0
// Tests of the remapping unit: every fault reason, caches that really cache, both kinds of invalidation, fault recording, interrupt remapping,
// posting, protected memory, state.
#include "vtd/unit.h"

#include "vtd/test_driver.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

using namespace vitrine;
using namespace vitrine::vtd;

namespace {

struct Vtd : testing::Test, Driver {
    u64 got = 0;

    /// What a read of the address gives, or all ones.
    u64 at(u64 address, u16 source = device) {
        got = 0;
        return read(address, got, source) ? got : ~0ull;
    }
};

struct CachingMode : testing::Test, Driver {
    CachingMode() : Driver({.caching_mode = true}) {}
};

/// Index, then what makes it a fault.
constexpr u64 fixed_to_1 = 1 | 0x41ull << 16 | 1ull << 40; ///< vector 41h to APIC 1, in 8-bit mode

} // namespace

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
        if (!row_of(c.reason).interrupt)
            EXPECT_EQ(information, address);
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

// ---- caches -----------------------------------------------------------------------------------------------------------------

TEST_F(Vtd, TheIotlbKeepsWhatNobodyInvalidates) {
    attach();
    map(0x7000, 0x3000);
    map(0x8000, 0x5000);
    mem(0x3000, 1);
    mem(0x4000, 2);
    start_translation();
    start_queue();
    EXPECT_EQ(at(0x7000), 1u);
    map(0x7000, 0x4000);
    EXPECT_EQ(at(0x7000), 1u);
    invalidate(some_pages(domain), 0x8000);
    EXPECT_EQ(at(0x7000), 1u) << "another page";
    invalidate(some_pages(domain + 1), 0x7000);
    invalidate(pages_of(domain + 1));
    EXPECT_EQ(at(0x7000), 1u) << "another domain";
    invalidate(all_contexts);
    EXPECT_EQ(at(0x7000), 1u) << "another cache";
    invalidate(some_pages(domain), 0x4000 | 2); // 4000h to 7fffh
    EXPECT_EQ(at(0x7000), 2u);
    map(0x7000, 0x3000);
    invalidate(pages_of(domain));
    EXPECT_EQ(at(0x7000), 1u);
    map(0x7000, 0x4000);
    invalidate(all_pages);
    EXPECT_EQ(at(0x7000), 2u);
    mem(entry(0x7000), 0);
    EXPECT_EQ(at(0x7000), 2u);
    EXPECT_TRUE(write(0x7000, 3));
}

TEST_F(Vtd, ALargePageGoesByAnyAddressInIt) {
    attach();
    map(0x40'0000, 0x20'0000, 3, 2);
    start_translation();
    start_queue();
    EXPECT_EQ(at(0x40'0000), 0u);
    mem(entry(0x40'0000, 2), 0);
    invalidate(some_pages(domain), 0x5f'f000);
    EXPECT_EQ(at(0x40'0000), ~0ull);
}

TEST_F(Vtd, RightsThatWereAddedNeedNoInvalidation) {
    attach();
    map(0x7000, 0x3000, 1);
    start_translation();
    EXPECT_EQ(at(0x7000), 0u);
    EXPECT_FALSE(write(0x7000, 1));
    EXPECT_EQ(take_fault(), 5u);
    map(0x7000, 0x3000, 3);
    EXPECT_TRUE(write(0x7000, 1));
}

TEST_F(Vtd, TheContextCacheIsTaggedByDomainAndFunction) {
    attach();
    map(0x7000, 0x3000);
    mem(0x3000, 1);
    start_translation();
    start_queue();
    const u64 selective = 1 | 3 << 4 | u64{domain} << 16;
    const auto still = [&] { return at(0x7000) == 1; };
    EXPECT_TRUE(still());
    set_context(0, 0);
    EXPECT_TRUE(still());
    invalidate(selective | u64{0x0118} << 32);
    EXPECT_TRUE(still()) << "another function";
    invalidate(1 | 3 << 4 | u64{domain + 1} << 16 | u64{device} << 32);
    EXPECT_TRUE(still()) << "another domain";
    invalidate(1 | 2 << 4 | u64{domain + 1} << 16);
    EXPECT_TRUE(still());
    invalidate(selective | u64{device | 7} << 32 | 3ull << 48);
    EXPECT_FALSE(still()) << "any function of the device";
}

TEST_F(CachingMode, WhatIsNotPresentIsCachedToo) {
    start_translation();
    start_queue();
    u64 value = 0;
    EXPECT_FALSE(read(0x7000, value));
    EXPECT_EQ(take_fault(), 1u);
    attach();
    map(0x7000, 0x3000);
    EXPECT_FALSE(read(0x7000, value));
    invalidate(1 | 3 << 4 | u64{device} << 32); // of domain 0
    EXPECT_TRUE(read(0x7000, value));
    EXPECT_FALSE(read(0x8000, value));
    map(0x8000, 0x3000);
    EXPECT_FALSE(read(0x8000, value));
    invalidate(some_pages(domain), 0x8000);
    EXPECT_TRUE(read(0x8000, value));
    start_remapping();
    interrupt(message_of(3));
    set_irte(3, fixed_to_1);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0);
    invalidate(all_interrupts);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
}

TEST_F(Vtd, InvalidationByRegisters) {
    attach();
    map(0x7000, 0x3000);
    mem(0x3000, 1);
    mem(0x4000, 2);
    start_translation();
    EXPECT_EQ(at(0x7000), 1u);
    map(0x7000, 0x4000);
    reg64(invalidate_address_at, 0x7000);
    reg64(iotlb_invalidate_at, 1ull << 63 | 3ull << 60 | u64{domain} << 32);
    EXPECT_EQ(iotlb_invalidate.actual(reg64(iotlb_invalidate_at)), 3u);
    EXPECT_EQ(reg64(iotlb_invalidate_at) >> 63, 0u);
    EXPECT_EQ(at(0x7000), 2u);
    set_context(0, 0);
    reg32(context_command_at + 4, 0xa000'0000); // global, by halves
    EXPECT_EQ(context_command.actual(reg64(context_command_at)), 1u);
    EXPECT_EQ(at(0x7000), ~0ull);
    start_queue();
    reg32(context_command_at + 4, 0xa000'0000);
    EXPECT_EQ(reg64(context_command_at) >> 63, 0u);
    EXPECT_EQ(context_command.actual(reg64(context_command_at)), 0u) << "refused while the queue is enabled: nothing was done";
    EXPECT_EQ(glass.counter("register-invalidation-with-queue"), 1u);
}

// ---- queue ------------------------------------------------------------------------------------------------------------------

TEST_F(Vtd, WaitDescriptors) {
    start_queue();
    invalidate(5 | 1 << 5 | 1 << 6 | 0x1234ull << 32, status); // SW and FN
    EXPECT_EQ(mem(status), 0x1234u);
    EXPECT_EQ(reg64(queue_head_at), 16u);
    invalidate(5 | 1 << 4 | 1 << 5 | 0x5678ull << 32, status + 8); // IF and SW
    EXPECT_EQ(mem(status + 8), 0x5678u);
    EXPECT_EQ(reg32(completion_status_at), 1u);
    EXPECT_EQ(reg32(completion_event_at), 0xc000'0000u);
    reg32(completion_event_at + 4, 0x51);
    reg32(completion_event_at + 8, 0xfee0'1000);
    reg32(completion_event_at, 0);
    EXPECT_EQ(taken(1), 0x51);
    invalidate(5 | 1 << 4);
    EXPECT_EQ(taken(1), 0) << "IWC is still set";
    reg32(completion_status_at, 1);
    invalidate(5 | 1 << 4);
    EXPECT_EQ(taken(1), 0x51);
    invalidate(5 | 1 << 5, default_base + queue_tail_at);
    EXPECT_EQ(reg64(queue_tail_at), tail) << "a status is written to memory alone";
    EXPECT_EQ(glass.counter("wait-status-to-no-memory"), 1u);
}

TEST_F(Vtd, ABadDescriptorStopsTheQueueUntilItIsMended) {
    start_queue();
    reg32(fault_event_at + 4, 0x61);
    reg32(fault_event_at + 8, 0xfee0'0000);
    reg32(fault_event_at, 0);
    for (const u64 bad : {u64{0}, u64{3}, u64{6}, u64{15}, u64{1}, u64{2}, all_pages | 1 << 8, all_contexts | 1 << 9, u64{5 | 1 << 8}, all_interrupts | 1 << 5}) {
        SCOPED_TRACE(bad);
        const u64 where = tail;
        put(bad);
        put(5 | 1 << 5 | 1ull << 32, status);
        mem(status, 0);
        ring();
        EXPECT_TRUE(fault_status.queue_error(reg32(fault_status_at)));
        EXPECT_EQ(reg64(queue_head_at), where);
        EXPECT_NE(reg64(queue_error_at), 0u);
        EXPECT_EQ(taken(0), 0x61);
        EXPECT_EQ(mem(status), 0u);
        mem(queue + where, all_pages);
        reg32(fault_status_at, static_cast<u32>(fault_status.queue_error.mask()));
        EXPECT_EQ(mem(status), 1u);
        EXPECT_EQ(reg64(queue_head_at), tail);
        EXPECT_EQ(reg32(fault_status_at), 0u);
    }
}

TEST_F(Vtd, TailAndHeadStayInTheQueue) {
    reg64(queue_tail_at, 0x40);
    EXPECT_EQ(reg64(queue_head_at), 0u) << "the queue is off";
    start_queue();
    reg64(queue_tail_at, 0x1000);
    EXPECT_TRUE(fault_status.queue_error(reg32(fault_status_at)));
    EXPECT_EQ(reg64(queue_error_at), static_cast<u64>(QueueErrorReason::tail_invalid));
    reg64(queue_tail_at, 0);
    reg32(fault_status_at, static_cast<u32>(fault_status.queue_error.mask()));
    EXPECT_EQ(reg32(fault_status_at), 0u);
    for (unsigned n = 0; n < 600; ++n)
        invalidate(all_pages);
    EXPECT_EQ(reg64(queue_head_at), 600u * 16 % 4096);
    take_away(global_command.queue.mask());
    EXPECT_EQ(reg64(queue_head_at), 0u);
    reg64(queue_address_at, queue | queue_address.width.mask());
    reg64(queue_tail_at, 0);
    command(global_command.queue.mask());
    reg64(queue_tail_at, 0x20);
    EXPECT_EQ(reg64(queue_error_at), static_cast<u64>(QueueErrorReason::width_invalid));
}

// ---- faults -----------------------------------------------------------------------------------------------------------------

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

// ---- interrupts -------------------------------------------------------------------------------------------------------------

TEST_F(Vtd, RemappedInterrupts) {
    set_irte(3, fixed_to_1, device | 1 << 18);
    set_irte(5, fixed_to_1 | 1 << 16, device | 1 << 18);
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0x42) << "not enabled";
    start_remapping();
    interrupt(message_of(3), 0xffff);
    EXPECT_EQ(taken(1), 0x41);
    interrupt(message_of(3, true), 2);
    EXPECT_EQ(taken(1), 0x41) << "index 5, vector 41h: the low bit was set already";
    command(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0x42);
    take_away(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0);
    EXPECT_EQ(take_fault(), 0x25u);
    const u32 data = 0;
    EXPECT_TRUE(unit.write(Requester::function(device), DeviceAddress{message_of(3)}, {reinterpret_cast<const u8*>(&data), 4})) << "by a plain write";
    EXPECT_EQ(taken(1), 0x41);
    EXPECT_FALSE(write(message_of(3), 0)) << "of eight bytes";
    u64 value;
    EXPECT_FALSE(read(0xfee0'0000, value));
}

TEST_F(Vtd, ExtendedInterruptModeTakesTheWholeDestination) {
    set_irte(3, 1 | 0x41ull << 16 | 1ull << 32);
    start_remapping(true);
    command(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(take_fault(), 0x25u) << "compatibility format never passes in this mode";
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
}

TEST_F(Vtd, SourceValidation) {
    start_remapping();
    start_queue();
    const auto passes = [&](u64 high, u16 source) {
        set_irte(3, fixed_to_1, high);
        invalidate(all_interrupts);
        interrupt(message_of(3), 0, source);
        take_fault();
        return taken(1) == 0x41;
    };
    constexpr u64 exact = 1 << 18, buses = 2 << 18;
    EXPECT_TRUE(passes(0, 0x1234));
    EXPECT_TRUE(passes(0x0110 | exact, 0x0110));
    EXPECT_FALSE(passes(0x0110 | exact, 0x0114));
    EXPECT_TRUE(passes(0x0110 | exact | 1 << 16, 0x0114));
    EXPECT_FALSE(passes(0x0110 | exact | 1 << 16, 0x0112));
    EXPECT_TRUE(passes(0x0110 | exact | 2 << 16, 0x0116));
    EXPECT_FALSE(passes(0x0110 | exact | 2 << 16, 0x0111));
    EXPECT_TRUE(passes(0x0110 | exact | 3 << 16, 0x0117));
    EXPECT_FALSE(passes(0x0110 | exact | 3 << 16, 0x0118));
    EXPECT_TRUE(passes(0x0103 | buses, 0x0210));
    EXPECT_FALSE(passes(0x0103 | buses, 0x0410));
    EXPECT_FALSE(passes(3 << 18, 0x0110)) << "reserved";
}

TEST_F(Vtd, InterruptEntriesAreCached) {
    set_irte(3, fixed_to_1);
    start_remapping();
    start_queue();
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
    set_irte(3, 0);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
    invalidate(4 | 1 << 4 | 4ull << 32);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41) << "another index";
    invalidate(4 | 1 << 4 | 2ull << 27 | 1ull << 32); // 0 to 3
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0);
    EXPECT_EQ(take_fault(), 0x22u);
}

TEST_F(Vtd, TheIoApicPassesThrough) {
    interrupts.set_remapping(unit);
    set_irte(3, fixed_to_1, interrupts.io_apic().requester() | 1 << 18);
    start_remapping();
    Line line = interrupts.gsi(20);
    const auto window = [&](u8 index, u32 value) {
        space->write<u32>(Physical{0xfec0'0000}, index, Requester::from_cpu(0));
        space->write<u32>(Physical{0xfec0'0010}, value, Requester::from_cpu(0));
    };
    window(0x10 + 41, 0x0007'0000); // index 3, remappable format
    window(0x10 + 40, 0x8014);      // level, vector 14h is for the EOI
    line.set(true);
    EXPECT_EQ(taken(1), 0x41);
}

TEST_F(Vtd, PostedInterrupts) {
    set_irte(3, 1 | 1 << 15 | 0x91ull << 16 | (descriptor >> 6 & 0x3ff'ffff) << 38, descriptor >> 32 << 32);
    set_irte(4, 1 | 1 << 14 | 1 << 15 | 0x92ull << 16 | (descriptor >> 6 & 0x3ff'ffff) << 38);
    mem(descriptor + 32, 0xf2 << 16 | 1ull << 40);
    start_remapping();
    interrupt(message_of(3));
    EXPECT_EQ(mem(descriptor + 16) >> 17 & 1, 1u);
    EXPECT_EQ(mem(descriptor + 32) & 3, 1u);
    EXPECT_EQ(taken(1), 0xf2);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0) << "outstanding";
    mem(descriptor + 32, 2 | 0xf2 << 16 | 1ull << 40);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0) << "suppressed";
    EXPECT_EQ(mem(descriptor + 32) & 3, 2u);
    interrupt(message_of(4));
    EXPECT_EQ(taken(1), 0xf2) << "urgent";
    EXPECT_EQ(mem(descriptor + 16) >> 17 & 3, 3u);
    EXPECT_EQ(glass.counter("vtd.interrupt.posted"), 4u);
    EXPECT_EQ(glass.counter("vtd.interrupt.notified"), 2u);
}

TEST_F(Vtd, WithoutPostingAPostedEntryIsReserved) {
    Driver d({.posted_interrupts = false});
    EXPECT_EQ(capability.posted_interrupts(d.reg64(capability_at)), 0u);
    d.set_irte(3, 1 | 1 << 15 | 0x91ull << 16 | (descriptor >> 6) << 38);
    d.start_remapping();
    d.interrupt(d.message_of(3));
    EXPECT_EQ(d.take_fault(), 0x24u);
}

// ---- the rest ---------------------------------------------------------------------------------------------------------------

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

TEST_F(Vtd, HostileState) {
    testing_support::Saver saver;
    unit.state(saver);
    std::mt19937 random(1);
    for (unsigned round = 0; round < 60; ++round) {
        std::vector<u8> data = saver.data;
        for (unsigned n = 0; n < 40; ++n)
            data[random() % data.size()] = static_cast<u8>(random());
        Driver d;
        testing_support::Loader loader(data);
        d.unit.state(loader);
        for (unsigned n = 0; n < 50; ++n) {
            u64 value = 0;
            (void)d.read(random() & 0xff'f000, value, static_cast<u16>(random()));
            d.interrupt(0xfee0'0000 | (random() & 0xffffc), static_cast<u32>(random()), static_cast<u16>(random()));
            d.reg64(random() % 0x220 & ~7u, u64{random()} << 32 | random());
        }
    }
}

TEST_F(Vtd, AHostileDriver) {
    std::mt19937_64 random(2);
    const auto address = [&] { return random() % 4 ? random() % 4_MiB & ~0xfffull : random(); };
    for (unsigned round = 0; round < 40; ++round) {
        Driver d({.caching_mode = round % 2 == 1});
        for (unsigned n = 0; n < 256; ++n)
            d.mem(random() % 4_MiB & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random());
        d.mem(d.root, d.root | 1); // the root table as a context table, and as every table below
        d.mem(d.root + 8, 0);
        if (round % 3) {
            d.attach();
            d.start_translation();
            d.start_remapping(round % 2);
            d.start_queue();
        }
        for (unsigned n = 0; n < 500; ++n) {
            u64 value = random();
            switch (random() % 8) {
            case 0: d.reg64(random() % region_size & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random()); break;
            case 1: d.reg32(random() % region_size & ~3ull, static_cast<u32>(random())); break;
            case 2: (void)d.reg64(random() % region_size & ~7ull); break;
            case 3: (void)d.write(address(), value, static_cast<u16>(random() % 2 ? random() : device)); break;
            case 4: (void)d.read(address(), value, static_cast<u16>(random() % 2 ? random() : device)); break;
            case 5: d.interrupt(0xfee0'0000 | (random() & 0xf'fffc), static_cast<u32>(random()), static_cast<u16>(random())); break;
            case 6: d.invalidate(random() % 2 ? random() : random() % 64, random() % 2 ? address() : random()); break;
            case 7: d.mem(random() % 4_MiB & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random()); break;
            }
        }
        (void)d.unit.describe();
        (void)d.unit.describe_walk(device, address());
        (void)d.unit.describe_interrupt(static_cast<u32>(random() & 0xffff));
    }
}

TEST(VtdOptions, Text) {
    EXPECT_TRUE(parse_options("on").ok());
    EXPECT_EQ(parse_options("on,cm=on,aw=39").value().address_bits, 39u);
    EXPECT_FALSE(parse_options("on,intremap=off").value().posted_interrupts);
    for (const char* wrong : {"", "off", "on,cm", "on,cm=2", "on,aw=57", "on,cmx=on", "yes"})
        EXPECT_FALSE(parse_options(wrong).ok()) << wrong;
}
