// SPDX-License-Identifier: Apache-2.0
// The monitor's commands about the machine around the processors: devices, timers, interrupts, maps, hashes, counters.
#include "debug/monitor.h"

#include "machine/dump_visitor.h"

#include <fmt/format.h>

namespace vitrine::debug {

namespace {

std::string seconds(u64 t) {
    return fmt::format("{}.{:09}", t / nanoseconds_per_second, t % nanoseconds_per_second);
}

} // namespace

MonitorReply Monitor::devices(const Words&) {
    MonitorReply reply;
    for (const std::string& name : machine_.component_names())
        reply.text += name + "\n";
    return reply;
}

MonitorReply Monitor::device(const Words& words) {
    machine::DumpVisitor v;
    if (machine_.show(words[1], v))
        return {v.text()};
    std::string near;
    for (const std::string& name : machine_.component_names())
        if (name.find(words[1]) != std::string::npos)
            near += " " + name;
    return {fmt::format("{}: no such device; {}\n", words[1],
                        near.empty() ? "`devices` lists their names" : "there is" + near)};
}

MonitorReply Monitor::pending(const Words&) {
    MonitorReply reply;
    const u64 now = machine_.now();
    reply.text = fmt::format("virtual time {} s\n", seconds(now));
    for (const Timer* t : machine_.clock().timers())
        if (t->armed())
            reply.text += fmt::format("  {:<24} in {} ns\n", t->name(), t->due() > now ? t->due() - now : 0);
    for (unsigned i = 0; i < machine_.cpus(); ++i) {
        const Cpu& c = machine_.cpu(i);
        LocalApic& apic = machine_.interrupts().local_apic(i);
        const auto list = [&](auto has) {
            std::string text;
            for (unsigned v = 0; v < 256; ++v)
                if (has(static_cast<u8>(v)))
                    text += fmt::format(" {:02x}", v);
            return text.empty() ? std::string(" none") : text;
        };
        reply.text +=
            fmt::format("  CPU{} interrupts {}, TPR {:x}0, PPR {:02x}; IRR{}; ISR{}{}{}{}\n", i,
                        c.flags & rflags::if_ ? "enabled" : "disabled", apic.cr8(), apic.processor_priority(),
                        list([&](u8 v) { return apic.is_requested(v); }),
                        list([&](u8 v) { return apic.is_in_service(v); }), c.nmi_pending ? "; NMI pending" : "",
                        c.init_pending ? "; INIT pending" : "", c.sipi_pending ? "; SIPI pending" : "");
    }
    return reply;
}

MonitorReply Monitor::map(const Words&) {
    MonitorReply reply;
    reply.text = fmt::format("RAM\n  {:012x} - {:012x}\n", 0, machine_.space().ram_below_4g() - 1);
    if (const u64 high = machine_.space().ram_above_4g())
        reply.text += fmt::format("  {:012x} - {:012x}\n", Space::high_start, Space::high_start + high - 1);
    for (const auto& [title, bus] :
         {std::pair{"memory", &machine_.space().mmio()}, {"ports", &machine_.space().ports()}}) {
        reply.text += fmt::format("{}\n", title);
        for (const Region* r : bus->regions())
            reply.text += fmt::format("  {:012x} - {:012x} {}\n", r->base, r->base + r->size - 1, r->name);
    }
    return reply;
}

MonitorReply Monitor::hash(const Words&) {
    MonitorReply reply{fmt::format("{} at {} instructions\n", machine_.hash().text(), machine_.instructions())};
    for (const auto& [name, hash] : machine_.hashes())
        reply.text += fmt::format("  {} {}\n", hash.text(), name);
    return reply;
}

MonitorReply Monitor::stats(const Words&) {
    MonitorReply reply{fmt::format(
        "instructions     {}\nretired          {}\nvirtual seconds  {}\nhost seconds     {}\n", machine_.instructions(),
        machine_.retired(), seconds(machine_.now()), seconds(machine_.pace().host_elapsed()))};
    for (unsigned n = 0; n < machine_.cpus() && machine_.vmx(n); ++n) {
        const vtx::ExitStatistics::Retired r = machine_.vmx(n)->retired();
        reply.text += fmt::format("retired on CPU{}  {} in VMX non-root operation, {} in root operation, {} without VMX\n", n, r.non_root, r.root, r.without_vmx);
    }
    for (const auto& [name, n] : machine_.glass().counters())
        reply.text += fmt::format("count {} {}\n", name, n);
    return reply;
}

} // namespace vitrine::debug
