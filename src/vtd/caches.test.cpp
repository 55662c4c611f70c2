// SPDX-License-Identifier: Apache-2.0
// Tests of the caches, which really cache, and of both kinds of invalidation.
#include "vtd/caches.h"

#include "vtd/test_fixture.h"

using namespace vitrine;
using namespace vitrine::vtd;

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
