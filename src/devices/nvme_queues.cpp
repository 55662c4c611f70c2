// SPDX-License-Identifier: Apache-2.0
// NVMe queues: doorbells, the timer that follows them, fetching, completing, interrupts, asynchronous events.
#include "devices/nvme.h"

#include "pci/msix.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vitrine::nvme {

namespace {

constexpr std::size_t most_events = 16, most_errors = 16;

template <class T>
T take(const u8* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

} // namespace

void Controller::doorbell(u64 offset, u32 value) {
    if (!running()) {
        glass().odd(Topic::devices, "nvme.doorbell-while-not-running", {{"controller", name()}, {"offset", offset}});
        return;
    }
    const unsigned queue = static_cast<unsigned>((offset - doorbells) / 8);
    if (offset & 4)
        completion_doorbell(queue, value);
    else
        submission_doorbell(queue, value);
}

void Controller::submission_doorbell(unsigned queue, u32 value) {
    if (queue >= sqs_.size() || !sqs_[queue].valid) {
        glass().odd(Topic::devices, "nvme.invalid-doorbell", {{"queue", queue}, {"value", value}});
        return event(EventType::error, event_invalid_doorbell_register, error_information);
    }
    SubmissionQueue& sq = sqs_[queue];
    if (value >= sq.size) {
        glass().odd(Topic::devices, "nvme.invalid-doorbell-value", {{"queue", queue}, {"value", value}});
        return event(EventType::error, event_invalid_doorbell_value, error_information);
    }
    sq.tail = value;
    schedule(sq);
}

void Controller::completion_doorbell(unsigned queue, u32 value) {
    if (queue >= cqs_.size() || !cqs_[queue].valid) {
        glass().odd(Topic::devices, "nvme.invalid-doorbell", {{"completion queue", queue}, {"value", value}});
        return event(EventType::error, event_invalid_doorbell_register, error_information);
    }
    CompletionQueue& cq = cqs_[queue];
    // The new head lies between the old one and the tail.
    const u32 waiting = (cq.tail + cq.size - cq.head) % cq.size;
    if (value >= cq.size || (value + cq.size - cq.head) % cq.size > waiting) {
        glass().odd(Topic::devices, "nvme.invalid-doorbell-value", {{"completion queue", queue}, {"value", value}});
        return event(EventType::error, event_invalid_doorbell_value, error_information);
    }
    const bool was_full = cq.full();
    cq.head = value;
    if (was_full && !cq.full()) {
        for (SubmissionQueue& sq : sqs_)
            if (sq.valid && sq.cq == queue)
                schedule(sq);
        if (queue == 0) {
            deliver_events();
            raise_interrupts();
        }
    }
    update_pin();
}

void Controller::schedule(SubmissionQueue& sq) {
    if (sq.head != sq.tail && sq.due == never) {
        sq.due = clock_.now() + options_.delay;
        rearm();
    }
}

void Controller::rearm() {
    u64 due = never;
    for (const SubmissionQueue& sq : sqs_)
        due = std::min(due, sq.due);
    timer_.arm(due);
}

void Controller::work() {
    const u64 now = clock_.now();
    // Round robin, one command of each queue at a time, up to `burst` in all.
    unsigned budget = burst;
    for (unsigned idle = 0; budget && running() && idle < sqs_.size();) {
        SubmissionQueue& sq = sqs_[next_sq_];
        const unsigned queue = next_sq_;
        next_sq_ = next_sq_ + 1 < sqs_.size() ? next_sq_ + 1 : 0;
        if (sq.due > now) {
            ++idle;
        } else if (run_one(queue)) {
            --budget;
            idle = 0;
        } else {
            sq.due = never;
            ++idle;
        }
    }
    if (!running())
        return;
    for (SubmissionQueue& sq : sqs_)
        if (sq.due <= now)
            sq.due = sq.head == sq.tail ? never : now + options_.delay;
    raise_interrupts();
    rearm();
}

bool Controller::run_one(unsigned queue) {
    SubmissionQueue& sq = sqs_[queue];
    if (!sq.valid || sq.head == sq.tail || cqs_[sq.cq].full())
        return false; // a full completion queue's doorbell goes on with it
    Command c;
    if (!fetch(sq, c))
        return false;
    const auto rows = queue == 0 ? admin_commands() : nvm_commands();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const CommandRow& r) { return r.opcode == c.opcode; });
    Reply reply(invalid_opcode);
    if (row != rows.end()) {
        glass().tell(Topic::devices, row->name,
                     {{"controller", name()}, {"queue", queue}, {"cid", c.cid}, {"dw10", c.dw10}, {"dw12", c.dw12}});
        // No fused commands, no SGLs.
        reply = c.flags & 0xc3 ? Reply(invalid_field) : (this->*row->run)(c);
    }
    if (reply.status != success) {
        glass().tell(Topic::devices, "nvme.error",
                     {{"controller", name()}, {"queue", queue}, {"opcode", c.opcode}, {"status", reply.status}});
        errors_.push_front({.count = ++error_count_,
                            .lba = c.dw10 | static_cast<u64>(c.dw11) << 32,
                            .queue = static_cast<u16>(queue),
                            .command = c.cid,
                            .status = reply.status,
                            .location = reply.location,
                            .nsid = c.nsid});
        if (errors_.size() > most_errors)
            errors_.pop_back();
    }
    if (!reply.outstanding && running())
        complete(queue, c.cid, reply);
    if (queue == 0)
        deliver_events();
    return true;
}

bool Controller::fetch(SubmissionQueue& sq, Command& c) {
    std::array<u8, sqe_size> raw;
    if (!dma_read(DeviceAddress{sq.base + static_cast<u64>(sq.head) * sqe_size}, raw)) {
        fatal("a submission queue entry cannot be read");
        return false;
    }
    sq.head = (sq.head + 1) % sq.size;
    const u8* p = raw.data();
    c = {.opcode = p[0],
         .flags = p[1],
         .cid = take<u16>(p + 2),
         .nsid = take<u32>(p + 4),
         .prp1 = take<u64>(p + 24),
         .prp2 = take<u64>(p + 32),
         .dw10 = take<u32>(p + 40),
         .dw11 = take<u32>(p + 44),
         .dw12 = take<u32>(p + 48),
         .dw13 = take<u32>(p + 52),
         .dw14 = take<u32>(p + 56),
         .dw15 = take<u32>(p + 60)};
    return true;
}

void Controller::complete(unsigned queue, u16 command, const Reply& reply) {
    const SubmissionQueue& sq = sqs_[queue];
    CompletionQueue& cq = cqs_[sq.cq];
    u16 status = reply.status;
    // Only what the host may have caused is worth another try.
    if (status != success && status != abort_requested && status < 0x200)
        status |= do_not_retry;
    const u16 last = static_cast<u16>(status << 1 | cq.phase);
    const u32 dwords[4] = {reply.dw0, 0, sq.head | queue << 16, command | static_cast<u32>(last) << 16};
    std::array<u8, cqe_size> raw;
    std::memcpy(raw.data(), dwords, cqe_size);
    if (!dma_write(DeviceAddress{cq.base + static_cast<u64>(cq.tail) * cqe_size}, raw))
        return fatal("a completion queue entry cannot be written");
    cq.posted = true;
    if (++cq.tail == cq.size) {
        cq.tail = 0;
        cq.phase = !cq.phase;
    }
}

void Controller::raise_interrupts() {
    for (CompletionQueue& cq : cqs_) {
        if (!cq.posted)
            continue;
        cq.posted = false;
        if (cq.interrupts)
            msix()->trigger(cq.vector);
    }
    update_pin();
}

void Controller::update_pin() {
    // Without MSI-X every queue shares the pin, and INTMS bit 0 masks it.
    bool level = false;
    if (!msix()->enabled() && !(regs_.value(intms_offset) & 1))
        for (const CompletionQueue& cq : cqs_)
            level |= cq.valid && cq.interrupts && cq.head != cq.tail;
    set_intx(level);
}

void Controller::note(EventType type, u8 information, u8 page) {
    if (events_.size() < most_events)
        events_.push_back({type, information, page});
}

void Controller::event(EventType type, u8 information, u8 page) {
    note(type, information, page);
    deliver_events();
    raise_interrupts();
}

void Controller::deliver_events() {
    for (std::size_t i = 0; i < events_.size() && !awaiting_.empty() && running() && !cqs_[0].full();) {
        const Event e = events_[i];
        const u8 type_bit = static_cast<u8>(1 << static_cast<u8>(e.type));
        if (masked_events_ & type_bit) {
            ++i;
            continue;
        }
        events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(i));
        masked_events_ |= type_bit; // until its log page is read
        const u16 command = awaiting_.front();
        awaiting_.erase(awaiting_.begin());
        complete(0, command,
                 Reply(static_cast<u32>(e.type) | static_cast<u32>(e.information) << 8 | static_cast<u32>(e.page) << 16,
                       nullptr));
    }
}

} // namespace vitrine::nvme
