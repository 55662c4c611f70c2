// SPDX-License-Identifier: Apache-2.0
// Counting what the glass tells.
#include "report/collector.h"

#include "vtd/spec/faults.h"
#include "vtd/spec/structures.h"
#include "vtx/spec/controls.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace vitrine::report {

namespace {

using vtx::ExitReason;

// DMA for which somebody's EPT is asked whose memory it is.
constexpr unsigned asked_of_a_domain = 256, asked_of_all = 1 << 16;

/// The reason whose name an event tells.
std::optional<ExitReason> reason_of(std::string_view name) {
    static const auto reasons = [] {
        std::unordered_map<std::string_view, ExitReason> map;
        for (const vtx::ExitRow& r : vtx::exit_rows)
            map.emplace(r.name, r.reason);
        return map;
    }();
    const auto found = reasons.find(name);
    return found == reasons.end() ? std::nullopt : std::optional(found->second);
}

/// "data write, not mapped".
std::string violation_text(u64 q) {
    const auto& v = vtx::ept_violation_qualification;
    std::string text = v.fetch(q)                ? "instruction fetch"
                       : v.read(q) && v.write(q) ? "data read and write"
                       : v.write(q)              ? "data write"
                                                 : "data read";
    if (v.linear_valid(q) && !v.translated(q))
        text += " of the guest's page tables";
    if (!v.readable(q) && !v.writable(q) && !v.executable(q))
        return text + ", not mapped";
    return text + fmt::format(", mapped {}{}{}", v.readable(q) ? 'r' : '-', v.writable(q) ? 'w' : '-',
                              v.executable(q) ? 'x' : '-');
}

constexpr std::string_view injection_kinds[] = {
    "external interrupt", "reserved",           "NMI",
    "hardware exception", "software interrupt", "privileged software exception",
    "software exception", "other event"};

} // namespace

const Collector::Row Collector::rows[] = {
    {Topic::vmx, "exit", &Collector::exit},
    {Topic::vmx, "entry", &Collector::entry},
    {Topic::vmx, "virtual-interrupt", &Collector::virtual_interrupt},
    {Topic::vmx, "posted-interrupts", &Collector::posted_interrupts},
    {Topic::vmx, "vmclear", &Collector::vmclear},
    {Topic::vmx, "vmxon", &Collector::vmxon},
    {Topic::vmx, "vmxoff", &Collector::vmxoff},
    {Topic::vmx, "entry.invalid-controls", &Collector::failed_entry},
    {Topic::vmx, "entry.invalid-host-state", &Collector::failed_entry},
    {Topic::vmx, "entry.invalid-guest-state", &Collector::failed_entry},
    {Topic::vmx, "entry.msr-load-failed", &Collector::failed_entry},
    {Topic::vtd, "dma", &Collector::dma},
    {Topic::vtd, "interrupt", &Collector::interrupt},
    {Topic::vtd, "posted", &Collector::posted},
    {Topic::vtd, "dma.blocked", &Collector::blocked},
    {Topic::vtd, "interrupt.blocked", &Collector::blocked},
    {Topic::vtc, "received", &Collector::received},
    {Topic::vtc, "looped", &Collector::looped},
    {Topic::vtc, "stored", &Collector::stored},
    {Topic::vtc, "sent", &Collector::sent},
    {Topic::vtc, "cause", &Collector::cause},
    {Topic::vtc, "interrupt", &Collector::message},
    {Topic::vtc, "dropped", &Collector::dropped},
    {Topic::vtc, "missed", &Collector::missed},
    {Topic::vtc, "lost", &Collector::lost},
    {Topic::vtc, "reset", &Collector::adapter_reset},
    {Topic::interrupts, "apic.acknowledge", &Collector::acknowledge},
    {Topic::interrupts, "msi", &Collector::msi},
};

Collector::Collector(Probe& probe, unsigned cpus) : probe_(probe), cpus_(cpus), journeys_(guests_, probe) {}

void Collector::begin(const Place& place) {
    begin_ = place.time;
    for (Series* s : {&exits_, &interrupts_, &packets_, &dma_})
        s->begin(place.time);
    for (unsigned n = 0; n < cpus_.size(); ++n) {
        Cpu& c = cpus_[n];
        const ProcessorView view = probe_.look(n);
        c.begin = c.since_retired = view.retired;
        c.since_time = place.time;
        c.root = view.root || view.non_root;
        c.non_root = view.non_root;
        if (view.non_root)
            c.guest = guests_.entered(view);
    }
}

void Collector::told(const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details) {
    for (const Row& row : rows)
        if (row.topic == topic && row.event == event) {
            (this->*row.handler)({place, event, details});
            return;
        }
}

/// What the processor has spent in its present mode, which ends.
Spent Collector::close(Cpu& c, u64 time, u64 retired) {
    const Spent spent{retired - c.since_retired, time - c.since_time};
    if (c.non_root)
        c.sums.guests += spent.instructions;
    else if (c.root)
        c.sums.root += spent.instructions;
    c.since_time = time;
    c.since_retired = retired;
    return spent;
}

// ---- VMX
// --------------------------------------------------------------------------------------------------------------------

void Collector::entry(const Told& t) {
    Cpu& c = cpu(t);
    const unsigned n = static_cast<unsigned>(t.number("cpu"));
    const ProcessorView view = probe_.look(n);
    const Spent spent = close(c, t.place.time, view.retired);
    if (c.exit)
        c.exit->vmm.add(spent);
    c.exit = nullptr;
    c.root = c.non_root = true;
    c.guest = guests_.entered(view);
    if (!c.guest) {
        ++left_out_;
        return;
    }
    Guest& g = c.guest->sums;
    if (g.entries++ == 0)
        g.first_entry = t.place.time;
    const u64 event = t.number("event");
    if (!vtx::interruption.valid(event))
        return;
    const unsigned type = static_cast<unsigned>(vtx::interruption.type(event)),
                   vector = static_cast<unsigned>(vtx::interruption.vector(event));
    ++g.injected[std::string(injection_kinds[type & 7])];
    if (type != 0)
        return;
    ++g.injected_vectors[vector];
    interrupts_.count("injected", "injected at VM entry", t.place.time);
    journeys_.injected(t, vector);
}

void Collector::exit(const Told& t) {
    Cpu& c = cpu(t);
    const ProcessorView view = probe_.look(static_cast<unsigned>(t.number("cpu")));
    const Spent spent = close(c, t.place.time, view.retired);
    c.non_root = false;
    c.root = true;
    c.exit = nullptr;
    const std::optional<ExitReason> reason = reason_of(t.text("reason"));
    GuestRecord* record = guests_.by_vmcs(t.number("vmcs"));
    c.guest = nullptr;
    if (!reason)
        return;
    exits_.count(vtx::find_exit(*reason)->id, vtx::find_exit(*reason)->name, t.place.time);
    if (!record)
        return;
    Guest& g = record->sums;
    g.last_exit = t.place.time;
    ExitSum& sum = g.exits[*reason];
    ++sum.exits;
    sum.guest.add(spent);
    c.exit = &sum;
    switch (*reason) {
    case ExitReason::ept_violation:
        ++g.violations[violation_text(t.number("qualification"))];
        break;
    case ExitReason::io_instruction:
        port(*record, t.number("qualification"), view.rax);
        break;
    case ExitReason::external_interrupt: {
        const u64 event = t.number("event");
        ++g.physical[vtx::interruption.valid(event) ? static_cast<int>(vtx::interruption.vector(event)) : -1];
        interrupts_.count("physical", "physical: external-interrupt exits", t.place.time);
        break;
    }
    default:
        break;
    }
}

/// Exit Qualification for I/O Instructions: size, direction, string, port.
void Collector::port(GuestRecord& g, u64 q, u64 rax) {
    const u16 port = static_cast<u16>(q >> 16);
    const bool in = q & 8, string = q & 16, byte = (q & 7) == 0;
    const bool known = g.sums.ports.size() < Guest::most_ports || g.sums.ports.contains(port);
    PortSum& sum = known ? g.sums.ports[port] : g.sums.other_ports;
    ++(in ? sum.reads : sum.writes);
    if (in || string || !byte)
        return;
    if (const auto name = g.pic.write(port, static_cast<u8>(rax)))
        ++g.sums.pic[std::string(*name)];
}

void Collector::vmxon(const Told& t) {
    Cpu& c = cpu(t);
    close(c, t.place.time, probe_.look(static_cast<unsigned>(t.number("cpu"))).retired);
    c.root = true;
}

void Collector::vmxoff(const Told& t) {
    Cpu& c = cpu(t);
    close(c, t.place.time, probe_.look(static_cast<unsigned>(t.number("cpu"))).retired);
    c.root = false;
    c.exit = nullptr;
}

void Collector::vmclear(const Told& t) {
    guests_.cleared(t.number("vmcs"));
}

void Collector::failed_entry(const Told&) {
    ++failed_;
}

void Collector::posted_interrupts(const Told& t) {
    if (GuestRecord* g = guests_.by_vmcs(t.number("vmcs")))
        ++g->sums.notifications;
    journeys_.notified(t);
}

void Collector::virtual_interrupt(const Told& t) {
    if (GuestRecord* g = guests_.by_vmcs(t.number("vmcs")))
        ++g->sums.delivered[static_cast<unsigned>(t.number("vector"))];
    interrupts_.count("delivered", "virtual-interrupt delivery", t.place.time);
    journeys_.delivered(t);
}

// ---- VT-d
// -------------------------------------------------------------------------------------------------------------------

void Collector::dma(const Told& t) {
    dma_.count(t.text("access") == "write" ? "writes" : "reads",
               t.text("access") == "write" ? "translated writes" : "translated reads", t.place.time);
    learn_domain(t);
    journeys_.dma(t);
}

/// A domain whose device addresses lead where a guest's EPT leads the same guest-physical addresses is that guest's.
void Collector::learn_domain(const Told& t) {
    if (guests_.all().empty() || t.number("address") == t.number("physical"))
        return;
    Domain& d = domains_[static_cast<u16>(t.number("domain"))];
    if (d.guest || d.asked == asked_of_a_domain || asked_ == asked_of_all)
        return;
    ++d.asked;
    ++asked_;
    d.guest = guests_.owner(probe_, t.number("address"), t.number("physical"));
    if (d.guest)
        guests_.by_number(d.guest)->sums.domains.push_back(static_cast<u16>(t.number("domain")));
}

void Collector::blocked(const Told& t) {
    ++faults_[fmt::format("{:#x} {}", t.number("fault"), t.text("why"))];
    dma_.count("blocked", "blocked requests", t.place.time);
}

void Collector::interrupt(const Told& t) {
    requester_ = static_cast<u16>(t.number("requester"));
    if (!vtd::remapped_low.posted(t.number("low"))) {
        ++by_requester_[requester_].first;
        interrupts_.count("remapped", "remapped by VT-d", t.place.time);
    }
    journeys_.remapped(t);
}

void Collector::posted(const Told& t) {
    ++by_requester_[requester_].second;
    notifying_ += t.number("notification");
    interrupts_.count("posted", "posted by VT-d", t.place.time);
    journeys_.posted(t);
}

// ---- VT-c and interrupt controllers
// -----------------------------------------------------------------------------------------

void Collector::received(const Told& t) {
    packets_.count("received", "received from the wire", t.place.time);
    journeys_.arrived(t, false);
}

void Collector::looped(const Told& t) {
    packets_.count("looped", "from pool to pool", t.place.time);
    journeys_.arrived(t, true);
}

void Collector::sent(const Told& t) {
    packets_.count("sent", "sent", t.place.time);
}

void Collector::dropped(const Told& t) {
    packets_.count("dropped", "dropped", t.place.time);
}

void Collector::missed(const Told& t) {
    journeys_.missed(t);
}

void Collector::lost(const Told& t) {
    journeys_.lost(t);
}

void Collector::stored(const Told& t) {
    owners_[{std::string(t.text("adapter")), static_cast<unsigned>(t.number("pool"))}] = t.text("function");
    journeys_.stored(t);
}

void Collector::cause(const Told& t) {
    journeys_.cause(t);
}

void Collector::message(const Told& t) {
    journeys_.interrupt(t);
}

void Collector::adapter_reset(const Told& t) {
    journeys_.reset(t);
}

void Collector::msi(const Told& t) {
    journeys_.plain_message(t);
}

void Collector::acknowledge(const Told& t) {
    journeys_.acknowledged(t, probe_.look(static_cast<unsigned>(t.number("cpu"))));
}

std::string Collector::owner(const std::string& adapter, unsigned pool) const {
    const auto found = owners_.find({adapter, pool});
    return found == owners_.end() ? std::string() : found->second;
}

// ---- the end
// ----------------------------------------------------------------------------------------------------------------

void Collector::finish(const Place& place, Report& report) {
    report.begin = begin_;
    report.end = place.time;
    for (unsigned n = 0; n < cpus_.size(); ++n) {
        Cpu& c = cpus_[n];
        const u64 retired = probe_.look(n).retired;
        GuestRecord* running = c.non_root ? c.guest : nullptr;
        const Spent spent = close(c, place.time, retired);
        if (running)
            running->sums.unfinished.add(spent);
        else if (c.exit)
            c.exit->vmm.add(spent);
        c.sums.retired = retired - c.begin;
        report.processors.push_back(c.sums);
    }
    report.journeys = journeys_.finish();
    report.frames_seen = journeys_.frames();
    for (GuestRecord& g : guests_.all())
        report.guests.push_back(g.sums);
    report.guests_left_out = left_out_;
    report.failed_entries = failed_;
    Remapping& r = report.remapping;
    r.faults = faults_;
    r.interrupts = by_requester_;
    r.posted_notifying = notifying_;
    for (const auto& [number, d] : domains_)
        if (d.guest)
            r.domains[number].guest = d.guest;
    for (Series* s : {&exits_, &interrupts_, &packets_, &dma_}) {
        s->finish(place.time);
        report.series.push_back(*s);
    }
}

} // namespace vitrine::report
