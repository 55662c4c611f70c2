// SPDX-License-Identifier: Apache-2.0
// Perfetto's trace format: packets of track events (perfetto.dev, TracePacket and TrackEvent references).
#include "app/perfetto.h"

#include <protozero/pbf_writer.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace vitrine::app {

namespace {

// Numbers of fields and values, named as the format's reference names them.
namespace trace {
constexpr u32 packet = 1;
}
namespace packet {
constexpr u32 timestamp = 8, trusted_packet_sequence_id = 10, track_event = 11, sequence_flags = 13, track_descriptor = 60;
constexpr u32 incremental_state_cleared = 1; // of sequence_flags
}
namespace track_descriptor {
constexpr u32 uuid = 1, name = 2, parent_uuid = 5;
}
namespace track_event {
constexpr u32 debug_annotations = 4, type = 9, track_uuid = 11, categories = 22, name = 23;
constexpr u32 slice_begin = 1, slice_end = 2, instant = 3; // of type
}
namespace debug_annotation {
constexpr u32 string_value = 6, pointer_value = 7, name = 10;
}

constexpr u32 sequence = 1; ///< all packets come from one writer
constexpr unsigned levels = 3;

std::string_view detail(std::initializer_list<Detail> details, std::string_view name) {
    for (const Detail& d : details)
        if (d.name == name)
            return d.text;
    return {};
}

std::string name_of_exit(std::initializer_list<Detail> details) {
    const std::string_view reason = detail(details, "reason"), means = detail(details, "means");
    return fmt::format("{}{}{}", reason, means.empty() ? "" : ": ", means);
}

std::string name_of_guest(std::initializer_list<Detail> details) {
    for (const Detail& d : details)
        if (d.name == "vmcs")
            return fmt::format("guest, VMCS {:x}", d.number);
    return "guest";
}

} // namespace

Expected<std::unique_ptr<PerfettoTrace>> PerfettoTrace::create(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (!file)
        return Error("--trace-file " + path + ": cannot be written: " + std::strerror(errno));
    return std::unique_ptr<PerfettoTrace>(new PerfettoTrace(file, path));
}

void PerfettoTrace::write(const std::string& data) {
    std::string framed;
    protozero::pbf_writer(framed).add_message(trace::packet, data);
    std::fwrite(framed.data(), 1, framed.size(), file_.get());
}

void PerfettoTrace::describe(u64 uuid, u64 parent, std::string_view name) {
    std::string descriptor, data;
    protozero::pbf_writer d(descriptor);
    d.add_uint64(track_descriptor::uuid, uuid);
    d.add_string(track_descriptor::name, name.data(), name.size());
    if (parent)
        d.add_uint64(track_descriptor::parent_uuid, parent);
    protozero::pbf_writer p(data);
    p.add_uint32(packet::trusted_packet_sequence_id, sequence);
    if (described_.empty())
        p.add_uint32(packet::sequence_flags, packet::incremental_state_cleared);
    p.add_message(packet::track_descriptor, descriptor);
    write(data);
    described_.insert(uuid);
}

u64 PerfettoTrace::track(unsigned cpu, Level level) {
    const u64 parent = 1 + u64{cpu} * (levels + 1), uuid = parent + 1 + static_cast<u64>(level);
    if (!described_.contains(parent))
        describe(parent, 0, fmt::format("CPU{}", cpu));
    static constexpr std::string_view names[levels] = {"L0: the machine", "L1: the VMM handles a VM exit", "L2: guests"};
    if (!described_.contains(uuid))
        describe(uuid, parent, names[static_cast<unsigned>(level)]);
    return uuid;
}

void PerfettoTrace::event(u64 time, u64 track, u32 type, std::string_view name, std::initializer_list<Detail> details, std::string_view category) {
    std::string body, data;
    protozero::pbf_writer e(body);
    e.add_enum(track_event::type, static_cast<i32>(type));
    e.add_uint64(track_event::track_uuid, track);
    if (!name.empty())
        e.add_string(track_event::name, name.data(), name.size());
    if (!category.empty())
        e.add_string(track_event::categories, category.data(), category.size());
    for (const Detail& d : details) {
        std::string note;
        protozero::pbf_writer n(note);
        n.add_string(debug_annotation::name, d.name.data(), d.name.size());
        if (d.text.data())
            n.add_string(debug_annotation::string_value, d.text.data(), d.text.size());
        else
            n.add_uint64(debug_annotation::pointer_value, d.number); // the viewer shows these in hexadecimal
        e.add_message(track_event::debug_annotations, note);
    }
    protozero::pbf_writer p(data);
    p.add_uint64(packet::timestamp, time);
    p.add_uint32(packet::trusted_packet_sequence_id, sequence);
    p.add_message(packet::track_event, body);
    write(data);
}

void PerfettoTrace::begin(u64 time, u64 track, std::string_view name, std::initializer_list<Detail> details, std::string_view category) {
    end(time, track);
    event(time, track, track_event::slice_begin, name, details, category);
    open_.insert(track);
}

void PerfettoTrace::end(u64 time, u64 track) {
    if (open_.erase(track))
        event(time, track, track_event::slice_end, {}, {}, {});
}

void PerfettoTrace::instant(u64 time, u64 track, std::string_view name, std::initializer_list<Detail> details, std::string_view category) {
    event(time, track, track_event::instant, name, details, category);
}

void PerfettoTrace::told(const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details) {
    const unsigned cpu = place.cpu;
    if (topic == Topic::vmx && event == "entry") {
        end(place.time, track(cpu, Level::l1));
        begin(place.time, track(cpu, Level::l2), name_of_guest(details), details, name_of(topic));
    } else if (topic == Topic::vmx && event == "exit") {
        end(place.time, track(cpu, Level::l2));
        begin(place.time, track(cpu, Level::l1), name_of_exit(details), details, name_of(topic));
    }
    instant(place.time, track(cpu, Level::l0), event, details, name_of(topic));
}

Expected<> PerfettoTrace::finish(u64 time) {
    while (!open_.empty())
        end(time, *open_.begin());
    if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()))
        return Error("--trace-file " + path_ + ": cannot be written: " + std::strerror(errno), Status::host_short);
    return {};
}

} // namespace vitrine::app
