// SPDX-License-Identifier: Apache-2.0
// For tests of the NVMe controller: an image in memory, and a small driver that does what a real one does.
#pragma once

#include "devices/nvme.h"
#include "pci/msix.h"
#include "pci/test_board.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace vitrine::nvme {

struct MemoryImage : BlockImage {
    explicit MemoryImage(u64 size) : data(size) {}

    u64 size() const override { return data.size(); }

    bool read_only() const override { return protect; }

    Expected<> read(u64 offset, std::span<u8> to) override {
        if (fail)
            return Error("the host is out of order");
        std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
        return {};
    }

    Expected<> write(u64 offset, std::span<const u8> from) override {
        if (fail)
            return Error("the host is out of order");
        std::copy(from.begin(), from.end(), data.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }

    Expected<> discard(u64 offset, u64 length) override {
        std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(offset), length, u8{0});
        return {};
    }

    Expected<> flush() override {
        ++flushes;
        return {};
    }

    std::vector<u8> data;
    bool protect = false, fail = false;
    unsigned flushes = 0;
};

/// What a completion queue entry says.
struct Completion {
    u32 dw0 = 0;
    u16 head = 0, queue = 0, command = 0, status = 0; ///< status without phase, M and DNR
    bool retry = true;
};

struct Driver {
    static constexpr u64 registers = 0xc000'0000;

    explicit Driver(Options options = {}, u64 image_size = 1_MiB, u64 ram = 4_MiB)
        : board(ram), image(image_size), disk(board.platform, board.clock, image, options) {
        board.root.bus().attach(disk, 4);
        map();
    }

    void map() {
        disk.config_write(pci::bar0, 4, registers);
        disk.config_write(pci::command_offset, 2, 6);
    }

    u32 reg(u64 offset) { return board.read32(registers + offset); }

    void reg(u64 offset, u32 value) { board.write32(registers + offset, value); }

    void vectors(unsigned count) {
        for (unsigned n = 0; n < count; ++n) {
            board.write64(registers + 0x2000 + 16 * n, 0xfee0'0000);
            board.write64(registers + 0x2008 + 16 * n, 0x40 + n);
        }
        disk.config_write(0x52, 2, 0x8000);
    }

    struct Queue {
        u64 submission, completion;
        u32 size, tail = 0, head = 0;
        bool phase = true;
    };

    void enable(u32 entries = 8) {
        admin = {0x10000, 0x20000, entries};
        clear(admin);
        reg(aqa_offset, (entries - 1) | (entries - 1) << 16);
        board.write64(registers + asq_offset, admin.submission);
        board.write64(registers + acq_offset, admin.completion);
        reg(cc_offset, 1 | 6 << 16 | 4 << 20);
    }

    void clear(const Queue& q) {
        const std::vector<u8> zeros(q.size * cqe_size);
        board.space->write(Physical{q.completion}, zeros, Requester::from_cpu(0));
    }

    /// Writes a command into a queue without ringing.
    void put(Queue& q, Command c) {
        u8 raw[sqe_size]{};
        raw[0] = c.opcode;
        raw[1] = c.flags;
        std::memcpy(raw + 2, &c.cid, 2);
        std::memcpy(raw + 4, &c.nsid, 4);
        std::memcpy(raw + 24, &c.prp1, 8);
        std::memcpy(raw + 32, &c.prp2, 8);
        const u32 dwords[6] = {c.dw10, c.dw11, c.dw12, c.dw13, c.dw14, c.dw15};
        std::memcpy(raw + 40, dwords, 24);
        board.space->write(Physical{q.submission + q.tail * sqe_size}, raw, Requester::from_cpu(0));
        q.tail = (q.tail + 1) % q.size;
    }

    void ring(unsigned id, const Queue& q) { reg(doorbells + 8 * id, q.tail); }

    /// Takes a completion if there is a new one, and says so to the controller.
    bool take(unsigned id, Queue& q, Completion& c) {
        u32 d[4];
        for (unsigned i = 0; i < 4; ++i)
            d[i] = board.read32(q.completion + q.head * cqe_size + 4 * i);
        if ((d[3] >> 16 & 1) != q.phase)
            return false;
        c = {d[0],
             static_cast<u16>(d[2]),
             static_cast<u16>(d[2] >> 16),
             static_cast<u16>(d[3]),
             static_cast<u16>(d[3] >> 17 & 0x7ff),
             !(d[3] >> 31)};
        if (++q.head == q.size) {
            q.head = 0;
            q.phase = !q.phase;
        }
        reg(doorbells + 8 * id + 4, q.head);
        return true;
    }

    /// One command from beginning to end.
    Completion run(unsigned id, Queue& q, Command c) {
        c.cid = next_id++;
        put(q, c);
        ring(id, q);
        board.pass(Options{}.delay);
        Completion done{.status = 0xffff};
        if (take(id, q, done) && done.command != c.cid)
            done.status = 0xfffe;
        return done;
    }

    Completion admin_run(const Command& c) { return run(0, admin, c); }

    Completion io_run(const Command& c) { return run(1, io, c); }

    /// Makes I/O queue pair `id` with its own memory.
    Queue make_queue(unsigned id, u32 entries = 64, u16 vector = 0) {
        Queue q{0x40000 + id * 0x20000ull, 0x50000 + id * 0x20000ull, entries};
        clear(q);
        status(admin_run({.opcode = create_io_cq,
                          .prp1 = q.completion,
                          .dw10 = id | (entries - 1) << 16,
                          .dw11 = 3u | vector << 16}));
        status(admin_run(
            {.opcode = create_io_sq, .prp1 = q.submission, .dw10 = id | (entries - 1) << 16, .dw11 = 1u | id << 16}));
        return q;
    }

    void start() {
        enable();
        io = make_queue(1);
    }

    void status(const Completion& c) { failures += c.status != success; }

    pci::TestBoard board;
    MemoryImage image;
    Controller disk;
    Queue admin{}, io{};
    u16 next_id = 1;
    unsigned failures = 0;
};

} // namespace vitrine::nvme
