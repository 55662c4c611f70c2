// SPDX-License-Identifier: Apache-2.0
// The report's sections: the whole run, each guest with its four paths, remapping, adapters.
#include "report/tables.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::report {

namespace {

using vtx::ExitReason;

double share(u64 part, u64 whole) {
    return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

u64 sum_of(const auto& map) {
    u64 n = 0;
    for (const auto& [key, count] : map)
        n += count;
    return n;
}

/// A name as part of a figure's: "data write, not mapped" is data-write-not-mapped.
std::string slug(std::string_view name) {
    std::string text;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || (c >= 'A' && c <= 'Z'))
            text += plain ? c : static_cast<char>(c - 'A' + 'a');
        else if (!text.empty() && text.back() != '-')
            text += '-';
    }
    while (!text.empty() && text.back() == '-')
        text.pop_back();
    return text;
}

std::string device_text(u16 id) {
    return fmt::format("{:02x}:{:02x}.{}", id >> 8, id >> 3 & 31, id & 7);
}

/// Rows of a map from names to counts, highest first.
Table counts(std::string title, std::string_view column, const std::string& figure, const ByName& map) {
    Table table{std::move(title), {}, {{column}, {"count"}}, {}};
    std::vector<std::pair<std::string, u64>> rows(map.begin(), map.end());
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    const u64 all = sum_of(map);
    for (const auto& [name, n] : rows)
        table.rows.push_back({Cell::words(name), Cell::count(figure + "." + slug(name), n, share(n, all))});
    return table;
}

// ---- a guest's four paths
// ---------------------------------------------------------------------------------------------------

Panel code(const Guest& g, const std::string& id) {
    Panel panel{"Guest code",
                "VM exits by reason; the instructions and the virtual time before each in the guest, and behind it in "
                "the VMM until the next VM entry, waiting included.",
                {},
                ""};
    Table table{"",
                "",
                {{"exit reason"},
                 {"exits"},
                 {"guest instructions", true},
                 {"VMM instructions"},
                 {"mean", true},
                 {"guest time", true},
                 {"VMM time"}},
                {}};
    std::vector<std::pair<ExitReason, ExitSum>> rows(g.exits.begin(), g.exits.end());
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) { return a.second.exits > b.second.exits; });
    const u64 all = g.all_exits();
    for (const auto& [reason, sum] : rows) {
        const vtx::ExitRow* row = vtx::find_exit(reason);
        const std::string figure = fmt::format("{}.exit.{}", id, row->id);
        table.rows.push_back({Cell::words(row->name), Cell::count(figure, sum.exits, share(sum.exits, all)),
                              Cell::count(figure + ".guest-instructions", sum.guest.instructions),
                              Cell::count(figure + ".vmm-instructions", sum.vmm.instructions),
                              Cell::count(figure + ".vmm-mean", sum.vmm.instructions / sum.exits),
                              Cell::time(figure + ".guest-time", sum.guest.time),
                              Cell::time(figure + ".vmm-time", sum.vmm.time)});
    }
    panel.tables.push_back(std::move(table));
    return panel;
}

Panel memory(const Guest& g, const std::string& id) {
    Panel panel{"Guest memory",
                "What EPT did not allow: the VMM gives memory, or plays a device.",
                {},
                "No EPT violation and no EPT misconfiguration."};
    if (!g.violations.empty())
        panel.tables.push_back(counts("EPT violations", "access", id + ".violation", g.violations));
    if (const u64 n = g.count(ExitReason::ept_misconfiguration))
        panel.tables.push_back({"EPT misconfigurations",
                                "Used on purpose, they mark the memory of devices.",
                                {{"exit"}, {"count"}},
                                {{Cell::words("EPT misconfiguration"), Cell::count(id + ".misconfigurations", n)}}});
    return panel;
}

Table ports(const Guest& g, const std::string& id) {
    constexpr std::size_t most = 12;
    Table table{"Intercepted ports", "", {{"port"}, {"writes"}, {"reads"}}, {}};
    std::vector<std::pair<u16, PortSum>> rows(g.ports.begin(), g.ports.end());
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return a.second.reads + a.second.writes > b.second.reads + b.second.writes;
    });
    u64 rest_writes = g.other_ports.writes, rest_reads = g.other_ports.reads, writes = rest_writes, reads = rest_reads;
    for (std::size_t n = 0; n < rows.size(); ++n) {
        const auto& [port, sum] = rows[n];
        writes += sum.writes;
        reads += sum.reads;
        if (n >= most) {
            rest_writes += sum.writes;
            rest_reads += sum.reads;
            continue;
        }
        const std::string figure = fmt::format("{}.port.{:x}", id, port);
        table.rows.push_back({Cell::words(fmt::format("{:#x}", port)), Cell::count(figure + ".writes", sum.writes),
                              Cell::count(figure + ".reads", sum.reads)});
    }
    if (rows.size() > most)
        table.rows.push_back({Cell::words(fmt::format("{} more", rows.size() - most)),
                              Cell::count(id + ".port.more.writes", rest_writes),
                              Cell::count(id + ".port.more.reads", rest_reads)});
    table.rows.push_back(
        {Cell::words("all"), Cell::count(id + ".port-writes", writes), Cell::count(id + ".port-reads", reads)});
    return table;
}

Table pic(const Guest& g, const std::string& id) {
    Table table{"Writes to the 8259s, by register", "", {{"register"}, {"master"}, {"slave"}}, {}};
    for (const std::string name : {"ICW1", "ICW2", "ICW3", "ICW4", "OCW1", "OCW2", "OCW3"}) {
        std::vector<Cell> row{Cell::words(name)};
        u64 both = 0;
        for (const std::string chip : {"master", "slave"}) {
            const auto found = g.pic.find(chip + " " + name);
            const u64 n = found == g.pic.end() ? 0 : found->second;
            both += n;
            row.push_back(Cell::count(fmt::format("{}.8259.{}-{}", id, chip, slug(name)), n));
        }
        if (both)
            table.rows.push_back(std::move(row));
    }
    return table;
}

Panel device_io(const Guest& g, const std::string& id) {
    Panel panel{"Device I/O",
                "What the guest meant for devices, what came from them, and what it was given.",
                {},
                "No port was intercepted and no interrupt passed."};
    if (!g.ports.empty())
        panel.tables.push_back(ports(g, id));
    if (!g.pic.empty())
        panel.tables.push_back(pic(g, id));
    Table table{"Interrupts", "", {{"interrupt"}, {"count"}}, {}};
    const auto row = [&](std::string_view what, std::string_view figure, u64 n) {
        if (n)
            table.rows.push_back({Cell::words(std::string(what)), Cell::count(id + "." + std::string(figure), n)});
    };
    row("physical, taken while it ran (external-interrupt exits)", "physical-interrupts", sum_of(g.physical));
    row("virtual, injected at VM entry", "injected-interrupts", sum_of(g.injected_vectors));
    row("virtual, delivered by the processor (virtual-interrupt delivery)", "delivered-interrupts",
        sum_of(g.delivered));
    row("notifications of posted interrupts taken without a VM exit", "notifications", g.notifications);
    for (const auto& [kind, n] : g.injected)
        if (kind != "external interrupt")
            row("injected at VM entry: " + kind, "injected." + slug(kind), n);
    if (!table.rows.empty())
        panel.tables.push_back(std::move(table));
    Table vectors{"Virtual interrupts by vector", "", {{"vector"}, {"injected"}, {"delivered"}}, {}};
    std::map<unsigned, std::pair<u64, u64>> by_vector;
    for (const auto& [vector, n] : g.injected_vectors)
        by_vector[vector].first = n;
    for (const auto& [vector, n] : g.delivered)
        by_vector[vector].second = n;
    for (const auto& [vector, n] : by_vector)
        vectors.rows.push_back({Cell::words(fmt::format("{:#x}", vector)),
                                Cell::count(fmt::format("{}.vector.{:x}.injected", id, vector), n.first),
                                Cell::count(fmt::format("{}.vector.{:x}.delivered", id, vector), n.second)});
    if (!vectors.rows.empty())
        panel.tables.push_back(std::move(vectors));
    return panel;
}

Table dma_table(std::string title, std::string_view who) {
    return {std::move(title), "", {{who}, {"reads"}, {"writes"}, {"blocked"}, {"bytes", true}}, {}};
}

std::vector<Cell> dma_row(const DmaSum& sum, std::string name, const std::string& figure) {
    return {Cell::words(std::move(name)), Cell::count(figure + ".reads", sum.reads),
            Cell::count(figure + ".writes", sum.writes), Cell::count(figure + ".blocked", sum.blocked),
            Cell::count(figure + ".bytes", sum.bytes)};
}

Panel dma(const Guest& g, const Remapping& r, const std::string& id) {
    Panel panel{"DMA",
                "Domains of the remapping unit whose device addresses lead to this guest's memory, as its EPT has it.",
                {},
                "No device's DMA leads to this guest's memory through VT-d."};
    if (g.domains.empty())
        return panel;
    Table table = dma_table("", "domain");
    for (const u16 number : g.domains)
        if (const auto found = r.domains.find(number); found != r.domains.end())
            table.rows.push_back(
                dma_row(found->second, fmt::format("domain {}", number), fmt::format("{}.domain.{}", id, number)));
    panel.tables.push_back(std::move(table));
    return panel;
}

std::string list(const std::vector<u64>& numbers, std::string_view prefix) {
    constexpr std::size_t most = 8;
    std::string text;
    for (std::size_t n = 0; n < std::min(numbers.size(), most); ++n)
        text += fmt::format("{}{}{:x}", n ? ", " : "", prefix, numbers[n]);
    return numbers.size() > most ? text + fmt::format(" and {} more", numbers.size() - most) : text;
}

Section guest(const Guest& g, const Report& report) {
    const std::string id = fmt::format("vm{}", g.number);
    Section s{id, g.name(), "", {}, {}};
    s.note = fmt::format("{}; VMCS {}{}{}; from {} to {}", g.eptp ? fmt::format("EPTP {:#x}", g.eptp) : "without EPT",
                         list(g.vmcs, "0x"), g.vpids.empty() ? "" : "; VPID ", list(g.vpids, ""),
                         time_text(g.first_entry), time_text(g.last_exit));
    const auto figure = [&](std::string name, u64 n, bool time) {
        Cell c = time ? Cell::time(id + "." + slug(name), n) : Cell::count(id + "." + slug(name), n);
        s.head.push_back(Cell::words(std::move(name)));
        s.head.push_back(std::move(c));
    };
    figure("VM exits", g.all_exits(), false);
    figure("EPT violations", g.count(ExitReason::ept_violation), false);
    figure("physical interrupts taken", sum_of(g.physical), false);
    figure("virtual interrupts", sum_of(g.injected_vectors) + sum_of(g.delivered), false);
    figure("guest instructions", g.in_guest().instructions, false);
    figure("VMM instructions for it", g.in_vmm().instructions, false);
    figure("time in the guest", g.in_guest().time, true);
    figure("time in the VMM for it", g.in_vmm().time, true);
    s.panels = {code(g, id), memory(g, id), device_io(g, id), dma(g, report.remapping, id)};
    return s;
}

// ---- the machine
// ------------------------------------------------------------------------------------------------------------

Section whole(const Report& r) {
    Section s{"run", "The run", r.outcome, {}, {}};
    u64 exits = 0;
    for (const Guest& g : r.guests)
        exits += g.all_exits();
    const auto add = [&](std::string name, Cell c) {
        s.head.push_back(Cell::words(std::move(name)));
        s.head.push_back(std::move(c));
    };
    add("virtual time", Cell::time("virtual-time", r.end - r.begin));
    add("host time", Cell::time("host-time", r.host_time));
    add("instructions retired", Cell::count("retired", r.retired));
    add("guests seen", Cell::count("guests", r.guests.size()));
    add("VM exits", Cell::count("vm-exits", exits));
    add("frames into pools", Cell::count("frames", r.frames_seen));
    if (r.failed_entries)
        add("failed VM entries", Cell::count("failed-entries", r.failed_entries));
    if (r.guests_left_out)
        add("VM entries of guests beyond the bound", Cell::count("left-out", r.guests_left_out));
    Panel panel{
        "Where the instructions went", "Retired instructions by processor and mode of operation: exact.", {}, ""};
    Table table{"", "", {{"processor"}, {"guests"}, {"VMM"}, {"outside VMX"}, {"all", true}}, {}};
    for (std::size_t n = 0; n < r.processors.size(); ++n) {
        const Processor& p = r.processors[n];
        const std::string id = fmt::format("cpu{}", n);
        table.rows.push_back({Cell::words(fmt::format("CPU{}", n)),
                              Cell::count(id + ".guests", p.guests, share(p.guests, p.retired)),
                              Cell::count(id + ".root", p.root, share(p.root, p.retired)),
                              Cell::count(id + ".outside", p.outside(), share(p.outside(), p.retired)),
                              Cell::count(id + ".retired", p.retired)});
    }
    panel.tables.push_back(std::move(table));
    s.panels.push_back(std::move(panel));
    return s;
}

Section remapping(const Report& report) {
    const Remapping& r = report.remapping;
    Section s{"vtd", "Remapping: VT-d", "", {}, {}};
    const auto total = [&](std::string name, std::string_view counter) {
        const auto found = r.totals.find(counter);
        s.head.push_back(Cell::words(std::move(name)));
        s.head.push_back(Cell::count(std::string(counter), found == r.totals.end() ? 0 : found->second));
    };
    total("interrupts remapped", "vtd.interrupt.remapped");
    total("interrupts posted", "vtd.interrupt.posted");
    total("notifications sent", "vtd.interrupt.notified");
    total("DMA blocked", "vtd.dma.blocked");
    total("interrupts blocked", "vtd.interrupt.blocked");
    total("faults recorded", "vtd.fault.recorded");
    total("IOTLB hits", "vtd.iotlb.hit");
    total("IOTLB misses", "vtd.iotlb.miss");
    Panel devices{"By device",
                  "All DMA of a device, translated or not, and the messages that it sent.",
                  {},
                  "No device has done anything."};
    Table table = dma_table("", "device");
    table.columns.insert(table.columns.end(), {{"remapped"}, {"posted"}});
    for (const auto& [id, sum] : r.devices) {
        const std::string figure = fmt::format("vtd.device.{}", device_text(id));
        auto row = dma_row(sum, fmt::format("{} {}", device_text(id), sum.name), figure);
        const auto counted = r.interrupts.find(id);
        row.push_back(Cell::count(figure + ".remapped", counted == r.interrupts.end() ? 0 : counted->second.first));
        row.push_back(Cell::count(figure + ".posted", counted == r.interrupts.end() ? 0 : counted->second.second));
        table.rows.push_back(std::move(row));
    }
    if (!table.rows.empty())
        devices.tables.push_back(std::move(table));
    Panel domains{"By domain", "Translated requests.", {}, "No request was translated."};
    table = dma_table("", "domain");
    for (const auto& [number, sum] : r.domains)
        table.rows.push_back(dma_row(sum,
                                     sum.guest ? fmt::format("{} ({})", number, report.guests[sum.guest - 1].name())
                                               : fmt::format("{}", number),
                                     fmt::format("vtd.domain.{:04x}", number)));
    if (!table.rows.empty())
        domains.tables.push_back(std::move(table));
    Panel faults{"Blocked, by reason", "", {}, "Nothing was blocked."};
    if (!r.faults.empty())
        faults.tables.push_back(counts("", "fault reason", "vtd.fault", r.faults));
    s.panels = {std::move(devices), std::move(domains), std::move(faults)};
    return s;
}

Section adapter(const AdapterSum& a) {
    Section s{slug(a.name),
              fmt::format("Adapter {}: {}", a.name, a.chip),
              fmt::format("{} virtual functions at the end", a.virtual_functions),
              {},
              {}};
    u64 rx = 0, tx = 0, looped = 0;
    ByName by_pools, by_port; // without what did not happen
    for (const PoolSum& p : a.pools)
        for (const auto& [why, n] : p.lost)
            if (n)
                by_pools[why] += n;
    for (const auto& [why, n] : a.lost)
        if (n)
            by_port[why] += n;
    Table table{
        "", "", {{"pool"}, {"received"}, {"sent"}, {"to pools"}, {"rx bytes", true}, {"tx bytes", true}, {"lost"}}, {}};
    for (const PoolSum& p : a.pools) {
        rx += p.rx_frames;
        tx += p.tx_frames;
        looped += p.looped;
        const std::string figure = fmt::format("{}.pool.{}", a.name, p.pool);
        table.rows.push_back(
            {Cell::words(fmt::format("{} ({})", p.pool, p.owner)), Cell::count(figure + ".rx-frames", p.rx_frames),
             Cell::count(figure + ".tx-frames", p.tx_frames), Cell::count(figure + ".looped", p.looped),
             Cell::count(figure + ".rx-bytes", p.rx_bytes), Cell::count(figure + ".tx-bytes", p.tx_bytes),
             Cell::count(figure + ".lost", sum_of(p.lost))});
    }
    const auto figure = [&](std::string name, u64 n) {
        Cell c = Cell::count(fmt::format("{}.{}", a.name, slug(name)), n);
        s.head.push_back(Cell::words(std::move(name)));
        s.head.push_back(std::move(c));
    };
    figure("frames into rings", rx);
    figure("frames sent", tx);
    figure("sent to own pools", looped);
    figure("missed", a.missed);
    Panel panel{"By pool",
                "VMDq pools; with virtual functions a pool is a function's. \"To pools\": frames that another pool of "
                "the port got.",
                {},
                "No frame passed."};
    if (!table.rows.empty())
        panel.tables.push_back(std::move(table));
    s.panels.push_back(std::move(panel));
    Panel dropped{"Lost, by reason",
                  "Frames from outside that went to no pool, and copies that a pool or its queues did not take or may not "
                  "send. The names are those of --stats.",
                  {},
                  "Nothing was lost."};
    if (!by_port.empty())
        dropped.tables.push_back(counts("At the port", "reason", a.name + ".dropped", by_port));
    if (!by_pools.empty())
        dropped.tables.push_back(counts("In pools", "reason", a.name + ".pools.dropped", by_pools));
    s.panels.push_back(std::move(dropped));
    return s;
}

} // namespace

std::vector<Section> sections(const Report& report) {
    std::vector<Section> all{whole(report)};
    for (const Guest& g : report.guests)
        all.push_back(guest(g, report));
    if (report.remapping.present)
        all.push_back(remapping(report));
    for (const AdapterSum& a : report.adapters)
        all.push_back(adapter(a));
    return all;
}

std::vector<std::string_view> remarks() {
    return {
        "All counts are exact, and the same in every run of this machine with these inputs; host time alone is not.",
        "Instructions are those that a processor retired. Virtual time advances by one nanosecond for each of them, by "
        "64 for PAUSE and for a VM exit, and by the wait when all "
        "processors are halted. With several processors their turns lie one behind the other, so a period in a guest "
        "or in the VMM may hold turns of other processors; its instructions never do.",
        "A guest is known by its extended page tables: VMCSs that are entered with the same EPTP are one virtual "
        "machine. What the VMM does behind an exit is that exit's, until the next VM entry on "
        "the same processor, whichever guest is entered.",
        "Devices take no instructions. What they do on the host is in the host's time, which is measured as a whole: "
        "how it divides among layers is not counted.",
        "Failed VM entries are counted apart: they end no guest's period.",
    };
}

} // namespace vitrine::report
