// SPDX-License-Identifier: Apache-2.0
// The monitor's commands.
#include "debug/monitor.h"

#include "machine/dump_visitor.h"
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace vitrine::debug {

namespace {

constexpr u64 most_shown = 4096; ///< units of memory or instructions in one reply

/// A number: decimal, 0x hexadecimal, or a register's name after a dollar sign.
std::optional<u64> number(std::string_view text, Cpu& cpu) {
    static constexpr std::pair<std::string_view, Gpr> names[] = {
        {"rax", rax}, {"rcx", rcx}, {"rdx", rdx}, {"rbx", rbx}, {"rsp", rsp}, {"rbp", rbp}, {"rsi", rsi}, {"rdi", rdi},
        {"r8", r8},   {"r9", r9},   {"r10", r10}, {"r11", r11}, {"r12", r12}, {"r13", r13}, {"r14", r14}, {"r15", r15}};
    if (text.starts_with('$')) {
        text.remove_prefix(1);
        if (text == "rip")
            return cpu.linear_rip().value;
        if (text == "cr2")
            return cpu.cr2;
        if (text == "cr3")
            return cpu.cr3;
        for (const auto& [name, n] : names)
            if (name == text)
                return cpu.gpr[n];
        return std::nullopt;
    }
    int base = 10;
    if (text.starts_with("0x")) {
        text.remove_prefix(2);
        base = 16;
    }
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

MonitorReply wrong(std::string_view what, std::string_view right) { return {fmt::format("{}: {}\n", what, right)}; }

/// How many letters must change: for "did you mean".
unsigned distance(std::string_view a, std::string_view b) {
    std::vector<unsigned> row(b.size() + 1);
    for (unsigned j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (unsigned i = 1; i <= a.size(); ++i) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size(); ++j) {
            const unsigned up = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = up;
        }
    }
    return row[b.size()];
}

} // namespace

const std::vector<Monitor::Command>& Monitor::commands() {
    // clang-format off
    static const std::vector<Command> table{
        {"help",      "[COMMAND]",          "what there is",                                              &Monitor::help, 0, 1},
        {"registers", "",                   "registers of the selected processor, bits by name",          &Monitor::registers, 0, 0},
        {"vectors",   "",                   "x87, SSE and AVX registers",                                 &Monitor::vectors, 0, 0},
        {"cpu",       "[N]",                "selects a processor, or lists them",                         &Monitor::select_cpu, 0, 1},
        {"x",         "ADDRESS [COUNT [1|2|4|8]]", "linear memory; $rip, $rsp ... are addresses too",     &Monitor::examine, 1, 3},
        {"xp",        "ADDRESS [COUNT [1|2|4|8]]", "physical memory",                                     &Monitor::examine_physical, 1, 3},
        {"code",      "[ADDRESS [COUNT]]",  "instructions at a linear address (default: the next ones)",  &Monitor::code, 0, 2},
        {"walk",      "ADDRESS",            "the page walk of a linear address, level by level",          &Monitor::walk, 1, 1},
        {"devices",   "",                   "names for `device`",                                         &Monitor::devices, 0, 0},
        {"device",    "NAME",               "the state of a device or processor, registers by name",      &Monitor::device, 1, 1},
        {"pending",   "",                   "timers that are due, and interrupts that wait",              &Monitor::pending, 0, 0},
        {"map",       "",                   "which regions of memory and ports belong to whom",           &Monitor::map, 0, 0},
        {"hash",      "",                   "the state's hash and those of its components",               &Monitor::hash, 0, 0},
        {"counters",  "",                   "everything that was counted",                                &Monitor::counters, 0, 0},
        {"trace",     "TOPIC on|off",       "tells a topic's events",                                     &Monitor::trace, 2, 2},
        {"cont",      "",                   "lets the machine run",                                       &Monitor::go, 0, 0},
        {"step",      "[COUNT]",            "runs that many instructions",                                &Monitor::step, 0, 1},
        {"quit",      "",                   "ends the machine",                                           &Monitor::quit, 0, 0},
    };
    // clang-format on
    return table;
}

MonitorReply Monitor::run(std::string_view line) {
    Words words;
    while (true) {
        const std::size_t start = line.find_first_not_of(" \t\r\n");
        if (start == std::string_view::npos)
            break;
        line.remove_prefix(start);
        const std::size_t end = std::min(line.size(), line.find_first_of(" \t\r\n"));
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
    if (words.empty())
        return {};
    const Command* nearest = nullptr;
    for (const Command& c : commands()) {
        if (c.name == words[0]) {
            const std::size_t n = words.size() - 1;
            if (n < c.least || n > c.most)
                return wrong(c.name, fmt::format("usage: {} {}", c.name, c.arguments));
            return (this->*c.function)(words);
        }
        if (!nearest || distance(c.name, words[0]) < distance(nearest->name, words[0]))
            nearest = &c;
    }
    return wrong(words[0], fmt::format("no such command; the nearest is `{}`, and `help` lists all", nearest->name));
}

MonitorReply Monitor::help(const Words& words) {
    MonitorReply reply;
    for (const Command& c : commands())
        if (words.size() == 1 || words[1] == c.name)
            reply.text += fmt::format("{:<10} {:<26} {}\n", c.name, c.arguments, c.help);
    return reply.text.empty() ? wrong(words[1], "no such command; `help` lists all") : reply;
}

MonitorReply Monitor::registers(const Words&) { return {explain_registers(cpu())}; }

MonitorReply Monitor::vectors(const Words&) { return {explain_vectors(cpu())}; }

MonitorReply Monitor::select_cpu(const Words& words) {
    MonitorReply reply;
    if (words.size() == 1) {
        for (unsigned i = 0; i < machine_.cpus(); ++i)
            reply.text += fmt::format("{} CPU{} rip {:016x}\n", i == cpu_ ? '*' : ' ', i, machine_.cpu(i).rip);
        return reply;
    }
    const auto n = number(words[1], cpu());
    if (!n || *n >= machine_.cpus())
        return wrong(words[1], fmt::format("there are processors 0 to {}", machine_.cpus() - 1));
    cpu_ = static_cast<unsigned>(*n);
    return reply;
}

MonitorReply Monitor::dump(const Words& words, bool physical) {
    const auto at = number(words[1], cpu());
    const auto count = words.size() > 2 ? number(words[2], cpu()) : std::optional<u64>(8);
    const auto size = words.size() > 3 ? number(words[3], cpu()) : std::optional<u64>(8);
    if (!at)
        return wrong(words[1], "not an address: a number, 0x and a hexadecimal number, or $register");
    if (!count || *count > most_shown)
        return wrong("count", fmt::format("a number up to {}", most_shown));
    if (!size || (*size != 1 && *size != 2 && *size != 4 && *size != 8))
        return wrong("size", "1, 2, 4 or 8");
    MonitorReply reply;
    const u64 per_line = 16 / *size;
    for (u64 i = 0; i < *count; ++i) {
        const u64 a = *at + i * *size;
        if (i % per_line == 0)
            reply.text += fmt::format("{}{:016x}:", i ? "\n" : "", a);
        u64 value = 0;
        for (u64 b = 0; b < *size; ++b) {
            const Cpu::Mapping m = physical ? Cpu::Mapping{.present = true, .page = Physical{a + b}} : cpu().examine(Linear{a + b});
            const u8* host = m.present ? machine_.space().host(m.page) : nullptr;
            if (!host) {
                reply.text += m.present ? " (a device: not read, for reading may change it)\n" : " not mapped\n";
                return reply;
            }
            value |= u64{*host} << (8 * b);
        }
        reply.text += fmt::format(" {:0{}x}", value, 2 * *size);
    }
    reply.text += '\n';
    return reply;
}

MonitorReply Monitor::examine(const Words& words) { return dump(words, false); }

MonitorReply Monitor::examine_physical(const Words& words) { return dump(words, true); }

MonitorReply Monitor::code(const Words& words) {
    const auto at = words.size() > 1 ? number(words[1], cpu()) : std::optional<u64>(cpu().linear_rip().value);
    const auto count = words.size() > 2 ? number(words[2], cpu()) : std::optional<u64>(10);
    if (!at || !count || *count > most_shown)
        return wrong("code", "usage: code [ADDRESS [COUNT]]");
    return {explain_code(cpu(), Linear{*at}, static_cast<unsigned>(*count))};
}

MonitorReply Monitor::walk(const Words& words) {
    const auto at = number(words[1], cpu());
    return at ? MonitorReply{explain_walk(cpu(), Linear{*at})} : wrong(words[1], "not an address");
}

MonitorReply Monitor::devices(const Words&) {
    MonitorReply reply;
    for (const auto& [name, hash] : machine_.hashes())
        reply.text += name + "\n";
    return reply;
}

MonitorReply Monitor::device(const Words& words) {
    machine::DumpVisitor v;
    if (!machine_.show(words[1], v))
        return wrong(words[1], "no such device; `devices` lists their names");
    return {v.text()};
}

MonitorReply Monitor::pending(const Words&) {
    MonitorReply reply;
    const u64 now = machine_.now();
    reply.text = fmt::format("virtual time {}.{:09} s\n", now / nanoseconds_per_second, now % nanoseconds_per_second);
    for (const Timer* t : machine_.clock().timers())
        if (t->armed())
            reply.text += fmt::format("  {:<24} in {} ns\n", t->name(), t->due() > now ? t->due() - now : 0);
    for (unsigned i = 0; i < machine_.cpus(); ++i) {
        LocalApic& apic = machine_.interrupts().local_apic(i);
        reply.text += fmt::format("  CPU{} local APIC: priority {:02x}, requested", i, apic.processor_priority());
        for (unsigned v = 0; v < 256; ++v)
            if (apic.is_requested(static_cast<u8>(v)))
                reply.text += fmt::format(" {:02x}", v);
        reply.text += ", in service";
        for (unsigned v = 0; v < 256; ++v)
            if (apic.is_in_service(static_cast<u8>(v)))
                reply.text += fmt::format(" {:02x}", v);
        reply.text += '\n';
    }
    return reply;
}

MonitorReply Monitor::map(const Words&) {
    MonitorReply reply;
    for (const auto& [title, bus] : {std::pair{"memory", &machine_.space().mmio()}, {"ports", &machine_.space().ports()}}) {
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

MonitorReply Monitor::counters(const Words&) {
    MonitorReply reply;
    for (const auto& [name, n] : machine_.glass().counters())
        reply.text += fmt::format("{:>14} {}\n", n, name);
    return reply;
}

MonitorReply Monitor::trace(const Words& words) {
    for (unsigned i = 0; i < static_cast<unsigned>(Topic::count); ++i)
        if (name_of(static_cast<Topic>(i)) == words[1] && (words[2] == "on" || words[2] == "off")) {
            machine_.glass().enable(static_cast<Topic>(i), words[2] == "on");
            return {};
        }
    std::string topics;
    for (unsigned i = 0; i < static_cast<unsigned>(Topic::count); ++i)
        topics += fmt::format(" {}", name_of(static_cast<Topic>(i)));
    return wrong("trace", "usage: trace TOPIC on|off; topics are" + topics);
}

MonitorReply Monitor::go(const Words&) { return {.text = {}, .action = MonitorAction::go}; }

MonitorReply Monitor::step(const Words& words) {
    const auto n = words.size() > 1 ? number(words[1], cpu()) : std::optional<u64>(1);
    if (!n || *n == 0)
        return wrong("step", "usage: step [COUNT], COUNT at least 1");
    return {.text = {}, .action = MonitorAction::step, .steps = *n};
}

MonitorReply Monitor::quit(const Words&) { return {.text = {}, .action = MonitorAction::quit}; }

} // namespace vitrine::debug
