// SPDX-License-Identifier: Apache-2.0
// The core of both adapters: rings, offloads, the switch with its pools, interrupts, virtual functions and mailboxes. A chip derives
// from it, brings its table of registers, and says in rules what they mean now. (82576 and 82599 datasheets.)
//
// All that takes time takes virtual time: a doorbell starts a timer; when it fires, descriptors are fetched and frames sent until the
// wire would be busy for a while, and the timer is set to when it is free again. Received frames wait in the packet buffer, which has
// the chip's size; what does not fit is lost and counted.
#pragma once

#include "base/clock.h"
#include "base/ports.h"
#include "pci/bridge.h"
#include "pci/sriov.h"
#include "vtc/bank.h"
#include "vtc/counters.h"
#include "vtc/filters.h"
#include "vtc/flow_control.h"
#include "vtc/nvm.h"
#include "vtc/packet.h"
#include "vtc/queue_set.h"
#include "vtc/rules.h"
#include "vtc/traffic_classes.h"
#include "vtc/vectors.h"

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace vitrine::vtc {

class VirtualFunction;

/// A ring's registers, from its first one on; the same in both chips.
namespace ring {
inline constexpr u32 base_low = 0x00, base_high = 0x04, length = 0x08, head = 0x10, tail = 0x18, control = 0x28, write_back_low = 0x38,
                     write_back_high = 0x3c;
inline constexpr u32 size = 0x40;
} // namespace ring

struct Options {
    std::string name = "nic0";
    Mac mac = 0x0256'4954'0000;
    FrameWitness* capture = nullptr; ///< of the port
    std::function<FrameWitness*(unsigned pool)> pool_capture{};
};

/// A virtual function's statistics register: part of what is counted for its pool.
struct VfCounter {
    u32 offset;
    u64 PoolCounters::*counter;
    unsigned shift = 0;
};

/// What a chip is, as numbers.
struct Chip {
    const char* name;
    u16 device, vf_device, subsystem;
    std::span<const RegisterRow> registers, vf_registers;
    u32 bar_size;
    unsigned queues, pools, vfs, vectors, vf_vectors;
    u32 vector_pending;      ///< offset of the MSI-X pending bits in BAR 3
    unsigned byte_time;      ///< tenths of a nanosecond that a byte takes on the wire
    u32 packet_buffer;       ///< bytes for received frames
    u32 rx_error_l4, rx_error_ip, rx_loopback;
    u32 split_control;       ///< SRRCTL's place among a receive ring's registers
    u32 split_drop;          ///< and its drop enable bit
    u32 rx_vlan_strip;       ///< RXDCTL's bit for it, or 0
    pci::LinkShape link;
    u32 cause_link;          ///< of a change of the link
    u64 negotiation_time;    ///< virtual nanoseconds from a reset to the link
    unsigned throttle_low, throttle_high; ///< bits of EITR that hold the interval
    u64 throttle_unit;       ///< of the interval, in nanoseconds
    u32 time_low, time_high, time_increment; ///< the system time's registers
    u64 time_unit;           ///< tenths of a nanosecond of TIMINCA's period
    u32 receive_stamp_control, receive_stamp_low, receive_stamp_high; ///< TSYNCRXCTL, RXSTMPL, RXSTMPH
    u32 transmit_stamp_control, transmit_stamp_low, transmit_stamp_high;
    u32 stamped_messages;    ///< which PTP messages: control field 7:0, message id 11:8
    u32 rate_select;         ///< RTTDQSEL
    u32 receive_address;     ///< RAL and RAH of the adapter's own address
    u32 multicast_table, unicast_table, vlan_table; ///< MTA, UTA, VFTA
    u32 vlan_pools;          ///< VLVF
    unsigned vlan_entries;   ///< of it
    u32 hash_key;            ///< RSSRK
    std::span<const VfCounter> vf_counters;
};

class Adapter : public pci::Function, public FrameSink {
public:
    Adapter(const pci::Platform& platform, Clock& clock, const Chip& chip, Options options, const Nvm& nvm);
    ~Adapter() override;

    /// What it sends goes there. Null: nowhere.
    void connect(FrameSink* wire) { wire_ = wire; }
    /// Puts the virtual functions onto the bus; the adapter itself is there.
    void attach_virtual_functions(pci::PciBus& bus);

    // --- the wire
    void receive(std::span<const u8> frame) override;
    std::size_t room() const override;

    unsigned extra_buses() const override { return 1; }
    bool is_one_device_with(u16 requester) const override { return Function::is_one_device_with(requester) || sriov_->has(requester); }
    std::vector<pci::Wish> wishes() override;
    void remap() override;

    // --- for people
    const Chip& chip() const { return chip_; }
    virtual std::string describe() const = 0;
    std::string describe_switch() const;
    std::string describe_pools() const;
    std::string describe_vf(unsigned n) const;
    const PoolCounters& counters(unsigned pool) const { return pools_[pool]; }
    const QueueCounters& queue_counters(unsigned queue) const { return queue_counters_[queue]; }
    const PortCounters& port_counters() const { return port_; }
    /// Everything that was counted since power on goes to the glass, for the report.
    void publish_counters();
    unsigned virtual_functions() const { return sriov_->count(); }
    u64 interrupts() const { return vectors_.sent(); }
    /// Frames that the port lost for want of room.
    u64 missed() const { return port_.no_room; }
    u64 link_changes() const { return link_changes_; }
    Mac address() const { return options_.mac; }
    /// A register of the table as it is stored: nothing happens.
    u32 peek(u32 offset) const { return regs_.get(offset); }

    static constexpr u64 doorbell_delay = 500;      ///< virtual nanoseconds from a doorbell to the first descriptor
    static constexpr u64 burst_time = 12'000;       ///< of the wire, filled at once
    static constexpr unsigned burst_descriptors = 256;
    static constexpr std::size_t largest_send = 256 << 10;

protected:
    friend class VirtualFunction;

    // --- what a chip says
    virtual u32 receive_ring(unsigned queue) const = 0;
    virtual u32 transmit_ring(unsigned queue) const = 0;
    /// Where a register really is; old names of registers lead to the same.
    virtual u32 canonical(u32 offset) const { return offset; }
    virtual u32 read_effect(const Bank::Place& place, u32 offset, u32 stored) = 0;
    virtual void write_effect(const Bank::Place& place, u32 offset, u32 before, u32 written) = 0;
    virtual PortRules port_rules() const = 0;
    virtual PoolRules pool_rules(unsigned pool) const = 0;
    virtual MirrorRule mirror_rule(unsigned) const { return {}; }
    /// Pools whose exact filters have this address; nothing when none has.
    virtual std::optional<u64> exact(Mac mac) const = 0;
    virtual bool hashed(Mac mac) const = 0;
    /// Pools in the entry for this VLAN.
    virtual u64 vlan_pools(u16 vlan) const = 0;
    virtual unsigned pool_of(unsigned queue) const = 0;
    /// The virtual function that the queue belongs to when there are so many.
    virtual unsigned vf_of(unsigned queue) const = 0;
    virtual unsigned queue_of(unsigned pool, unsigned traffic_class, unsigned index) const = 0;
    virtual SpreadRules spread(unsigned pool, unsigned traffic_class) const = 0;
    virtual ClassRules class_rules() const = 0;
    virtual FlowRules flow_rules() const = 0;
    virtual unsigned redirection(unsigned hash) const = 0;
    /// What the registers say of filters for flows.
    virtual Filters filter_rules() const = 0;
    /// A table of flows, asked after the filters and before spreading.
    virtual std::optional<FlowMatch> flow_match(const Packet& p, unsigned pool) { return static_cast<void>(p), static_cast<void>(pool), std::nullopt; }
    virtual bool strip_vlan(unsigned queue, unsigned pool) const = 0;
    /// Whether a frame for which the queue has no descriptor is lost, whatever its split receive control says.
    virtual bool queue_drops(unsigned) const { return false; }
    virtual void queue_event(unsigned queue, bool transmit) = 0;
    virtual void pool_spoofed(unsigned pool) { static_cast<void>(pool); }
    virtual void chip_counts_receive(unsigned queue, std::size_t bytes) { static_cast<void>(queue), static_cast<void>(bytes); }
    virtual void chip_counts_transmit(unsigned queue, std::size_t bytes) { static_cast<void>(queue), static_cast<void>(bytes); }
    /// For want of a descriptor.
    virtual void chip_counts_lost(unsigned queue) = 0;
    virtual void chip_missed(unsigned traffic_class) = 0;
    virtual void chip_counts_pause(bool sent, const Pause& pause) = 0;
    virtual void chip_reset() = 0;
    virtual void chip_state(Visitor& v) = 0;
    /// Nanoseconds for a byte of this queue when a rate is set; 0: the wire's.
    virtual u64 rate_time(unsigned queue, std::size_t bytes) const { return static_cast<void>(queue), static_cast<void>(bytes), u64{0}; }
    virtual void raise(u32 causes) = 0;
    // virtual functions
    /// Where the VF's register of a ring is among the adapter's; nothing for an offset where it has none.
    virtual std::optional<u32> ring_of_vf(unsigned vf, u32 offset) const = 0;
    /// A VF's register of an effect that only the chip knows.
    virtual u32 vf_read_effect(Effect, u32 stored) { return stored; }
    /// The VF asks the PF (`request`) or acknowledges.
    virtual void vf_mail(unsigned vf, bool request) = 0;
    virtual void vf_was_reset(unsigned vf) = 0;
    virtual void vf_count_changed() {}
    /// The VF's mailbox or reset cause: by its own table of vectors.
    virtual void vf_other_cause(VirtualFunction& vf) = 0;

    // --- what the core offers
    Bank& regs() { return regs_; }
    const Bank& regs() const { return regs_; }
    u32 reg(u32 offset) const { return regs_.get(offset); }
    Clock& clock() { return clock_; }
    const Clock& clock() const { return clock_; }
    Vectors& vectors() { return vectors_; }
    VirtualFunction* vf(unsigned n) { return n < vfs_.size() ? vfs_[n].get() : nullptr; }
    const VirtualFunction* vf(unsigned n) const { return n < vfs_.size() ? vfs_[n].get() : nullptr; }
    pci::SrIov& sriov() { return *sriov_; }
    const pci::SrIov& sriov() const { return *sriov_; }

    /// Whether a register access comes while the adapter works at its rings: DMA of a neighbour that has got a frame just now. It is refused, and told.
    bool busy_at_rings(const Access& access);
    void write_ring(u32 offset, u32 value);
    u32 read_register(u32 offset);
    void write_register(u32 offset, u32 value);
    void reset_queues(unsigned first, unsigned count, unsigned step);
    void reset_core();
    void kick_transmit();
    void kick_receive();
    bool is_link_up() const { return link_; }
    /// The link goes and comes again.
    void negotiate();
    /// The same without a word to the driver, in a reset that the link survives or not.
    void reset_link(bool survives);
    /// In MTA or UTA; `select` chooses the address bits that are hashed.
    bool in_hash_table(Mac mac, unsigned select) const;
    void set_interval(Vectors& vectors, unsigned n, u32 value);
    /// A queue's cause is on its way to a vector of this function.
    void tell_cause(const pci::Function& function, unsigned queue, bool transmit, unsigned vector);
    /// RTTBCNRC of a queue: enable, and the link's rate over the wanted one with 14 bits of fraction.
    u32 rate(unsigned queue) const { return rates_[queue]; }

    // --- pci
    void bar_access(unsigned bar, Access& access) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    struct Context {
        u32 word[4]{};
        void state(Visitor& v) { v.field("word", word); }
    };

    struct TransmitQueue {
        std::array<Context, 2> contexts{};
        std::vector<u8> data;     ///< of a frame whose last descriptor has not come
        u32 command = 0, options = 0, legacy = 0; ///< of its first
        bool begun = false, bad = false;
        u64 allowed = 0;          ///< by its rate
        void state(Visitor& v);
    };

    struct Arrived {
        std::vector<u8> frame;
        u16 queue = 0;
        u8 pool = 0;
        bool looped = false;
        u32 hash = 0, hash_type = 0;
        u32 status = 0;        ///< bits of the descriptor's that are known on arrival
        u8 type_filter = none; ///< the Ethertype filter that matched
        static constexpr u8 none = 0xff;
        void state(Visitor& v);
    };

    struct Ring {
        u64 base = 0;
        u32 size = 0, head = 0, tail = 0;
    };

    using Pools = u64;

    struct Choice {
        Pools pools = 0;
        const char* why = "";
        bool inexact = false;
        u64 PortCounters::*drop = &PortCounters::no_filter; ///< what counts it when there is no pool
    };

    // adapter.cpp
    /// What the registers say now, kept until one of them changes.
    const PortRules& rules_now() const;
    const PoolRules& rules_of(unsigned pool) const;
    std::optional<Pools> exact_pools(Mac mac) const;
    const std::array<u8, 40>& hash_key_now() const;
    const ClassRules& classes_now() const { return derived().classes; }
    const FlowRules& flow_rules_now() const { return derived().flow; }
    Ring ring_at(u32 at) const;
    bool ring_runs(u32 at, const Ring& r);
    pci::Function& owner(unsigned queue);
    void sriov_changed();
    void link_came();
    // effects.cpp
    std::optional<u32> common_read(const Bank::Place& place, u32 offset, u32 stored);
    bool common_write(const Bank::Place& place, u32 offset, u32 before, u32 written);
    u64 system_time() const;
    // time_stamps.cpp
    /// Reading the lower half holds the upper one.
    u32 read_time(u32 offset);
    bool stamp_received(const Packet& p, const Choice& choice);
    void stamp_sent();
    // vf_registers.cpp
    std::optional<u32> vf_ring_register(unsigned vf, u32 offset) const;
    u32 vf_read(VirtualFunction& vf, u32 offset);
    void vf_write(VirtualFunction& vf, u32 offset, u32 value);
    // transmit.cpp
    void transmit_work();
    /// What is spent in one call of it.
    struct Turn {
        u64 now, next; ///< instants: this one, and when there is more to do
        unsigned left; ///< descriptors
        u64 used = 0;  ///< tenths of nanoseconds of the wire
        QueueSet waiting; ///< queues that may still do something
    };
    /// Classes that have something to send and may.
    u8 ready_classes(Turn& turn) const;
    /// A queue's next frame.
    void queue_turn(unsigned queue, Turn& turn);
    /// One descriptor. Tenths of nanoseconds of the wire that it used.
    u64 transmit_descriptor(unsigned queue, const u32 (&d)[4]);
    void gather(unsigned queue, TransmitQueue& q, u64 address, u32 length);
    u64 send_gathered(unsigned queue, TransmitQueue& q);
    void report_done(unsigned queue, u32 at, u32 index, u32 dword3, bool report);
    u64 send_segments(unsigned queue, TransmitQueue& q, const Context& c);
    u64 send_frame(unsigned queue, std::vector<u8>& frame, u32 tag, bool tagged);
    // switch.cpp
    Choice choose_pools(const Packet& p, const PortRules& rules, bool local) const;
    bool spoofed(const Packet& p, unsigned pool);
    u64 switch_frame(std::span<const u8> frame, unsigned pool);
    void deliver(std::span<const u8> frame, const Packet& p, const PortRules& rules, Choice choice, bool looped, int from, u32 status = 0);
    void mirror(std::span<const u8> frame, const Packet& p, const PortRules& rules, Pools pools, bool looped, int from, Pools& targets) const;
    static std::string text_of(const Packet& p);
    /// Tells what becomes of a frame; costs nothing while nobody hears of the topic.
    template <class... More> void explain(std::string_view event, const Packet& p, const More&... more) {
        if (glass().on(Topic::vtc)) [[unlikely]]
            glass().tell(Topic::vtc, event, {{"adapter", name()}, {"frame", text_of(p)}, more...});
    }
    bool vlan_known(u16 vlan) const;
    bool vlan_in_entries(u16 vlan, u64 entries) const;
    std::array<u8, 40> hash_key() const;
    /// The queue and what the descriptor says of how it was found; nothing to be done with `drop`.
    struct Steering {
        unsigned queue = 0;
        u32 hash = 0, hash_type = 0, status = 0;
        u8 type_filter = Arrived::none;
        bool drop = false;
        const char* why = nullptr; ///< a filter's name
    };
    Steering steer(const Packet& p, unsigned pool, unsigned traffic_class);
    void to_wire(std::span<const u8> frame);
    void received(std::span<const u8> frame, const PortRules& rules);
    void drop(u64 PortCounters::*counter, const Packet& p, std::string_view why);
    void store(std::span<const u8> frame, unsigned pool, unsigned traffic_class, const Steering& s, bool looped, u32 status);
    std::size_t room_of(unsigned traffic_class) const;
    // pause.cpp
    /// Whether the frame was for the port itself; then nobody else gets it.
    bool take_control_frame(const Packet& p);
    void watch_level(unsigned traffic_class);
    void refresh_pauses();
    u64 pause_quantum() const { return pause_quantum_bytes * chip_.byte_time; }
    // receive.cpp
    void drain();
    enum class Stored : u8 { done, waits, lost };
    Stored write_to_ring(const Arrived& a);
    void count_seen(const Packet& p);
    void count_segmented();
    void count_received(const Packet& p);
    void count_sent(const Packet& p);

    Clock& clock_;
    const Chip& chip_;
    Options options_;
    Bank regs_;
    Vectors vectors_;
    pci::SrIov* sriov_ = nullptr;
    std::vector<std::unique_ptr<VirtualFunction>> vfs_;
    unsigned vf_count_ = 0; ///< as of the last change
    FrameSink* wire_ = nullptr;
    Nvm nvm_; ///< no state: made from the address
    Timer transmit_timer_, receive_timer_, link_timer_, flow_timer_;
    bool link_ = false;
    std::vector<u32> rates_;           ///< RTTBCNRC by queue
    u64 time_base_ = 0, time_set_ = 0; ///< the system time's value when it was set, and when that was
    std::vector<TransmitQueue> transmit_;
    QueueSet rung_; ///< transmit queues that may have something to do; derived: all of them is never wrong

    /// Received frames of a class that wait for descriptors.
    struct Buffer {
        std::deque<Arrived> frames;
        u64 bytes = 0;
    };
    std::array<Buffer, most_classes> buffers_;
    FlowControl flow_;
    Arbiter arbiter_;
    Filters filters_;   ///< derived from registers

    /// Derived from registers too, of this version.
    struct Derived {
        u64 version = ~u64{0};
        PortRules port;
        ClassRules classes;
        FlowRules flow;
        std::array<u8, 40> key{};
        std::vector<std::optional<PoolRules>> pools;
        std::unordered_map<Mac, std::optional<Pools>> exact; ///< of the addresses that frames have had
    };
    const Derived& derived() const;
    static constexpr std::size_t most_addresses = 4096;
    mutable Derived derived_;
    u64 wire_free_ = 0; ///< when the wire has sent everything
    std::array<u8, most_classes> next_queue_{}; ///< by class
    std::vector<PoolCounters> pools_;
    std::vector<QueueCounters> queue_counters_;
    PortCounters port_;
    u64 link_changes_ = 0;
    bool working_ = false; ///< rings are being worked at: DMA must not come back to the adapter's own registers
};

} // namespace vitrine::vtc
