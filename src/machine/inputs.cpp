// SPDX-License-Identifier: Apache-2.0
// Inputs from outside: gathering, delivering, waiting.
#include "machine/inputs.h"

#include <algorithm>

namespace vitrine::machine {

namespace {

constexpr std::size_t read_ahead = 4096;
constexpr std::size_t read_at_once = 256;
constexpr std::size_t frames_ahead = 512; ///< taken from a network and not yet by the machine
constexpr std::size_t largest_frame = 64 << 10;

} // namespace

void Inputs::plug(std::string name, ByteSink& sink, host::Character* source) {
    ports_.push_back({.name = std::move(name), .sink = &sink, .source = source, .waiting = {}, .frames = {}});
}

void Inputs::plug(std::string name, FrameSink& sink, host::Network* source) {
    ports_.push_back({.name = std::move(name),
                      .sink = nullptr,
                      .source = nullptr,
                      .waiting = {},
                      .frame_sink = &sink,
                      .network = source,
                      .frames = {}});
}

bool Inputs::Port::may_give() const {
    if (frame_sink)
        return !frames.empty() && frames.front().size() <= frame_sink->room();
    return !waiting.empty() && sink->room() > 0;
}

void Inputs::gather(u64 now, Port& port) {
    if (port.network) {
        port.network->set_time(now);
        std::vector<u8> frame;
        while (port.frames.size() < frames_ahead && port.network->take(frame))
            port.frames.push_back(std::move(frame));
        return;
    }
    if (!port.source || port.waiting.size() >= read_ahead)
        return;
    u8 buffer[read_at_once];
    const std::size_t n = port.source->take(buffer);
    port.waiting.insert(port.waiting.end(), buffer, buffer + n);
}

void Inputs::give(u64 now, u32 port, std::span<const u8> bytes) {
    if (ports_[port].frame_sink)
        ports_[port].frame_sink->receive(bytes);
    else
        ports_[port].sink->receive(bytes);
    if (listener_)
        listener_->delivered({now, port, {bytes.begin(), bytes.end()}});
}

void Inputs::deliver(u64 now) {
    if (script_) {
        while (script_->next_instant() <= now) {
            const Input input = script_->take();
            if (input.port < ports_.size())
                give(now, input.port, input.bytes);
        }
    }
    if (now < next_poll_)
        return;
    next_poll_ = now + interval;
    if (script_) {
        // What is typed during a replay is no input, but may be a wish.
        for (Port& port : ports_) {
            gather(now, port);
            port.waiting.clear();
            port.frames.clear();
        }
        return;
    }
    for (u32 n = 0; n < ports_.size(); ++n) {
        Port& port = ports_[n];
        gather(now, port);
        if (port.frame_sink) {
            while (port.may_give()) {
                const std::vector<u8> frame = std::move(port.frames.front());
                port.frames.pop_front();
                give(now, n, frame);
            }
            continue;
        }
        const std::size_t some = std::min(port.waiting.size(), port.sink->room());
        if (some == 0)
            continue;
        give(now, n, std::span(port.waiting).first(some));
        port.waiting.erase(port.waiting.begin(), port.waiting.begin() + static_cast<long>(some));
    }
}

bool Inputs::open() const {
    return std::any_of(ports_.begin(), ports_.end(),
                       [](const Port& p) { return p.holds() || p.open(); }) ||
           std::any_of(watched_.begin(), watched_.end(), [](const host::Character* c) { return c->open(); });
}

void Inputs::state(Visitor& v) {
    v.field("next poll", next_poll_);
    const u64 n = v.count("ports", ports_.size(), ports_.size());
    if (n != ports_.size())
        return v.refuse("there are " + std::to_string(n) + " ports for input, and must be " + std::to_string(ports_.size()));
    for (Port& port : ports_) {
        if (!port.frame_sink) {
            v.blob("waiting", port.waiting, read_ahead + read_at_once);
            continue;
        }
        port.frames.resize(v.count("frames", port.frames.size(), frames_ahead));
        for (std::vector<u8>& frame : port.frames)
            v.blob("frame", frame, largest_frame);
    }
}

bool Inputs::interactive() const {
    // A replay waits for nobody.
    if (script_)
        return false;
    return std::any_of(ports_.begin(), ports_.end(), [](const Port& p) { return p.interactive(); }) ||
           std::any_of(watched_.begin(), watched_.end(), [](const host::Character* c) { return c->interactive(); });
}

u64 Inputs::idle(u64 now, u64 until, Pace& pace) {
    std::vector<int> descriptors;
    if (!script_) {
        // What waits already is delivered at the next instant at which the machine looks.
        for (Port& port : ports_) {
            gather(now, port);
            if (port.may_give())
                return std::min(until, std::max(next_poll_, now + 1));
        }
        for (const Port& port : ports_)
            if (!port.holds())
                if (const int fd = port.waits_on(); fd >= 0)
                    descriptors.push_back(fd);
    }
    for (const host::Character* source : watched_)
        if (source->waits_on() >= 0)
            descriptors.push_back(source->waits_on());
    const u64 reached = pace.idle(now, until, interactive(), descriptors);
    if (reached < until)
        next_poll_ = std::min(next_poll_, reached);
    return reached;
}

host::Wish Inputs::wish() {
    for (const Port& port : ports_)
        if (port.source)
            if (const host::Wish w = port.source->wish(); w != host::Wish::none)
                return w;
    for (host::Character* source : watched_)
        if (const host::Wish w = source->wish(); w != host::Wish::none)
            return w;
    return host::Wish::none;
}

const Error* Inputs::refused() const {
    for (const Port& port : ports_) {
        if (port.source && port.source->refused())
            return port.source->refused();
        if (port.network && port.network->refused())
            return port.network->refused();
    }
    return nullptr;
}

} // namespace vitrine::machine
