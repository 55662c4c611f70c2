// SPDX-License-Identifier: Apache-2.0
// From the machine to the report's data.
#include "report/run_watch.h"

#include "machine/board.h"
#include "machine/machine.h"
#include "vtx/spec/controls.h"
#include "vtx/spec/ept_entry.h"

#include <fmt/format.h>

#include <cstring>

namespace vitrine::report {

class RunWatch::MachineProbe final : public Probe {
public:
    explicit MachineProbe(machine::Machine& machine) : machine_(machine) {}

    ProcessorView look(unsigned n) override {
        Cpu& cpu = machine_.cpu(n);
        ProcessorView view{.retired = cpu.retired_by_now(), .rax = cpu.gpr[rax]};
        vtx::Unit* unit = machine_.vmx(n);
        if (!unit)
            return view;
        view.root = unit->in_operation() && !unit->in_non_root();
        view.non_root = unit->in_non_root();
        const vtx::Vmcs& v = unit->vmcs();
        if (!v.valid())
            return view;
        using vtx::F;
        const u64 secondary = vtx::primary.activate_secondary_controls(v[F::primary]) ? v[F::secondary] : 0;
        view.vmcs = v.pointer();
        view.eptp = vtx::secondary.enable_ept(secondary) ? v[F::eptp] : 0;
        view.vpid = vtx::secondary.enable_vpid(secondary) ? static_cast<u16>(v[F::vpid]) : u16{0};
        view.descriptor = vtx::pin.process_posted_interrupts(v[F::pin_based]) ? v[F::posted_interrupt_descriptor] : 0;
        return view;
    }

    std::optional<u64> translate(u64 eptp, u64 guest_physical) override {
        const unsigned levels = vtx::ept_levels(eptp);
        if (levels > vtx::most_ept_levels || guest_physical >> vtx::ept_width(levels))
            return std::nullopt;
        u64 table = eptp & ~0xfffull & low_mask(52);
        for (unsigned level = levels;; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            const u8* at = machine_.space().host(Physical{table + (guest_physical >> shift & 0x1ff) * 8});
            if (!at)
                return std::nullopt;
            u64 entry;
            std::memcpy(&entry, at, 8);
            if (!(entry & 7))
                return std::nullopt;
            const u64 address = entry & ~0xfffull & low_mask(52);
            if (vtx::ept_leaf(entry, level))
                return (address & ~low_mask(shift)) | (guest_physical & low_mask(shift));
            table = address;
        }
    }

private:
    machine::Machine& machine_;
};

namespace {

/// The counters of frames that were dropped, by their names in --stats.
template <class Set> ByName lost(const Set& set) {
    constexpr std::string_view prefix = "dropped.";
    ByName found;
    for (const auto& row : vtc::rows_of(set))
        if (const std::string_view name = row.name; name.starts_with(prefix))
            found[std::string(name.substr(prefix.size()))] = set.*row.value;
    return found;
}

std::vector<AdapterSum> sums_of(machine::Machine& machine) {
    std::vector<AdapterSum> list;
    for (const vtc::Adapter* adapter : machine.board().adapters()) {
        AdapterSum& a = list.emplace_back();
        a.name = adapter->name();
        a.chip = adapter->chip().name;
        a.virtual_functions = adapter->virtual_functions();
        a.interrupts = adapter->interrupts();
        a.missed = adapter->missed();
        for (unsigned n = 0; n < adapter->chip().pools; ++n) {
            const vtc::PoolCounters& c = adapter->counters(n);
            PoolSum& p = a.pools.emplace_back();
            p.pool = n;
            p.owner = n < a.virtual_functions ? fmt::format("{}vf{}", a.name, n) : a.name;
            p.rx_frames = c.rx_frames;
            p.rx_bytes = c.rx_bytes;
            p.tx_frames = c.tx_frames;
            p.tx_bytes = c.tx_bytes;
            p.looped = c.looped;
            p.lost = lost(c);
        }
        a.lost = lost(adapter->port_counters());
    }
    return list;
}

/// What was counted since `before`, and only pools that have anything to say.
void take_away(std::vector<AdapterSum>& now, const std::vector<AdapterSum>& before) {
    for (std::size_t n = 0; n < now.size(); ++n) {
        AdapterSum& a = now[n];
        const AdapterSum& b = before[n];
        a.interrupts -= b.interrupts;
        a.missed -= b.missed;
        for (auto& [why, count] : a.lost)
            count -= b.lost.at(why);
        std::vector<PoolSum> used;
        for (std::size_t p = 0; p < a.pools.size(); ++p) {
            PoolSum& c = a.pools[p];
            const PoolSum& d = b.pools[p];
            c.rx_frames -= d.rx_frames;
            c.rx_bytes -= d.rx_bytes;
            c.tx_frames -= d.tx_frames;
            c.tx_bytes -= d.tx_bytes;
            c.looped -= d.looped;
            u64 lost = 0;
            for (auto& [why, count] : c.lost)
                lost += count -= d.lost.at(why);
            if (c.rx_frames || c.tx_frames || c.looped || lost)
                used.push_back(std::move(c));
        }
        a.pools = std::move(used);
    }
}

Place place_of(machine::Machine& m) {
    return {m.now(), m.instructions(), 0};
}

} // namespace

RunWatch::RunWatch(machine::Machine& machine)
    : machine_(machine), probe_(std::make_unique<MachineProbe>(machine)), collector_(*probe_, machine.cpus()),
      instructions_(machine.instructions()), retired_(machine.retired()), adapters_(sums_of(machine)) {
    collector_.begin(place_of(machine));
    machine.glass().set_watcher(Collector::topics, [this](const Place& place, Topic topic, std::string_view event,
                                                          std::initializer_list<Detail> details) {
        collector_.told(place, topic, event, details);
    });
}

RunWatch::~RunWatch() {
    machine_.glass().set_watcher({}, {});
}

Report RunWatch::finish() {
    Report report;
    machine_.glass().set_watcher({}, {});
    collector_.finish(place_of(machine_), report);
    report.instructions = machine_.instructions() - instructions_;
    report.retired = machine_.retired() - retired_;
    report.adapters = sums_of(machine_);
    take_away(report.adapters, adapters_);
    for (AdapterSum& a : report.adapters)
        for (PoolSum& p : a.pools)
            if (std::string owner = collector_.owner(a.name, p.pool); !owner.empty())
                p.owner = std::move(owner);
    add_remapping(report);
    return report;
}

void RunWatch::add_remapping(Report& report) {
    vtd::Unit* unit = machine_.board().iommu();
    Remapping& r = report.remapping;
    r.present = unit != nullptr;
    if (!unit)
        return;
    const auto add = [](DmaSum& sum, std::string name, const vtd::Traffic& t) {
        sum.name = std::move(name);
        sum.reads = t.reads;
        sum.writes = t.writes;
        sum.bytes = t.bytes;
        sum.interrupts = t.interrupts;
        sum.blocked = t.blocked;
    };
    for (const auto& [id, traffic] : unit->by_device())
        add(r.devices[id], unit->name_of(id), traffic);
    for (const auto& [number, traffic] : unit->by_domain())
        add(r.domains[number], fmt::format("domain {}", number), traffic);
    for (const auto& [name, count] : machine_.glass().counters())
        if (name.starts_with("vtd.") && !name.starts_with("vtd.device.") && !name.starts_with("vtd.domain."))
            r.totals[name] = count;
}

} // namespace vitrine::report
