// SPDX-License-Identifier: Apache-2.0
// Tests of the NVMe controller through a small driver: start-up, queues, I/O, errors, events, interrupts, resets,
// state.
#include "devices/nvme.h"

#include "devices/nvme_driver.h"

#include <gtest/gtest.h>

#include <numeric>

namespace vitrine::nvme {

namespace {

constexpr u64 data = 0x100000, data2 = 0x140000, list_page = 0x180000;

struct Nvme : testing::Test {
    Driver d;

    Completion rw(u8 opcode, u64 lba, u32 count, u64 prp1, u64 prp2 = 0, u32 flags = 0) {
        return d.io_run({.opcode = opcode,
                         .nsid = 1,
                         .prp1 = prp1,
                         .prp2 = prp2,
                         .dw10 = static_cast<u32>(lba),
                         .dw11 = static_cast<u32>(lba >> 32),
                         .dw12 = (count - 1) | flags});
    }

    void fill(u64 at, std::size_t n, u8 first) {
        std::vector<u8> bytes(n);
        std::iota(bytes.begin(), bytes.end(), first);
        d.board.space->write(Physical{at}, bytes, Requester::from_cpu(0));
    }

    std::vector<u8> peek(u64 at, std::size_t n) {
        std::vector<u8> bytes(n);
        d.board.space->read(Physical{at}, bytes, Requester::from_cpu(0));
        return bytes;
    }

    std::vector<u8> image(u64 at, std::size_t n) {
        return {d.image.data.begin() + static_cast<std::ptrdiff_t>(at),
                d.image.data.begin() + static_cast<std::ptrdiff_t>(at + n)};
    }
};

} // namespace

TEST_F(Nvme, RegistersAfterReset) {
    EXPECT_EQ(d.reg(0), 0x0a0103ffu);
    EXPECT_EQ(d.reg(4), 0x20u);
    EXPECT_EQ(d.reg(8), 0x10400u);
    EXPECT_EQ(d.board.read64(Driver::registers), 0x20'0a0103ffull);
    EXPECT_EQ(d.reg(csts_offset), 0u);
    EXPECT_EQ(d.disk.config_read(pci::class_code, 1), 2u);
    EXPECT_EQ(d.disk.config_read(pci::class_code + 1, 1), 8u);
}

TEST_F(Nvme, EnableAndDisable) {
    d.enable();
    EXPECT_EQ(d.reg(csts_offset), 1u);
    d.reg(cc_offset, 0);
    EXPECT_EQ(d.reg(csts_offset), 0u);
    EXPECT_EQ(d.reg(asq_offset), 0x10000u); // admin queue registers stay
    d.reg(aqa_offset, 0);
    d.reg(cc_offset, 1);
    EXPECT_EQ(d.reg(csts_offset), 2u); // too small: fatal, not ready
    d.reg(cc_offset, 0);
    EXPECT_EQ(d.reg(csts_offset), 0u);
    d.reg(aqa_offset, 0x70007);
    d.reg(cc_offset, 1 | 1 << 7); // 8 KiB pages
    EXPECT_EQ(d.reg(csts_offset), 2u);
}

TEST_F(Nvme, ShutdownFlushes) {
    d.enable();
    d.reg(cc_offset, 1 | 1 << 14 | 6 << 16 | 4 << 20);
    EXPECT_EQ(d.reg(csts_offset), 1u | 2 << 2);
    EXPECT_EQ(d.image.flushes, 1u);
    d.reg(cc_offset, 0);
    EXPECT_EQ(d.reg(csts_offset), 0u);
}

TEST_F(Nvme, IdentifyController) {
    d.enable();
    EXPECT_EQ(d.admin_run({.opcode = identify, .prp1 = data, .dw10 = identify_controller}).status, success);
    const auto page = peek(data, 4096);
    EXPECT_EQ(std::string(page.begin() + 4, page.begin() + 24), "VITRINE00000001     ");
    EXPECT_EQ(page[77], 5);
    EXPECT_EQ(page[512], 0x66);
    EXPECT_EQ(d.board.read32(data + 516), 1u);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(page.data()) + 768),
              "nqn.2014-08.org.nvmexpress:uuid:76697472-696e-8000-8256-495400000001");
}

TEST_F(Nvme, IdentifyNamespaces) {
    d.enable();
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 1, .prp1 = data, .dw10 = identify_namespace}).status, success);
    EXPECT_EQ(d.board.read64(data), 2048u);
    EXPECT_EQ(d.board.read32(data + 128), 9u << 16);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 2, .prp1 = data, .dw10 = identify_namespace}).status,
              invalid_namespace);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 0, .prp1 = data, .dw10 = active_namespaces}).status, success);
    EXPECT_EQ(d.board.read64(data), 1u);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 1, .prp1 = data, .dw10 = active_namespaces}).status, success);
    EXPECT_EQ(d.board.read64(data), 0u);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 1, .prp1 = data, .dw10 = namespace_descriptors}).status,
              success);
    EXPECT_EQ(d.board.read32(data), 0x801u);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 1, .prp1 = data, .dw10 = 0x55}).status, invalid_field);
    EXPECT_EQ(d.admin_run({.opcode = identify, .nsid = 1, .prp1 = 0xffff'ffff'0000, .dw10 = 0}).status,
              data_transfer_error);
    EXPECT_EQ(d.admin_run({.opcode = 0x7f}).status, invalid_opcode);
}

TEST_F(Nvme, CompletionsComeAfterTheDelay) {
    d.enable();
    d.put(d.admin, {.opcode = identify, .cid = 9, .prp1 = data, .dw10 = identify_controller});
    d.ring(0, d.admin);
    Completion c;
    d.board.pass(9'999);
    EXPECT_FALSE(d.take(0, d.admin, c));
    d.board.pass(1);
    EXPECT_TRUE(d.take(0, d.admin, c));
    EXPECT_EQ(c.command, 9);
    EXPECT_EQ(c.head, 1);
    EXPECT_EQ(c.queue, 0);
}

TEST_F(Nvme, WriteReadAllShapes) {
    d.start();
    ASSERT_EQ(d.failures, 0u);
    fill(data, 4096, 3);
    EXPECT_EQ(rw(write, 2, 8, data).status, success);
    EXPECT_EQ(image(1024, 4096), peek(data, 4096));
    EXPECT_EQ(rw(read, 2, 8, data2 + 512, data2 + 4096).status, success);
    EXPECT_EQ(peek(data2 + 512, 4096), peek(data, 4096));
    // 128 KiB by a list, beginning inside a page.
    for (unsigned i = 0; i < 32; ++i)
        d.board.write64(list_page + 8 * i, data + 0x1000 * (32 - i));
    EXPECT_EQ(rw(read, 0, 256, data + 0x800, list_page).status, success);
    EXPECT_EQ(peek(data + 0x800, 2048), image(0, 2048));
    EXPECT_EQ(peek(data + 0x1000 * 32, 4096), image(2048, 4096));
    EXPECT_EQ(peek(data + 0x1000, 2048), image(largest_transfer - 2048, 2048));
    EXPECT_EQ(rw(read, 0, 257, data, list_page).status, invalid_field);
}

TEST_F(Nvme, Ranges) {
    d.start();
    EXPECT_EQ(rw(read, 2047, 1, data).status, success);
    EXPECT_EQ(rw(read, 2047, 2, data).status, lba_out_of_range);
    EXPECT_EQ(rw(read, 2048, 1, data).status, lba_out_of_range);
    EXPECT_EQ(rw(read, ~0ull, 1, data).status, lba_out_of_range);
    EXPECT_EQ(rw(read, ~0ull - 1, 8, data).status, lba_out_of_range);
    EXPECT_EQ(d.io_run({.opcode = read, .nsid = 2, .prp1 = data}).status, invalid_namespace);
    EXPECT_EQ(d.io_run({.opcode = read, .flags = 0x40, .nsid = 1, .prp1 = data}).status, invalid_field); // SGL
    EXPECT_EQ(d.io_run({.opcode = read, .flags = 1, .nsid = 1, .prp1 = data}).status, invalid_field);    // fused
    EXPECT_FALSE(d.io_run({.opcode = 0x99, .nsid = 1}).retry);
}

TEST_F(Nvme, OtherCommands) {
    d.start();
    fill(data, 4096, 1);
    EXPECT_EQ(rw(write, 0, 8, data).status, success);
    EXPECT_EQ(rw(compare, 0, 8, data).status, success);
    fill(data + 4000, 4, 0xee);
    EXPECT_EQ(rw(compare, 0, 8, data).status, compare_failure);
    EXPECT_EQ(rw(write_zeroes, 1, 2, 0).status, success);
    EXPECT_EQ(image(512, 1024), std::vector<u8>(1024));
    EXPECT_NE(image(0, 512), std::vector<u8>(512));
    EXPECT_EQ(rw(write_zeroes, 0, 2048, 0).status, success);
    EXPECT_EQ(rw(write_zeroes, 1, 2048, 0).status, lba_out_of_range);
    EXPECT_EQ(d.io_run({.opcode = flush, .nsid = broadcast_namespace}).status, success);
    EXPECT_EQ(d.image.flushes, 1u);
    EXPECT_EQ(rw(write, 0, 1, data, 0, 1u << 30).status, success); // FUA
    EXPECT_EQ(d.image.flushes, 2u);
    d.admin_run({.opcode = set_features, .dw10 = volatile_write_cache, .dw11 = 0});
    EXPECT_EQ(rw(write, 0, 1, data).status, success);
    EXPECT_EQ(d.image.flushes, 3u);
}

TEST_F(Nvme, Deallocate) {
    d.start();
    std::fill(d.image.data.begin(), d.image.data.end(), u8{7});
    const u64 ranges[4] = {4ull << 32, 1, 2ull << 32, 100};
    d.board.space->write(Physical{data}, std::span<const u8>(reinterpret_cast<const u8*>(ranges), 32),
                         Requester::from_cpu(0));
    EXPECT_EQ(d.io_run({.opcode = dataset_management, .nsid = 1, .prp1 = data, .dw10 = 1}).status, success);
    EXPECT_EQ(image(512, 1), std::vector<u8>{7}); // a hint only
    EXPECT_EQ(d.io_run({.opcode = dataset_management, .nsid = 1, .prp1 = data, .dw10 = 1, .dw11 = 4}).status, success);
    EXPECT_EQ(image(511, 1), std::vector<u8>{7});
    EXPECT_EQ(image(512, 2048), std::vector<u8>(2048));
    EXPECT_EQ(image(102 * 512 - 1, 2), (std::vector<u8>{0, 7}));
    // One range out of bounds: nothing is deallocated.
    d.board.write64(data + 24, 2047);
    d.board.write64(data + 8, 200);
    EXPECT_EQ(d.io_run({.opcode = dataset_management, .nsid = 1, .prp1 = data, .dw10 = 1, .dw11 = 4}).status,
              lba_out_of_range);
    EXPECT_EQ(image(200 * 512, 1), std::vector<u8>{7});
}

TEST_F(Nvme, ReadOnlyAndHostErrors) {
    d.start();
    d.image.protect = true;
    EXPECT_EQ(rw(write, 0, 1, data).status, namespace_write_protected);
    EXPECT_EQ(rw(write_zeroes, 0, 1, data).status, namespace_write_protected);
    d.admin_run({.opcode = identify, .nsid = 1, .prp1 = data, .dw10 = identify_namespace});
    EXPECT_EQ(peek(data + 99, 1)[0], 1);
    d.image.protect = false;
    d.image.fail = true;
    EXPECT_EQ(rw(read, 0, 1, data).status, unrecovered_read_error);
    EXPECT_EQ(rw(write, 0, 1, data).status, write_fault);
    EXPECT_EQ(d.board.glass.counter("nvme.host-failed"), 2u);
}

TEST_F(Nvme, QueueCreationIsChecked) {
    d.enable();
    const auto cq = [&](u32 dw10, u32 dw11, u64 prp = 0x50000) {
        return d.admin_run({.opcode = create_io_cq, .prp1 = prp, .dw10 = dw10, .dw11 = dw11}).status;
    };
    const auto sq = [&](u32 dw10, u32 dw11, u64 prp = 0x40000) {
        return d.admin_run({.opcode = create_io_sq, .prp1 = prp, .dw10 = dw10, .dw11 = dw11}).status;
    };
    EXPECT_EQ(cq(0x3f0000, 1), invalid_queue_identifier);
    EXPECT_EQ(cq(0x3f0041, 1), invalid_queue_identifier); // 65: one too many
    EXPECT_EQ(cq(0x000001, 1), invalid_queue_size);
    EXPECT_EQ(cq(0x4000001, 1), invalid_queue_size);
    EXPECT_EQ(cq(0x3f0001, 0), invalid_field);
    EXPECT_EQ(cq(0x3f0001, 1, 0x50010), invalid_prp_offset);
    EXPECT_EQ(cq(0x3f0001, 0x410003), invalid_interrupt_vector);
    EXPECT_EQ(sq(0x3f0001, 0x10001), completion_queue_invalid);
    EXPECT_EQ(cq(0x3f0001, 3), success);
    EXPECT_EQ(cq(0x3f0001, 3), invalid_queue_identifier);
    EXPECT_EQ(sq(0x3f0001, 1), completion_queue_invalid);
    EXPECT_EQ(sq(0x3f0040, 0x10001), success);
    EXPECT_EQ(sq(0x3f0040, 0x10001), invalid_queue_identifier);
    EXPECT_EQ(d.admin_run({.opcode = delete_io_cq, .dw10 = 1}).status, invalid_queue_deletion);
    EXPECT_EQ(d.admin_run({.opcode = delete_io_sq, .dw10 = 0}).status, invalid_queue_identifier);
    EXPECT_EQ(d.admin_run({.opcode = delete_io_sq, .dw10 = 0x40}).status, success);
    EXPECT_EQ(d.admin_run({.opcode = delete_io_cq, .dw10 = 1}).status, success);
    EXPECT_EQ(d.admin_run({.opcode = delete_io_cq, .dw10 = 1}).status, invalid_queue_identifier);
}

TEST_F(Nvme, Features) {
    d.enable();
    const auto get = [&](u32 id, u32 dw11 = 0) {
        return d.admin_run({.opcode = get_features, .dw10 = id, .dw11 = dw11});
    };
    const auto set = [&](u32 id, u32 dw11) { return d.admin_run({.opcode = set_features, .dw10 = id, .dw11 = dw11}); };
    EXPECT_EQ(set(number_of_queues, 3 | 3 << 16).dw0, 63u | 63 << 16);
    EXPECT_EQ(set(number_of_queues, 0xffff).status, invalid_field);
    EXPECT_EQ(get(number_of_queues).dw0, 63u | 63 << 16);
    EXPECT_EQ(get(volatile_write_cache).dw0, 1u);
    EXPECT_EQ(set(volatile_write_cache, 0xfffe).status, success);
    EXPECT_EQ(get(volatile_write_cache).dw0, 0u);
    EXPECT_EQ(get(volatile_write_cache | 1 << 8).dw0, 1u); // the default
    EXPECT_EQ(get(volatile_write_cache | 3 << 8).dw0, 4u);
    EXPECT_EQ(set(volatile_write_cache | 1u << 31, 1).status, feature_not_saveable);
    EXPECT_EQ(set(power_management, 1).status, invalid_field);
    EXPECT_EQ(set(interrupt_vector_configuration, 5 | 1 << 16).status, success);
    EXPECT_EQ(get(interrupt_vector_configuration, 5).dw0, 5u | 1 << 16);
    EXPECT_EQ(get(interrupt_vector_configuration, 65).status, invalid_field);
    EXPECT_EQ(get(0x0e).status, invalid_field);
    EXPECT_EQ(get(0xff).status, invalid_field);
    d.make_queue(1);
    EXPECT_EQ(set(number_of_queues, 3 | 3 << 16).status, command_sequence_error);
    d.reg(cc_offset, 0);
    d.enable();
    EXPECT_EQ(get(volatile_write_cache).dw0, 1u); // back at its default
}

TEST_F(Nvme, LogPages) {
    d.start();
    rw(read, 5000, 1, data);
    const auto log = [&](u32 page, u32 bytes, u64 offset = 0) {
        return d
            .admin_run({.opcode = get_log_page,
                        .nsid = broadcast_namespace,
                        .prp1 = data,
                        .dw10 = page | (bytes / 4 - 1) << 16,
                        .dw12 = static_cast<u32>(offset)})
            .status;
    };
    EXPECT_EQ(log(error_information, 64), success);
    EXPECT_EQ(d.board.read64(data), 1u);
    EXPECT_EQ(d.board.read32(data + 8) & 0xffff, 1u);
    EXPECT_EQ(d.board.read32(data + 12) & 0xffff, lba_out_of_range << 1);
    EXPECT_EQ(d.board.read64(data + 16), 5000u);
    rw(read, 0, 8, data);
    EXPECT_EQ(log(smart, 512), success);
    EXPECT_EQ(d.board.read64(data + 32), 1u);
    EXPECT_EQ(d.board.read64(data + 64), 1u);
    EXPECT_EQ(log(firmware_slot, 512), success);
    EXPECT_EQ(peek(data, 1)[0], 1);
    EXPECT_EQ(log(commands_supported, 4096), success);
    EXPECT_EQ(d.board.read32(data + 4 * identify), 1u);
    EXPECT_EQ(d.board.read32(data + 4 * 0x80), 0u);
    EXPECT_EQ(d.board.read32(data + 1024 + 4 * write), 3u);
    EXPECT_EQ(log(commands_supported, 64, 1024), success);
    EXPECT_EQ(d.board.read32(data + 4 * write), 3u);
    EXPECT_EQ(log(0x70, 64), invalid_log_page);
    EXPECT_EQ(log(smart, 512, 516), invalid_field);
    EXPECT_EQ(d.admin_run({.opcode = get_log_page, .prp1 = data, .dw10 = smart | 0xffffu << 16, .dw11 = 0xffff}).status,
              invalid_field);
}

TEST_F(Nvme, EventsForWrongDoorbells) {
    d.start();
    Completion c;
    const auto await = [&](u16 id) {
        d.put(d.admin, {.opcode = asynchronous_event_request, .cid = id});
        d.ring(0, d.admin);
        d.board.pass(10'000);
    };
    await(100);
    await(101);
    EXPECT_FALSE(d.take(0, d.admin, c));
    d.reg(doorbells + 8 * 7, 1); // no such queue
    ASSERT_TRUE(d.take(0, d.admin, c));
    EXPECT_EQ(c.command, 100);
    EXPECT_EQ(c.dw0, 0u | 0 << 8 | 1 << 16);
    d.reg(doorbells + 8 + 4, 63); // beyond the tail; masked until the log is read
    EXPECT_FALSE(d.take(0, d.admin, c));
    EXPECT_EQ(d.admin_run({.opcode = get_log_page, .prp1 = data, .dw10 = error_information | 15 << 16}).status,
              success);
    ASSERT_TRUE(d.take(0, d.admin, c));
    EXPECT_EQ(c.command, 101);
    EXPECT_EQ(c.dw0, 0u | 1 << 8 | 1 << 16);
    d.reg(doorbells + 8, 64); // not less than the size
    d.reg(doorbells + 8 * 511 + 4, 0);
    EXPECT_EQ(d.reg(csts_offset), 1u);
    // Four may wait, a fifth may not; one can be aborted.
    for (u16 id = 200; id < 205; ++id)
        await(id);
    ASSERT_TRUE(d.take(0, d.admin, c)); // the error log was not read since
    EXPECT_EQ(c.command, 204);
    EXPECT_EQ(c.status, asynchronous_event_limit_exceeded);
    EXPECT_EQ(d.admin_run({.opcode = abort, .dw10 = 201u << 16}).status, 0xfffe); // the aborted one comes first
    ASSERT_TRUE(d.take(0, d.admin, c));
    EXPECT_EQ(c.dw0, 0u);
    EXPECT_EQ(d.admin_run({.opcode = abort, .dw10 = 999u << 16}).dw0, 1u);
}

TEST_F(Nvme, TemperatureEvent) {
    d.enable();
    d.admin_run({.opcode = set_features, .dw10 = asynchronous_event_configuration, .dw11 = 2});
    d.put(d.admin, {.opcode = asynchronous_event_request, .cid = 77});
    d.ring(0, d.admin);
    d.board.pass(10'000);
    EXPECT_EQ(d.admin_run({.opcode = set_features, .dw10 = temperature_threshold, .dw11 = 300}).status, success);
    Completion c;
    ASSERT_TRUE(d.take(0, d.admin, c));
    EXPECT_EQ(c.command, 77);
    EXPECT_EQ(c.dw0, 1u | 1 << 8 | 2 << 16);
}

TEST_F(Nvme, FullCompletionQueueWaits) {
    d.enable();
    d.io = d.make_queue(1, 4);
    // A submission queue larger than its completion queue.
    EXPECT_EQ(d.admin_run({.opcode = create_io_sq, .prp1 = 0x90000, .dw10 = 2 | 15 << 16, .dw11 = 1 | 1 << 16}).status,
              success);
    Driver::Queue wide{0x90000, d.io.completion, 16};
    for (u16 i = 0; i < 10; ++i)
        d.put(wide, {.opcode = flush, .cid = i, .nsid = 1});
    d.ring(2, wide);
    d.board.pass(1'000'000);
    Completion c;
    unsigned seen = 0;
    for (unsigned round = 0; round < 20; ++round) {
        while (d.take(1, d.io, c)) {
            EXPECT_EQ(c.command, seen++);
            EXPECT_EQ(c.queue, 2);
            EXPECT_TRUE(round > 0 || seen <= 3);
        }
        d.board.pass(10'000);
    }
    EXPECT_EQ(seen, 10u);
    EXPECT_EQ(d.image.flushes, 10u);
}

TEST_F(Nvme, WorkPerFiringIsBounded) {
    d.enable();
    d.io = d.make_queue(1, 1024);
    for (u16 i = 0; i < 200; ++i)
        d.put(d.io, {.opcode = flush, .cid = i, .nsid = 1});
    d.ring(1, d.io);
    d.board.pass(10'000);
    EXPECT_EQ(d.image.flushes, Controller::burst);
    d.board.pass(30'000);
    EXPECT_EQ(d.image.flushes, 200u);
}

TEST_F(Nvme, MsixPerQueue) {
    d.vectors(4);
    d.enable();
    d.io = d.make_queue(1, 64, 3);
    const std::size_t before = d.board.msi.entries.size();
    EXPECT_GE(before, 2u);
    for (u16 i = 0; i < 3; ++i)
        d.put(d.io, {.opcode = flush, .cid = i, .nsid = 1});
    d.ring(1, d.io);
    d.board.pass(10'000);
    ASSERT_EQ(d.board.msi.entries.size(), before + 1); // one for the batch
    EXPECT_EQ(d.board.msi.entries.back().data, 0x43u);
    EXPECT_EQ(d.board.msi.entries.back().requester, 4u << 3);
    EXPECT_TRUE(d.board.pirqs.empty());
}

TEST_F(Nvme, PinWhileEntriesWait) {
    d.enable();
    d.put(d.admin, {.opcode = abort, .cid = 1});
    d.ring(0, d.admin);
    d.board.pass(10'000);
    EXPECT_TRUE(d.disk.intx_asserted());
    d.reg(intms_offset, 1);
    EXPECT_FALSE(d.disk.intx_asserted());
    EXPECT_EQ(d.reg(intmc_offset), 1u);
    d.reg(intmc_offset, 1);
    EXPECT_TRUE(d.disk.intx_asserted());
    Completion c;
    EXPECT_TRUE(d.take(0, d.admin, c));
    EXPECT_FALSE(d.disk.intx_asserted());
}

TEST_F(Nvme, MemoryOutOfReachIsFatal) {
    d.enable();
    d.disk.config_write(pci::command_offset, 2, 2); // no bus mastering
    d.put(d.admin, {.opcode = abort});
    d.ring(0, d.admin);
    d.board.pass(10'000);
    EXPECT_EQ(d.reg(csts_offset), 3u);
    d.ring(0, d.admin);
    d.board.pass(100'000);
    d.reg(cc_offset, 0);
    d.disk.config_write(pci::command_offset, 2, 6);
    d.start();
    EXPECT_EQ(d.failures, 0u);
}

TEST_F(Nvme, DmaIntoItsOwnRegistersIsRefused) {
    d.start();
    fill(data, 4096, 0);
    rw(write, 0, 8, data);
    EXPECT_EQ(rw(read, 0, 8, Driver::registers).status, data_transfer_error);
    EXPECT_EQ(d.reg(csts_offset), 1u);
    EXPECT_GE(d.board.glass.counter("dma.own-registers"), 1u);
}

TEST_F(Nvme, FunctionLevelReset) {
    d.start();
    d.put(d.io, {.opcode = flush, .nsid = 1});
    d.ring(1, d.io);
    d.disk.config_write(0x68, 2, 0x8000);
    d.board.pass(100'000);
    EXPECT_EQ(d.image.flushes, 0u);
    d.map();
    EXPECT_EQ(d.reg(csts_offset), 0u);
    EXPECT_EQ(d.reg(cc_offset), 0u);
    EXPECT_EQ(d.reg(aqa_offset), 0u);
    d.start();
    EXPECT_EQ(d.failures, 0u);
    EXPECT_EQ(d.admin_run({.opcode = get_log_page, .prp1 = data, .dw10 = smart | 127 << 16}).status, success);
    EXPECT_EQ(d.board.read64(data + 144), 1u); // unsafe shutdowns
}

TEST_F(Nvme, StateRoundTripInTheMiddleOfWork) {
    d.start();
    d.vectors(2);
    d.put(d.admin, {.opcode = asynchronous_event_request, .cid = 50});
    d.ring(0, d.admin);
    d.board.pass(10'000);
    rw(read, 4000, 1, data); // leaves an error
    d.put(d.io, {.opcode = read, .cid = 60, .nsid = 1, .prp1 = data, .dw12 = 7});
    d.ring(1, d.io);
    d.board.pass(4'000);
    const std::vector<u8> saved = pci::save(d.disk);

    Driver e;
    e.image.data.assign(e.image.data.size(), 0x99);
    e.board.clock.advance_to(d.board.clock.now());
    e.board.space->write(Physical{0x10000}, peek(0x10000, 0x200000), Requester::from_cpu(0));
    EXPECT_EQ(pci::load(e.disk, saved), "");
    EXPECT_EQ(pci::save(e.disk), saved);
    e.admin = d.admin;
    e.io = d.io;
    e.board.pass(5'999);
    Completion c;
    EXPECT_FALSE(e.take(1, e.io, c));
    e.board.pass(1);
    ASSERT_TRUE(e.take(1, e.io, c));
    EXPECT_EQ(c.command, 60);
    EXPECT_EQ(e.board.read32(data), 0x99999999u);
    e.reg(doorbells + 8 * 60, 1);
    ASSERT_TRUE(e.take(0, e.admin, c));
    EXPECT_EQ(c.command, 50);
}

TEST_F(Nvme, ImpossibleStateIsRefused) {
    d.start();
    const std::vector<u8> saved = pci::save(d.disk);
    unsigned refused = 0;
    for (std::size_t i = 4096; i < saved.size(); i += 11) {
        std::vector<u8> bad = saved;
        bad[i] = 0xff;
        Driver e;
        refused += !pci::load(e.disk, bad).empty();
        for (unsigned q = 0; q < 3; ++q) {
            e.reg(doorbells + 8 * q, 1);
            e.reg(doorbells + 8 * q + 4, 1);
        }
        e.board.pass(100'000);
        e.reg(cc_offset, 0);
    }
    EXPECT_GT(refused, 10u);
}

} // namespace vitrine::nvme
