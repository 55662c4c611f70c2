// SPDX-License-Identifier: Apache-2.0
// Everything that comes from outside enters here, at instants that the machine chooses; recorded, or taken from a recording.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/ports.h"
#include "base/visitor.h"
#include "host/character.h"
#include "host/network.h"
#include "machine/pace.h"

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vitrine::machine {

/// One input of the machine from outside: when, where, what.
struct Input {
    u64 instant = 0; ///< virtual nanoseconds
    u32 port = 0;
    std::vector<u8> bytes;

    bool operator==(const Input&) const = default;
};

/// Sees every input as it is delivered. The recorder is one.
class InputListener {
public:
    virtual ~InputListener() = default;
    virtual void delivered(const Input& input) = 0;
};

/// Inputs that were recorded, in order.
class InputScript {
public:
    virtual ~InputScript() = default;
    /// When the next one is due; `never` after the last.
    virtual u64 next_instant() const = 0;
    virtual Input take() = 0;
};

/// The ports by which bytes come in. Live sources are asked at slice borders, at most once in `interval`.
class Inputs {
public:
    static constexpr u64 interval = 100'000; ///< virtual nanoseconds

    /// A port is known by the order of plugging. Without a source it has input from a script only.
    void plug(std::string name, ByteSink& sink, host::Character* source);

    /// The same for a network: each input is one frame. Live networks are asked as often, and as many frames are taken as `sink`
    /// has room for.
    void plug(std::string name, FrameSink& sink, host::Network* source);

    /// A source whose wishes and descriptor count, but whose bytes are not the machine's (the monitor).
    void watch(host::Character& source) { watched_.push_back(&source); }

    void set_listener(InputListener* listener) { listener_ = listener; }

    /// From now on inputs come from the script alone; live sources keep their wishes.
    void set_script(InputScript* script) { script_ = script; }

    /// Delivers what is due at `now`. Called at slice borders, after the timers have fired.
    void deliver(u64 now);

    /// The next instant at which the run must stop for an input: known only with a script.
    u64 next_instant() const { return script_ ? script_->next_instant() : never; }

    /// Some port may still get input.
    bool open() const;

    /// Somebody sits at a source.
    bool interactive() const;

    /// All processors are halted at `now` and nothing happens before `until`: waits as the pace demands, and returns the instant
    /// that has been reached, which is earlier than `until` when input has come.
    u64 idle(u64 now, u64 until, Pace& pace);

    /// What a person wished since the last call.
    host::Wish wish();

    unsigned ports() const { return static_cast<unsigned>(ports_.size()); }

    /// What was typed and not yet taken, for snapshots: it lies outside the machine and is no part of its hash.
    void state(Visitor& v);

    /// The first write to the outside that the host refused.
    const Error* refused() const;

private:
    struct Port {
        std::string name;
        ByteSink* sink;
        host::Character* source;
        std::vector<u8> waiting; ///< taken from the source, not yet by the machine
        FrameSink* frame_sink = nullptr; ///< a network's port has these instead
        host::Network* network = nullptr;
        std::deque<std::vector<u8>> frames;

        bool open() const { return (source && source->open()) || (network && network->open()); }
        bool interactive() const { return (source && source->interactive()) || (network && network->interactive()); }
        int waits_on() const { return source ? source->waits_on() : network ? network->waits_on() : -1; }
        bool holds() const { return !waiting.empty() || !frames.empty(); }
        bool may_give() const;
    };

    void gather(u64 now, Port& port);
    void give(u64 now, u32 port, std::span<const u8> bytes);

    std::vector<Port> ports_;
    std::vector<host::Character*> watched_;
    InputListener* listener_ = nullptr;
    InputScript* script_ = nullptr;
    u64 next_poll_ = 0;
};

} // namespace vitrine::machine
