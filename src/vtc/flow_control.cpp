// SPDX-License-Identifier: Apache-2.0
// Pause frames and the instants that they mean.
#include "vtc/flow_control.h"

#include "base/clock.h"

#include <algorithm>

namespace vitrine::vtc {

namespace {

constexpr Mac pause_address = 0x0180'c200'0001;
constexpr u16 opcode_link = 0x0001, opcode_priorities = 0x0101;
constexpr std::size_t opcode_at = 14, link_quanta_at = 16, vector_at = 16, quanta_at = 18, pause_size = 60;

u64 after(u64 now, u64 quanta, u64 quantum) { return now + std::max<u64>(1, quanta * quantum / 10); }

} // namespace

std::optional<Pause> Pause::in(const Packet& p) {
    if (p.type != mac_control_type || p.destination != pause_address || p.tagged || p.frame.size() < quanta_at)
        return std::nullopt;
    Pause pause;
    switch (get16(p.frame, opcode_at)) {
    case opcode_link:
        pause.quanta.fill(get16(p.frame, link_quanta_at));
        return pause;
    case opcode_priorities:
        if (p.frame.size() < quanta_at + 2 * user_priorities)
            return std::nullopt;
        pause.priorities = true;
        pause.which = static_cast<u8>(get16(p.frame, vector_at));
        for (unsigned n = 0; n < user_priorities; ++n)
            pause.quanta[n] = get16(p.frame, quanta_at + 2 * n);
        return pause;
    default:
        return std::nullopt;
    }
}

std::vector<u8> Pause::frame(Mac from) const {
    std::vector<u8> f(pause_size);
    put16(f, 0, static_cast<u16>(pause_address >> 32));
    put32(f, 2, static_cast<u32>(pause_address));
    put16(f, 6, static_cast<u16>(from >> 32));
    put32(f, 8, static_cast<u32>(from));
    put16(f, 12, mac_control_type);
    put16(f, opcode_at, priorities ? opcode_priorities : opcode_link);
    if (!priorities) {
        put16(f, link_quanta_at, quanta[0]);
        return f;
    }
    put16(f, vector_at, which);
    for (unsigned n = 0; n < user_priorities; ++n)
        put16(f, quanta_at + 2 * n, which >> n & 1 ? quanta[n] : u16{0});
    return f;
}

void FlowControl::heed(const Pause& pause, const ClassRules& classes, u64 now, u64 quantum) {
    const auto until = [&](u16 quanta) { return quanta ? after(now, quanta, quantum) : 0; };
    if (!pause.priorities) {
        paused_until_.fill(until(pause.quanta[0]));
        return;
    }
    for (unsigned n = 0; n < user_priorities; ++n)
        if (pause.which >> n & 1)
            paused_until_[classes.transmit_class[n]] = until(pause.quanta[n]);
}

std::optional<Pause> FlowControl::level(unsigned n, u64 bytes, const FlowRules& rules, const ClassRules& classes, u64 now, u64 quantum) {
    const FlowRules::Buffer& b = rules.buffers[n];
    const bool sends = rules.sends_link || rules.sends_priorities, waits = told_until_[n] != 0;
    const bool stop = sends && b.on && b.time && (bytes > b.high || (waits && bytes > b.low)) && (!waits || now >= std::min(refresh_[n], told_until_[n]));
    const bool go = waits && (!sends || !b.on || !b.time || bytes <= b.low);
    if (!stop && !go)
        return std::nullopt;
    Pause pause{.priorities = rules.sends_priorities};
    if (stop) {
        told_until_[n] = after(now, b.time, quantum);
        refresh_[n] = rules.refresh && rules.refresh < b.time ? after(now, b.time - rules.refresh, quantum) : told_until_[n];
        pause.quanta.fill(b.time);
    } else {
        told_until_[n] = refresh_[n] = 0;
        const bool others = !pause.priorities && std::any_of(told_until_.begin(), told_until_.end(), [&](u64 until) { return until > now; });
        if (!sends || !b.resumes || others)
            return std::nullopt;
    }
    if (pause.priorities) {
        pause.which = 0;
        for (unsigned p = 0; p < user_priorities; ++p)
            if (classes.receive_class[p] == n)
                pause.which |= static_cast<u8>(1u << p);
    }
    return pause;
}

u64 FlowControl::refresh_due() const {
    u64 due = never;
    for (unsigned n = 0; n < most_classes; ++n)
        if (told(n))
            due = std::min(due, std::min(refresh_[n], told_until_[n]));
    return due;
}

void FlowControl::state(Visitor& v) {
    v.field("paused until", paused_until_);
    v.field("told until", told_until_);
    v.field("refresh", refresh_);
}

} // namespace vitrine::vtc
