// SPDX-License-Identifier: Apache-2.0
// What a report says, as plain data: guests with their four paths, remapping, adapters, figures over virtual time, the
// ways of single frames.
#pragma once

#include "report/series.h"
#include "vtx/spec/exits.h"
#include "words/integers.h"

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::report {

/// Instructions are retired ones. Time is the machine's: with several processors the turns of the others are in it.
struct Spent {
    u64 instructions = 0;
    u64 time = 0; ///< virtual nanoseconds

    void add(const Spent& other) {
        instructions += other.instructions;
        time += other.time;
    }
};

struct ExitSum {
    u64 exits = 0;
    Spent guest; ///< from the VM entry to the exit
    Spent vmm;   ///< from the exit to the next VM entry on that processor, whoever is entered
};

struct PortSum {
    u64 reads = 0, writes = 0;
};

using ByName = std::map<std::string, u64, std::less<>>;

/// A virtual machine as it is seen from below: the VMCSs that use the same EPT.
struct Guest {
    unsigned number = 0; ///< from 1, in the order of their first VM entries
    u64 eptp = 0;        ///< the last one; 0: without EPT
    std::vector<u64> vmcs, vpids;
    u64 first_entry = 0, last_exit = 0; ///< instants
    u64 entries = 0;
    std::map<vtx::ExitReason, ExitSum> exits;
    Spent unfinished;  ///< in VMX non-root operation when the run ended
    ByName violations; ///< EPT violations by what was tried, and what EPT said
    static constexpr std::size_t most_ports = 1024;
    std::map<u16, PortSum> ports; ///< the first ones
    PortSum other_ports;
    ByName pic;                               ///< writes to the 8259s by register, as the guest meant them
    std::map<int, u64> physical;              ///< external-interrupt exits by vector; -1: not acknowledged at the exit
    ByName injected;                          ///< by kind
    std::map<unsigned, u64> injected_vectors; ///< of external interrupts
    std::map<unsigned, u64> delivered;        ///< virtual-interrupt delivery, by vector
    u64 notifications = 0;                    ///< posted-interrupt processing in non-root operation
    std::vector<u16> domains;                 ///< of the remapping unit, whose memory is this guest's

    u64 all_exits() const;
    u64 count(vtx::ExitReason reason) const;
    Spent in_guest() const;
    Spent in_vmm() const;

    std::string name() const { return "VM " + std::to_string(number); }
};

/// One processor, over the run.
struct Processor {
    u64 retired = 0; ///< all of it
    u64 guests = 0;  ///< ... in VMX non-root operation
    u64 root = 0;    ///< ... in VMX root operation

    u64 outside() const { return retired - guests - root; }
};

/// What a device or a domain did through the remapping unit.
struct DmaSum {
    std::string name;
    u64 reads = 0, writes = 0, bytes = 0, interrupts = 0, blocked = 0;
    unsigned guest = 0; ///< of a domain: whose memory it is; 0: not known to be a guest's
};

struct Remapping {
    bool present = false;
    std::map<u16, DmaSum> devices, domains;
    ByName faults;                                 ///< blocked requests, by reason
    ByName totals;                                 ///< the unit's counters, by their names in --stats
    std::map<u16, std::pair<u64, u64>> interrupts; ///< by requester: remapped, posted
    u64 posted_notifying = 0;
};

struct PoolSum {
    unsigned pool = 0;
    std::string owner; ///< the function that has the pool's queues
    u64 rx_frames = 0, rx_bytes = 0, tx_frames = 0, tx_bytes = 0, looped = 0;
    ByName lost; ///< by reason
};

struct AdapterSum {
    std::string name, chip;
    unsigned virtual_functions = 0;
    u64 interrupts = 0, missed = 0;
    std::vector<PoolSum> pools;
    ByName lost; ///< what went to no pool, by reason
};

/// Where a step of a frame's way happens.
enum class Lane : u8 { wire, filter, ring, dma, interrupt, vmm, guest, count };

struct LaneRow {
    std::string_view name, what;
};

inline constexpr std::array<LaneRow, static_cast<unsigned>(Lane::count)> lanes{{
    {"wire", "outside, or another pool"},
    {"filter", "the adapter's switch chooses a pool"},
    {"ring", "queue of the pool"},
    {"DMA", "VT-d translates the device's addresses"},
    {"interrupt", "message, remapped or posted by VT-d"},
    {"VMM or OS", "VMX root operation, or a system without VMX"},
    {"guest", "VMX non-root operation"},
}};

struct Step {
    Lane lane = Lane::wire;
    u64 time = 0, instructions = 0;
    unsigned cpu = 0;
    std::string what, detail;
    bool inferred = false; ///< by the order of events alone
};

enum class JourneyEnd : u8 { under_way, lost, polled, processor, guest };

std::string_view text_of(JourneyEnd end);

struct Journey {
    unsigned number = 0; ///< from 1, in the order of arrival
    std::string adapter, frame, function;
    unsigned pool = 0, queue = 0;
    unsigned guest = 0; ///< whose memory the frame went to; 0: not known to be a guest's
    JourneyEnd end = JourneyEnd::under_way;
    std::vector<Step> steps;
};

struct Report {
    std::string title, outcome;
    u64 instructions = 0, retired = 0;
    u64 begin = 0, end = 0; ///< instants, virtual nanoseconds
    u64 host_time = 0;      ///< nanoseconds
    std::vector<Processor> processors;
    std::vector<Guest> guests;
    u64 guests_left_out = 0; ///< VM entries of virtual machines beyond the bound
    u64 failed_entries = 0;
    Remapping remapping;
    std::vector<AdapterSum> adapters;
    std::vector<Series> series;
    std::vector<Journey> journeys;
    u64 frames_seen = 0; ///< received or looped by an adapter, followed or not
};

} // namespace vitrine::report
