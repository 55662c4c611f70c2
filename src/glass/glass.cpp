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

} // namespace

std::string_view name_of(Topic topic) { return topic_names[static_cast<unsigned>(topic)]; }

void Glass::enable(Topic topic, bool on) {
    const u64 mask = 1ull << static_cast<unsigned>(topic);
    enabled_ = on ? enabled_ | mask : enabled_ & ~mask;
}

bool Glass::enable(std::string_view name) {
    if (name == "all") {
        enabled_ = (1ull << static_cast<unsigned>(Topic::count)) - 1;
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
        say(topic, event, details);
}

u64& Glass::counter(std::string_view name) {
    const auto found = counters_.find(name);
    return found != counters_.end() ? found->second : counters_.emplace(std::string(name), 0).first->second;
}

void Glass::say(Topic topic, std::string_view event, std::initializer_list<Detail> details) {
    if (!sink_ && !listener_)
        return;
    const Place p = place_ ? place_() : Place{};
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
