// SPDX-License-Identifier: Apache-2.0
// The glass: formats and counts events.
#include "glass/glass.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace vitrine {

namespace {

constexpr std::array<std::string_view, static_cast<unsigned>(Topic::count)> topic_names{
    "cpu", "memory", "vmx", "jit", "interrupts", "pci", "vtd", "vtc", "chipset", "devices", "firmware", "machine", "debug"};

constexpr u64 mask_of(Topic topic) { return 1ull << static_cast<unsigned>(topic); }

} // namespace

std::string_view name_of(Topic topic) { return topic_names[static_cast<unsigned>(topic)]; }

void Glass::enable(Topic topic, bool on) {
    const u64 mask = mask_of(topic);
    told_ = on ? told_ | mask : told_ & ~mask;
    heard_ = told_ | watched_;
}

bool Glass::enable(std::string_view name) {
    if (name == "all") {
        told_ = mask_of(Topic::count) - 1;
        heard_ = told_ | watched_;
        return true;
    }
    for (unsigned i = 0; i < topic_names.size(); ++i)
        if (topic_names[i] == name) {
            enable(static_cast<Topic>(i));
            return true;
        }
    return false;
}

void Glass::odd(Topic topic, std::string_view event, std::initializer_list<Detail> details) {
    const u64 seen = ++counter(event);
    if (seen <= shown_odd || on(topic))
        say(topic, event, details, seen <= shown_odd || (told_ & mask_of(topic)));
}

void Glass::report(Topic topic, std::string_view event, std::initializer_list<Detail> details) { say(topic, event, details, true); }

void Glass::set_watcher(std::initializer_list<Topic> topics, Listener watcher) {
    watcher_ = std::move(watcher);
    watched_ = 0;
    if (watcher_)
        for (const Topic topic : topics)
            watched_ |= mask_of(topic);
    heard_ = told_ | watched_;
}

u64& Glass::counter(std::string_view name) {
    const auto found = counters_.find(name);
    return found != counters_.end() ? found->second : counters_.emplace(std::string(name), 0).first->second;
}

void Glass::say(Topic topic, std::string_view event, std::initializer_list<Detail> details) { say(topic, event, details, told_ & mask_of(topic)); }

void Glass::say(Topic topic, std::string_view event, std::initializer_list<Detail> details, bool shown) {
    const bool watched = watched_ & mask_of(topic);
    shown = shown && (sink_ || listener_);
    if (!watched && !shown)
        return;
    const Place p = place();
    if (watched)
        watcher_(p, topic, event, details);
    if (!shown)
        return;
    if (listener_)
        listener_(p, topic, event, details);
    if (!sink_)
        return;
    fmt::memory_buffer line;
    auto out = std::back_inserter(line);
    fmt::format_to(out, "[{:5}.{:09} {} CPU{}] {} {}", p.time / 1'000'000'000, p.time % 1'000'000'000, p.instructions, p.cpu,
                   name_of(topic), event);
    for (const Detail& d : details) {
        if (d.text.data())
            fmt::format_to(out, " {}={}", d.name, d.text);
        else
            fmt::format_to(out, " {}={:x}", d.name, d.number);
    }
    sink_({line.data(), line.size()});
}

} // namespace vitrine
