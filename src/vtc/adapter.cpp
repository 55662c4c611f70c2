// SPDX-License-Identifier: Apache-2.0
// The adapter on its bus: capabilities, registers, rings, resets and state.
#include "vtc/adapter.h"

#include "base/error.h"
#include "pci/express.h"
#include "pci/extended.h"
#include "pci/msi.h"
#include "pci/msix.h"
#include "pci/power.h"
#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"
#include "vtc/virtual_function.h"

#include <algorithm>
#include <bit>

namespace vitrine::vtc {

namespace {

constexpr u64 msix_bar_size = 16_KiB;
constexpr u32 capability_power = 0x40, capability_msi = 0x50, capability_msix = 0x70, capability_express = 0xa0;
constexpr u32 extended_aer = 0x100, extended_serial = 0x140, extended_ari = 0x150, extended_sriov = 0x160;
constexpr std::size_t least_frame = 14; ///< bytes of a received one
constexpr u32 least_ring = 8, ring_granule = 127; ///< descriptors; a ring's length is a multiple of 128 bytes

} // namespace

Adapter::Adapter(const pci::Platform& platform, Clock& clock, const Chip& chip, Options options, const Nvm& nvm)
    : Function(platform, options.name,
               {.vendor = 0x8086,
                .device = chip.device,
                .revision = 1,
                .class_code = 0x020000,
                .subsystem_vendor = 0x8086,
                .subsystem = chip.subsystem}),
      clock_(clock), chip_(chip), options_(std::move(options)), regs_(chip.registers, chip.bar_size),
      vectors_(clock, options_.name + ".interrupts", [this](unsigned n) {
                   if (n >= msix()->vectors()) // a cause may be given to a vector that there is not
                       return;
                   this->glass().tell(Topic::vtc, "interrupt", {{"function", name()}, {"requester", requester_id()}, {"vector", n}});
                   msix()->trigger(n);
               }),
      nvm_(nvm), transmit_timer_(clock, options_.name + ".transmit", [this] { transmit_work(); }),
      receive_timer_(clock, options_.name + ".receive", [this] { drain(); }),
      link_timer_(clock, options_.name + ".link", [this] { link_came(); }),
      flow_timer_(clock, options_.name + ".flow-control", [this] { refresh_pauses(); }), rates_(chip.queues), transmit_(chip.queues), pools_(chip.pools),
      queue_counters_(chip.queues) {
    add_bar(0, {.kind = pci::BarKind::memory_32, .size = chip.bar_size, .name = "registers", .min_size = 4, .max_size = 8});
    add_bar(3, {.kind = pci::BarKind::memory_32, .size = msix_bar_size, .name = "msix", .min_size = 4, .max_size = 8});
    config().set_reset(pci::interrupt_pin, 1, 1);
    config().set(pci::interrupt_pin, 1, 1);
    add<pci::PowerManagement>(capability_power);
    add<pci::Msi>(capability_msi, 1u);
    add<pci::Msix>(capability_msix, pci::Msix::Options{.vectors = chip.vectors, .bar = 3, .table = 0, .pending = chip.vector_pending});
    add<pci::Express>(capability_express, pci::Express::Options{.link = chip.link});
    add<pci::Aer>(extended_aer);
    // The MAC with FFFEh in its middle, as an EUI-64.
    add<pci::DeviceSerialNumber>(extended_serial, options_.mac >> 24 << 40 | 0xfffeull << 24 | (options_.mac & 0xff'ffff));
    add<pci::Ari>(extended_ari);
    sriov_ = &add<pci::SrIov>(extended_sriov, pci::SrIov::Options{.total_vfs = static_cast<u16>(chip.vfs),
                                                                  .vf_device = chip.vf_device,
                                                                  .bars = {{.n = 0}, {.n = 3}},
                                                                  .changed = [this] { sriov_changed(); }});
    for (unsigned n = 0; n < chip.vfs; ++n)
        vfs_.push_back(std::make_unique<VirtualFunction>(*this, clock, n));
}

Adapter::~Adapter() = default;

void Adapter::attach_virtual_functions(pci::PciBus& bus) {
    // The place on the bus is where their routing ids lie with ARI; it only orders them.
    for (unsigned n = 0; n < vfs_.size(); ++n) {
        const unsigned devfn = 0x80 + 2 * n;
        bus.attach(*vfs_[n], devfn >> 3, devfn & 7);
    }
}

std::vector<pci::Wish> Adapter::wishes() {
    std::vector<pci::Wish> list = Function::wishes();
    for (pci::Wish& wish : sriov_->wishes())
        list.push_back(std::move(wish));
    return list;
}

void Adapter::remap() {
    Function::remap();
    for (const auto& vf : vfs_)
        vf->remap();
}

void Adapter::sriov_changed() {
    const unsigned count = sriov_->count();
    if (count != vf_count_) {
        glass().tell(Topic::vtc, "virtual-functions", {{"adapter", name()}, {"before", vf_count_}, {"now", count}});
        // Those that go lose everything; those that come begin anew.
        for (unsigned n = std::min(count, vf_count_); n < vfs_.size() && n < std::max(count, vf_count_); ++n)
            vfs_[n]->function_reset();
        vf_count_ = count;
        vf_count_changed();
    }
    for (const auto& vf : vfs_)
        vf->remap();
}

pci::Function& Adapter::owner(unsigned queue) {
    // Whatever the queue is used for: a virtual function reaches the registers of its own queues at any time.
    const unsigned vf = vf_of(queue);
    return vf < vf_count_ ? static_cast<pci::Function&>(*vfs_[vf]) : *this;
}

void Adapter::tell_cause(const pci::Function& function, unsigned queue, bool transmit, unsigned vector) {
    glass().tell(Topic::vtc, "cause", {{"adapter", name()}, {"function", function.name()}, {"queue", queue}, {"of", transmit ? "transmission" : "reception"}, {"vector", vector}});
}

// ---- registers --------------------------------------------------------------------------------------------------------------

u32 Adapter::read_register(u32 offset) {
    offset = canonical(offset);
    const Bank::Place place = regs_.find(offset);
    if (!place.row) {
        glass().odd(Topic::vtc, "register.unknown-read", {{"adapter", name()}, {"offset", offset}});
        return 0;
    }
    u32& stored = regs_.value(place);
    if (place.row->effect == Effect::none || place.row->effect == Effect::queue)
        return stored;
    if (place.row->effect == Effect::counter) {
        const u32 value = stored;
        stored = 0;
        return value;
    }
    if (const auto value = common_read(place, offset, stored))
        return *value;
    return read_effect(place, offset, stored);
}

void Adapter::write_register(u32 offset, u32 value) {
    offset = canonical(offset);
    const Bank::Place place = regs_.find(offset);
    if (!place.row) {
        glass().odd(Topic::vtc, "register.unknown-write", {{"adapter", name()}, {"offset", offset}, {"value", value}});
        return;
    }
    if (place.row->effect == Effect::queue)
        return write_ring(offset, value);
    u32& stored = regs_.value(place);
    const u32 before = stored;
    stored = (before & ~place.row->writable) | (value & place.row->writable);
    if (place.row->effect != Effect::none && place.row->effect != Effect::counter && !common_write(place, offset, before, value))
        write_effect(place, offset, before, value);
}

bool Adapter::busy_at_rings(const Access& a) {
    if (working_)
        glass().odd(Topic::vtc, "register.busy", {{"adapter", name()}, {"requester", a.requester.id}, {"offset", a.offset}});
    return working_;
}

void Adapter::bar_access(unsigned bar, Access& a) {
    if (!a.write)
        a.value = 0;
    if (bar != 0 || !is_aligned(a.offset, 4) || busy_at_rings(a))
        return;
    for (unsigned done = 0; done < a.size; done += 4) {
        const u32 offset = static_cast<u32>(a.offset) + done;
        if (a.write)
            write_register(offset, static_cast<u32>(a.value >> (8 * done)));
        else
            a.value |= static_cast<u64>(read_register(offset)) << (8 * done);
    }
}

// ---- link -------------------------------------------------------------------------------------------------------------------

void Adapter::negotiate() {
    if (link_) {
        link_ = false;
        raise(chip_.cause_link);
    }
    link_timer_.arm(clock_.now() + chip_.negotiation_time);
}

void Adapter::reset_link(bool survives) {
    if (link_ && survives)
        return;
    link_ = false;
    link_timer_.arm(clock_.now() + chip_.negotiation_time);
}

void Adapter::link_came() {
    link_ = true;
    ++link_changes_;
    glass().tell(Topic::vtc, "link-up", {{"adapter", name()}});
    raise(chip_.cause_link);
}

// ---- what registers say ------------------------------------------------------------------------------------------------------

const Adapter::Derived& Adapter::derived() const {
    if (derived_.version != regs_.version()) {
        derived_.version = regs_.version();
        derived_.port = port_rules();
        derived_.classes = class_rules();
        derived_.flow = flow_rules();
        derived_.key = hash_key();
        derived_.pools.assign(chip_.pools, std::nullopt);
        derived_.exact.clear();
    }
    return derived_;
}

const PortRules& Adapter::rules_now() const { return derived().port; }

const std::array<u8, 40>& Adapter::hash_key_now() const { return derived().key; }

const PoolRules& Adapter::rules_of(unsigned pool) const {
    static_cast<void>(derived());
    std::optional<PoolRules>& rules = derived_.pools[pool];
    if (!rules)
        rules = pool_rules(pool);
    return *rules;
}

std::optional<Adapter::Pools> Adapter::exact_pools(Mac mac) const {
    static_cast<void>(derived());
    if (const auto known = derived_.exact.find(mac); known != derived_.exact.end())
        return known->second;
    if (derived_.exact.size() >= most_addresses)
        derived_.exact.clear();
    return derived_.exact[mac] = exact(mac);
}

// ---- rings ------------------------------------------------------------------------------------------------------------------

Adapter::Ring Adapter::ring_at(u32 at) const {
    return {.base = reg(at + ring::base_low) | static_cast<u64>(reg(at + ring::base_high)) << 32,
            .size = (reg(at + ring::length) & ~ring_granule) / descriptor_size,
            .head = reg(at + ring::head),
            .tail = reg(at + ring::tail)};
}

/// A ring whose registers make sense. One that does not stops until its queue is enabled anew.
bool Adapter::ring_runs(u32 at, const Ring& r) {
    if (r.size >= least_ring && r.head < r.size && r.tail < r.size)
        return true;
    glass().odd(Topic::vtc, "ring.impossible",
                {{"adapter", name()}, {"registers", at}, {"descriptors", r.size}, {"head", r.head}, {"tail", r.tail}});
    regs_.at(at + ring::control) &= ~queue_enabled;
    return false;
}

void Adapter::write_ring(u32 offset, u32 value) {
    const Bank::Place place = regs_.find(offset);
    u32& stored = regs_.value(place);
    const u32 before = stored;
    stored = (before & ~place.row->writable) | (value & place.row->writable);
    const u32 at = offset & ~(ring::size - 1), what = offset & (ring::size - 1);
    const bool transmit = at >= transmit_ring(0) && at < transmit_ring(0) + chip_.queues * ring::size;
    if (transmit)
        rung_.add((at - transmit_ring(0)) / ring::size);
    if (what == ring::control && (stored & queue_enabled) && !(before & queue_enabled)) {
        // Enabling begins at the base, whether the driver or an error has stopped the queue; a driver writes the tail.
        regs_.at(at + ring::head) = 0;
        if (transmit) {
            const unsigned queue = (at - transmit_ring(0)) / ring::size;
            const std::array<Context, 2> kept = transmit_[queue].contexts;
            transmit_[queue] = TransmitQueue{};
            transmit_[queue].contexts = kept;
        }
        transmit ? kick_transmit() : kick_receive();
    } else if (what == ring::control && !(stored & queue_enabled) && (before & queue_enabled)) {
        regs_.at(at + ring::head) = 0;
        regs_.at(at + ring::tail) = 0;
        if (!transmit)
            kick_receive(); // what waits for it is thrown away
    } else if (what == ring::tail) {
        transmit ? kick_transmit() : kick_receive();
    }
}

void Adapter::kick_transmit() {
    const u64 at = std::max(clock_.now() + doorbell_delay, wire_free_);
    if (transmit_timer_.due() > at)
        transmit_timer_.arm(at);
}

void Adapter::kick_receive() {
    const bool waiting = std::any_of(buffers_.begin(), buffers_.end(), [](const Buffer& b) { return !b.frames.empty(); });
    if (waiting && !receive_timer_.armed())
        receive_timer_.arm(clock_.now() + doorbell_delay);
}

/// Queues as after a reset: `count` of them from `first` on, `step` apart.
void Adapter::reset_queues(unsigned first, unsigned count, unsigned step) {
    for (unsigned n = 0; n < count; ++n) {
        const unsigned queue = first + n * step;
        for (const u32 at : {receive_ring(queue), transmit_ring(queue)})
            for (u32 offset = at; offset < at + ring::size; offset += 4)
                if (const Bank::Place place = regs_.find(offset); place.row && place.row->effect == Effect::queue)
                    regs_.value(place) = place.row->reset;
        transmit_[queue] = TransmitQueue{};
    }
    kick_receive();
}

// ---- resets and state -------------------------------------------------------------------------------------------------------

/// What a reset by software resets: everything but the switch's statistics, which are for people.
void Adapter::reset_core() {
    ++port_.resets;
    regs_.reset();
    vectors_.reset();
    transmit_timer_.cancel();
    receive_timer_.cancel();
    flow_timer_.cancel();
    flow_.reset();
    arbiter_.reset();
    std::fill(transmit_.begin(), transmit_.end(), TransmitQueue{});
    buffers_ = {};
    wire_free_ = 0;
    next_queue_ = {};
    std::fill(rates_.begin(), rates_.end(), 0u);
    time_base_ = 0;
    time_set_ = clock_.now();
    filters_ = filter_rules();
    regs_.at(chip_.receive_address) = mac_low(options_.mac);
    regs_.at(chip_.receive_address + 4) = rah_valid | mac_high(options_.mac);
    for (const auto& vf : vfs_)
        vf->physical_reset(false);
}

void Adapter::device_reset(Reset kind) {
    if (kind == Reset::cold) {
        std::fill(pools_.begin(), pools_.end(), PoolCounters{});
        std::fill(queue_counters_.begin(), queue_counters_.end(), QueueCounters{});
        link_changes_ = 0;
        link_ = false;
    }
    for (const auto& vf : vfs_)
        vf->reset(kind);
    reset_core();
    if (kind == Reset::cold)
        port_ = {};
    chip_reset();
}

void Adapter::TransmitQueue::state(Visitor& v) {
    v.field("contexts", contexts);
    v.blob("data", data, largest_send);
    v.field("command", command);
    v.field("options", options);
    v.field("legacy", legacy);
    v.field("begun", begun);
    v.field("bad", bad);
    v.field("allowed", allowed);
}

void Adapter::Arrived::state(Visitor& v) {
    v.blob("frame", frame, 64_KiB);
    v.field("queue", queue);
    v.field("pool", pool);
    v.field("looped", looped);
    v.field("hash", hash);
    v.field("hash type", hash_type);
    v.field("status", status);
    v.field("type filter", type_filter);
}

void Adapter::device_state(Visitor& v) {
    v.field("registers", regs_);
    v.field("vectors", vectors_);
    v.field("transmit timer", transmit_timer_);
    v.field("receive timer", receive_timer_);
    v.field("link timer", link_timer_);
    v.field("link", link_);
    for (u32& rate : rates_)
        v.field("rate", rate);
    v.field("time base", time_base_);
    v.field("time set", time_set_);
    for (TransmitQueue& q : transmit_)
        v.field("transmit queue", q);
    v.field("flow timer", flow_timer_);
    v.field("flow control", flow_);
    v.field("arbiter", arbiter_);
    for (Buffer& b : buffers_) {
        b.frames.resize(v.count("arrived", b.frames.size(), chip_.packet_buffer / least_frame));
        for (Arrived& a : b.frames)
            v.field("frame", a);
    }
    v.field("wire free", wire_free_);
    v.field("next queue", next_queue_);
    visit(v, "port", port_);
    for (PoolCounters& pool : pools_)
        visit(v, "pool", pool);
    for (QueueCounters& queue : queue_counters_)
        visit(v, "queue", queue);
    v.field("link changes", link_changes_);
    v.field("virtual functions", vf_count_);
    for (const auto& vf : vfs_)
        v.field("vf", *vf);
    chip_state(v);
    if (!v.loading())
        return;
    rung_.add_all();
    filters_ = filter_rules();
    bool sound = arbiter_.sound() && vf_count_ <= vfs_.size() && std::all_of(next_queue_.begin(), next_queue_.end(), [this](u8 n) { return n < chip_.queues; });
    u64 all = 0;
    for (Buffer& b : buffers_) {
        b.bytes = 0;
        for (const Arrived& a : b.frames) {
            b.bytes += a.frame.size();
            sound &= a.queue < chip_.queues && a.pool < chip_.pools && a.frame.size() >= least_frame;
        }
        all += b.bytes;
    }
    if (!sound || all > chip_.packet_buffer) {
        v.refuse("an adapter's packet buffer, arbiter or queue in the state is impossible");
        buffers_ = {};
        arbiter_.reset();
        next_queue_ = {};
        vf_count_ = 0;
    }
}

void Adapter::publish_counters() {
    const std::string prefix = "vtc." + options_.name;
    publish(glass(), prefix, port_);
    for (unsigned n = 0; n < pools_.size(); ++n)
        publish(glass(), prefix + ".pool" + std::to_string(n), pools_[n]);
    for (unsigned n = 0; n < queue_counters_.size(); ++n)
        publish(glass(), prefix + ".queue" + std::to_string(n), queue_counters_[n]);
    const auto interrupts = [this](std::string_view function, const Vectors& v) {
        for (const auto& [what, count] : {std::pair{"sent", v.sent()}, {"throttled", v.throttled()}})
            if (count)
                glass().counter("vtc." + std::string(function) + ".interrupts." + what) = count;
    };
    interrupts(name(), vectors_);
    for (const auto& vf : vfs_)
        interrupts(vf->name(), vf->vectors());
}

std::size_t Adapter::room_of(unsigned traffic_class) const {
    u64 all = 0;
    for (const Buffer& b : buffers_)
        all += b.bytes;
    const u64 own = classes_now().buffer[traffic_class], used = buffers_[traffic_class].bytes;
    // Sizes may have changed under the frames.
    return used < own && all < chip_.packet_buffer ? std::min(own - used, chip_.packet_buffer - all) : 0;
}

/// A frame of whatever class has so much.
std::size_t Adapter::room() const {
    std::size_t least = chip_.packet_buffer;
    for (unsigned n = 0; n < classes_now().receive; ++n)
        least = std::min(least, room_of(n));
    return least;
}

} // namespace vitrine::vtc
