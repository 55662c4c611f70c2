// SPDX-License-Identifier: Apache-2.0
// What happened: named events with typed details, counted always, told to a person when its topic is on.
#pragma once

#include "words/integers.h"

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

/// Topics are the rooms' names; `--trace` takes them.
enum class Topic : u8 { cpu, memory, vmx, jit, interrupts, pci, vtd, vtc, chipset, devices, firmware, machine, debug, count };

std::string_view name_of(Topic topic);

/// One detail of an event: a name with a number (shown in hexadecimal) or a text.
struct Detail {
    std::string_view name;
    u64 number = 0;
    std::string_view text = {};

    Detail(std::string_view n, u64 v) : name(n), number(v) {}

    Detail(std::string_view n, std::string_view t) : name(n), text(t) {}
};

/// When and where something happens, printed before each line.
struct Place {
    u64 time = 0;         ///< virtual nanoseconds
    u64 instructions = 0; ///< executed by all processors together
    unsigned cpu = 0;     ///< the one that runs, or ran last
};

/// The glass of one machine. Telling never changes what the machine does.
class Glass {
public:
    using Sink = std::function<void(std::string_view line)>;

    /// Whether anybody hears of the topic. An off topic costs this one predictable branch.
    bool on(Topic topic) const { return (heard_ >> static_cast<unsigned>(topic)) & 1; }

    void enable(Topic topic, bool on = true);

    /// True when `name` is a topic, which is then on; "all" is every topic.
    bool enable(std::string_view name);

    /// Tells one event if its topic is on.
    void tell(Topic topic, std::string_view event, std::initializer_list<Detail> details = {}) {
        if (on(topic)) [[unlikely]]
            say(topic, event, details);
    }

    /// Something odd but legal, or a write to reserved bits: counted, and the first few of each name are shown always.
    void odd(Topic topic, std::string_view event, std::initializer_list<Detail> details = {});

    /// A finding: shown whenever it is told. The teller tells each once, and counts.
    void report(Topic topic, std::string_view event, std::initializer_list<Detail> details);

    /// Where the machine is now.
    Place place() const { return place_ ? place_() : Place{}; }

    /// Counters by name, for --stats.
    u64& counter(std::string_view name);

    const std::map<std::string, u64, std::less<>>& counters() const { return counters_; }

    /// Where lines go. Without a sink nothing is printed; counters still count.
    void set_sink(Sink sink) { sink_ = std::move(sink); }

    using Listener = std::function<void(const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details)>;

    /// Gets each event that is told as it is, beside the lines.
    void set_listener(Listener listener) { listener_ = std::move(listener); }

    /// Gets each event of these topics, told or not: nothing is shown because of it. One watcher; an empty one ends it.
    void set_watcher(std::initializer_list<Topic> topics, Listener watcher);

    void set_place(std::function<Place()> place) { place_ = std::move(place); }

    /// How many of each odd event are shown.
    static constexpr u64 shown_odd = 3;

private:
    void say(Topic topic, std::string_view event, std::initializer_list<Detail> details);
    void say(Topic topic, std::string_view event, std::initializer_list<Detail> details, bool shown);

    u64 heard_ = 0; ///< topics that are told or watched
    Sink sink_;
    Listener listener_;
    std::function<Place()> place_;
    std::map<std::string, u64, std::less<>> counters_;
    u64 told_ = 0, watched_ = 0;
    Listener watcher_;
};

} // namespace vitrine
