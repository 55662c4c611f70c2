// SPDX-License-Identifier: Apache-2.0
// Following frames. Each step is an event of the glass that names the same adapter, queue, function, requester,
// descriptor or vector as the last.
#include "report/journeys.h"

#include "report/tables.h"
#include "vtd/spec/structures.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::report {

namespace {

constexpr std::size_t dma_kept = 64;
constexpr u64 descriptor_bytes = 16;

std::string requester_text(u64 id) {
    return fmt::format("{:02x}:{:02x}.{}", id >> 8, id >> 3 & 31, id & 7);
}

} // namespace

void Journeys::step(Flight& f, const Told& t, Lane lane, std::string what, std::string detail, bool inferred) {
    f.last = t.place.time;
    if (f.journey.steps.size() < most_steps)
        f.journey.steps.push_back(
            {lane, t.place.time, t.place.instructions, t.place.cpu, std::move(what), std::move(detail), inferred});
}

/// `act` may end the flight.
template <class Wish, class Do>
void Journeys::each(Waits waits, Wish wish, Do act) {
    for (auto f = under_way_.begin(); f != under_way_.end();) {
        Flight& flight = *f++;
        if (flight.waits == waits && wish(flight))
            act(flight);
    }
}

void Journeys::end(Flight& f, JourneyEnd how) {
    f.journey.end = how;
    for (auto& [adapter, list] : arrivals_)
        for (Arrival& a : list)
            if (a.flight == &f)
                a.flight = nullptr;
    unsigned& of_a_kind = kept_of_[{f.journey.adapter, f.journey.pool, how}];
    if (of_a_kind < kept_of_a_kind && kept_.size() < most_kept) {
        ++of_a_kind;
        kept_.push_back(std::move(f.journey));
    }
    under_way_.remove_if([&](const Flight& other) { return &other == &f; });
}

/// What has waited too long has come as far as it will.
void Journeys::expire(u64 now) {
    if (now < next_expiry_)
        return;
    next_expiry_ = now + patience / 16;
    for (auto f = under_way_.begin(); f != under_way_.end();) {
        Flight& flight = *f++;
        if (flight.waits == Waits::store || now - flight.last < patience)
            continue; // a ring may be full for long
        end(flight, flight.waits == Waits::injection ? JourneyEnd::processor : JourneyEnd::polled);
    }
}

// ---- the adapter
// ------------------------------------------------------------------------------------------------------------

void Journeys::arrived(const Told& t, bool looped) {
    ++frames_;
    expire(t.place.time);
    const std::string adapter(t.text("adapter"));
    const unsigned pool = static_cast<unsigned>(t.number("pool"));
    Arrival a{nullptr, pool, t.number("queue")};
    u64& followed = followed_[{adapter, pool}];
    if (followed < followed_of_a_pool && under_way_.size() < most_under_way && kept_.size() < most_kept) {
        ++followed;
        Flight& f = under_way_.emplace_back();
        f.journey.number = static_cast<unsigned>(frames_);
        f.journey.adapter = adapter;
        f.journey.frame = t.text("frame");
        f.journey.pool = pool;
        f.journey.queue = static_cast<unsigned>(a.queue);
        f.arrival = dma_number_;
        step(f, t, Lane::wire, looped ? "sent by another pool of the port" : "comes from the wire", f.journey.frame);
        step(f, t, Lane::filter, fmt::format("filter: {}", t.text("why")),
             fmt::format("pool {}, queue {}", pool, a.queue));
        a.flight = &f;
    }
    auto& list = arrivals_[adapter];
    list.push_back(a);
    if (list.size() <= most_arrivals)
        return;
    // No packet buffer holds so many: they went with resets of the function.
    const Arrival old = list.front();
    list.pop_front();
    if (old.flight)
        end(*old.flight, JourneyEnd::lost);
}

/// Told to come, and then there was no room.
void Journeys::missed(const Told& t) {
    auto& list = arrivals_[std::string(t.text("adapter"))];
    if (list.empty())
        return;
    const Arrival a = list.back();
    list.pop_back();
    if (a.flight) {
        step(*a.flight, t, Lane::ring, "lost: the packet buffer is full");
        end(*a.flight, JourneyEnd::lost);
    }
}

/// The arrival that this is about. They are told in the order in which they came; those before it went with a reset.
Journeys::Arrival Journeys::take(const Told& t) {
    auto& list = arrivals_[std::string(t.text("adapter"))];
    while (!list.empty()) {
        const Arrival a = list.front();
        list.pop_front();
        if (a.pool == t.number("pool") && a.queue == t.number("queue"))
            return a;
        if (a.flight)
            end(*a.flight, JourneyEnd::lost);
    }
    return {};
}

void Journeys::lost(const Told& t) {
    const Arrival a = take(t);
    if (!a.flight)
        return;
    step(*a.flight, t, Lane::ring, "lost: the queue is off, or has no descriptor for it");
    end(*a.flight, JourneyEnd::lost);
}

void Journeys::stored(const Told& t) {
    const Arrival a = take(t);
    if (!a.flight)
        return;
    Flight& f = *a.flight;
    f.requester = t.number("requester");
    f.journey.function = t.text("function");
    const u64 place = t.number("address");
    u64 descriptor = ~0ull;
    for (const Dma& d : dma_) {
        if (d.number <= f.arrival || d.requester != f.requester)
            continue;
        const bool back = d.write && d.address == descriptor && d.size == descriptor_bytes;
        if (!d.write)
            descriptor = d.address;
        if (!f.journey.guest && d.write && !back && d.address != d.physical)
            f.journey.guest = guests_.owner(probe_, d.address, d.physical);
        const char* what = !d.write ? "descriptor fetched" : back ? "descriptor written back" : "frame written";
        if (f.journey.steps.size() < most_steps)
            f.journey.steps.push_back({Lane::dma, d.time, d.instructions, d.cpu, what,
                                       fmt::format("domain {}: device address {:#x} is physical {:#x}, {} bytes",
                                                   d.domain, d.address, d.physical, d.size),
                                       false});
    }
    std::string whose = f.journey.guest ? fmt::format("; the memory is VM {}'s", f.journey.guest) : "";
    step(f, t, Lane::ring, fmt::format("in the ring of {}", f.journey.function),
         fmt::format("requester {}, descriptor {}, buffer at device address {:#x}{}", requester_text(f.requester),
                     t.number("descriptor"), place, whose));
    f.waits = Waits::cause;
}

void Journeys::cause(const Told& t) {
    if (t.text("of") != "reception")
        return;
    each(
        Waits::cause,
        [&](const Flight& f) { return f.journey.adapter == t.text("adapter") && f.journey.queue == t.number("queue"); },
        [&](Flight& f) {
            f.message_vector = t.number("vector");
            f.waits = Waits::send;
        });
}

void Journeys::interrupt(const Told& t) {
    each(
        Waits::send,
        [&](const Flight& f) {
            return f.journey.function == t.text("function") && f.message_vector == t.number("vector");
        },
        [&](Flight& f) {
            step(f, t, Lane::interrupt, fmt::format("MSI-X message {} of {}", f.message_vector, f.journey.function),
                 fmt::format("{} after the frame was in its ring", time_text(t.place.time - f.last)));
            f.waits = Waits::message;
        });
}

void Journeys::reset(const Told& t) {
    auto& list = arrivals_[std::string(t.text("adapter"))];
    while (!list.empty()) {
        const Arrival a = list.front();
        list.pop_front();
        if (a.flight)
            end(*a.flight, JourneyEnd::lost);
    }
}

// ---- remapping
// --------------------------------------------------------------------------------------------------------------

void Journeys::dma(const Told& t) {
    if (under_way_.empty())
        return;
    if (dma_.size() == dma_kept)
        dma_.pop_front();
    dma_.push_back({++dma_number_, t.number("requester"), t.number("domain"), t.number("address"), t.number("physical"),
                    t.number("size"), t.place.time, t.place.instructions, t.place.cpu, t.text("access") == "write"});
}

void Journeys::remapped(const Told& t) {
    message_requester_ = t.number("requester");
    const u64 low = t.number("low"), index = t.number("index");
    if (vtd::remapped_low.posted(low))
        return; // posted() follows
    each(
        Waits::message, [&](const Flight& f) { return f.requester == message_requester_; },
        [&](Flight& f) {
            f.vector = vtd::remapped_low.vector(low);
            step(f, t, Lane::interrupt, fmt::format("remapped: entry {}", index),
                 fmt::format("vector {:#x} for APIC {:#x}", f.vector,
                             static_cast<u64>(vtd::remapped_low.destination(low))));
            f.waits = Waits::processor;
        });
}

void Journeys::posted(const Told& t) {
    each(
        Waits::message, [&](const Flight& f) { return f.requester == message_requester_; },
        [&](Flight& f) {
            f.descriptor = t.number("descriptor");
            f.vector = t.number("vector");
            step(f, t, Lane::interrupt, fmt::format("posted: virtual vector {:#x}", f.vector),
                 fmt::format("descriptor {:#x}, {}", f.descriptor,
                             t.number("notification")
                                 ? fmt::format("notification vector {:#x}",
                                               static_cast<u64>(vtd::descriptor_control.vector(t.number("control"))))
                                 : std::string("without a notification: one is outstanding, or suppressed")));
            f.waits = Waits::guest;
        });
}

void Journeys::plain_message(const Told& t) {
    each(
        Waits::message, [&](const Flight& f) { return f.requester == t.number("requester"); },
        [&](Flight& f) {
            f.vector = t.number("data") & 0xff;
            step(f, t, Lane::interrupt, fmt::format("vector {:#x}", f.vector),
                 "delivered as it was sent: interrupts are not remapped");
            f.waits = Waits::processor;
        });
}

// ---- processors
// -------------------------------------------------------------------------------------------------------------

void Journeys::acknowledged(const Told& t, const ProcessorView& view) {
    each(
        Waits::processor, [&](const Flight& f) { return f.vector == t.number("vector"); },
        [&](Flight& f) {
            step(f, t, Lane::vmm, fmt::format("CPU{} takes vector {:#x}", t.number("cpu"), f.vector),
                 view.non_root ? "VM exit: external interrupt"
                 : view.root   ? "in VMX root operation"
                               : "outside VMX operation");
            f.waits = Waits::injection;
            if (!f.journey.guest)
                end(f, JourneyEnd::processor);
        });
}

/// The processor that runs the guest has taken the notification.
void Journeys::notified(const Told& t) {
    each(
        Waits::guest, [&](const Flight& f) { return f.descriptor == t.number("descriptor"); },
        [&](Flight& f) {
            step(f, t, Lane::guest, fmt::format("CPU{} processes the descriptor", t.number("cpu")),
                 "the guest runs on: no VM exit");
        });
}

void Journeys::delivered(const Told& t) {
    const u64 descriptor = guests_.descriptor_of(t.number("vmcs")), vector = t.number("vector");
    GuestRecord* guest = guests_.by_vmcs(t.number("vmcs"));
    const unsigned number = guest ? guest->sums.number : 0;
    const std::string what = fmt::format("VM {} takes virtual interrupt {:#x}", number, vector);
    each(
        Waits::guest, [&](const Flight& f) { return f.descriptor == descriptor && f.vector == vector; },
        [&](Flight& f) {
            step(f, t, Lane::guest, what, "virtual-interrupt delivery");
            end(f, JourneyEnd::guest);
        });
    each(
        Waits::injection, [&](const Flight& f) { return number && f.journey.guest == number; },
        [&](Flight& f) {
            step(f, t, Lane::guest, what, "the next interrupt that the guest takes; virtual-interrupt delivery", true);
            end(f, JourneyEnd::guest);
        });
}

void Journeys::injected(const Told& t, unsigned vector) {
    GuestRecord* guest = guests_.by_vmcs(t.number("vmcs"));
    const unsigned number = guest ? guest->sums.number : 0;
    each(
        Waits::injection, [&](const Flight& f) { return number && f.journey.guest == number; },
        [&](Flight& f) {
            step(f, t, Lane::guest, fmt::format("VM {} takes virtual interrupt {:#x}", number, vector),
                 "the next one that the VMM injects at VM entry", true);
            end(f, JourneyEnd::guest);
        });
}

std::vector<Journey> Journeys::finish() {
    while (!under_way_.empty())
        end(under_way_.front(), JourneyEnd::under_way);
    std::sort(kept_.begin(), kept_.end(), [](const Journey& a, const Journey& b) { return a.number < b.number; });
    return std::move(kept_);
}

} // namespace vitrine::report
