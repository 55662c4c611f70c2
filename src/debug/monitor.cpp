// SPDX-License-Identifier: Apache-2.0
// The monitor's table of commands, the reading of a line, and the commands that say how the machine goes on.
#include "debug/monitor.h"

#include "vtx/other_level.h"
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vitrine::debug {

namespace {

MonitorReply wrong(std::string_view what, std::string_view right) {
    return {fmt::format("{}: {}\n", what, right)};
}

/// How many letters must change: for "did you mean".
unsigned distance(std::string_view a, std::string_view b) {
    std::vector<unsigned> row(b.size() + 1);
    for (unsigned j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (unsigned i = 1; i <= a.size(); ++i) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.size(); ++j) {
            const unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
        }
    }
    return row[b.size()];
}

} // namespace

Monitor::Monitor(machine::Machine& m, std::shared_ptr<Hooks> hooks) : machine_(m), hooks_(hooks ? std::move(hooks) : std::make_shared<Hooks>(m)) {
    hooks_->add(breakpoints_);
}

Monitor::~Monitor() { hooks_->remove(breakpoints_); }

std::span<const Monitor::Command> Monitor::commands() {
    // clang-format off
    static constexpr Command table[] = {
        {"help",       "[COMMAND]",          "lists the commands, or says what one does",                     &Monitor::help, 0, 1},
        {"registers",  "",                   "the selected processor's registers, bits by name",              &Monitor::registers, 0, 0, true},
        {"vectors",    "",                   "x87, XMM, YMM and ZMM registers",                               &Monitor::vectors, 0, 0},
        {"cpu",        "[N]",                "selects a processor, or lists them",                            &Monitor::select_cpu, 0, 1},
        {"x",          "[/FORMAT] ADDRESS",  "memory at a linear address; FORMAT as gdb's: count, x d u c s i, b h w g", &Monitor::examine, 1, 1, true},
        {"xp",         "[/FORMAT] ADDRESS",  "memory at a physical address",                                  &Monitor::examine_physical, 1, 1, true},
        {"disassemble","[ADDRESS [COUNT]]",  "instructions at a linear address; without one, around the next", &Monitor::disassemble, 0, 2, true},
        {"walk",       "ADDRESS",            "the page walk of a linear address, level by level",             &Monitor::walk, 1, 1, true},
        {"idt",        "VECTOR",             "the way of an event through the IDT, and what stands in it",    &Monitor::idt, 1, 1, true},
        {"vm",         "[N|now]",            "VMX operation of each processor, and the virtual machines by number; selects whose registers and memory are shown: 0 the hypervisor's, `now` what runs", &Monitor::vm, 0, 1},
        {"break",      "[N|any ADDRESS]",    "holds where virtual machine N (0: the hypervisor) executes a linear address; or lists", &Monitor::set_break, 0, 2},
        {"delete",     "N|any ADDRESS",      "removes what `break` has set",                                  &Monitor::remove_break, 2, 2},
        {"vmcs",       "[PART OF A NAME]",   "the current VMCS: fields, bits by name, who wrote them last",    &Monitor::vmcs, 0, 9},
        {"ept",        "ADDRESS",            "the walk of a guest-physical address through EPT",              &Monitor::ept, 1, 1},
        {"entry",      "",                   "the rules of VM entry that the current VMCS breaks",            &Monitor::entry, 0, 0},
        {"exits",      "[reason|vm|rip]",    "VM exits so far: how many, and what they cost in instructions", &Monitor::exits, 0, 1},
        {"until-exit", "[REASON|any|failed-entry|off]", "runs to the next such VM exit, or failing VM entry", &Monitor::until_exit, 0, 1},
        {"iommu",      "[walk BDF ADDRESS]", "VT-d: what is set, cached and recorded; or the way of a device's address", &Monitor::iommu, 0, 3},
        {"irte",       "INDEX",              "an entry of the interrupt remapping table, and what it does",   &Monitor::irte, 1, 1},
        {"nic",        "[switch|pools|vf N]","network adapters: link; the switch's rules; pools and their counters; a virtual function", &Monitor::nic, 0, 2},
        {"devices",    "",                   "names for `device`",                                            &Monitor::devices, 0, 0},
        {"device",     "NAME",               "the state of a device or processor, registers by name",         &Monitor::device, 1, 1},
        {"pending",    "",                   "timers that are due, and interrupts that wait",                 &Monitor::pending, 0, 0},
        {"map",        "",                   "which regions of memory and ports belong to whom",              &Monitor::map, 0, 0},
        {"hash",       "",                   "the state's hash and those of its components",                  &Monitor::hash, 0, 0},
        {"stats",      "",                   "instructions, virtual time, and everything that was counted",   &Monitor::stats, 0, 0},
        {"trace",      "TOPIC on|off",       "tells a topic's events, or no longer",                          &Monitor::trace, 2, 2},
        {"explain",    "WHAT",               "an exception, MSR, CPUID leaf, topic, outcome ...",             &Monitor::explain, 1, 9},
        {"stop",       "",                   "holds the machine",                                             &Monitor::stop, 0, 0},
        {"continue",   "",                   "lets it run",                                                   &Monitor::go, 0, 0},
        {"step",       "[COUNT]",            "runs that many instructions of all processors together, then holds", &Monitor::step, 0, 1},
        {"reset",      "",                   "resets the machine, as its reset button does",                  &Monitor::reset, 0, 0},
        {"quit",       "",                   "ends the run",                                                  &Monitor::quit, 0, 0},
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
    if (words.size() > 1 && words[0] == "info") // as fingers know it
        words.erase(words.begin());
    if (words.empty())
        return {};
    const std::size_t slash = words[0].find('/');
    format_ = slash == std::string_view::npos ? std::string_view() : words[0].substr(slash + 1);
    const std::string_view name = words[0].substr(0, slash);
    if (words.size() > 1 && words[1].starts_with('/') && format_.empty()) {
        format_ = words[1].substr(1);
        words.erase(words.begin() + 1);
    }

    // The whole name, or as much of it as fits one command only.
    const Command *found = nullptr, *nearest = nullptr;
    unsigned fitting = 0;
    const auto far = [&](const Command& c) {
        return distance(c.name.substr(0, name.size()), name);
    }; // it may be shortened, too
    for (const Command& c : commands()) {
        if (c.name == name) {
            found = &c;
            fitting = 1;
            break;
        }
        if (c.name.starts_with(name)) {
            found = &c;
            ++fitting;
        }
        if (!nearest || far(c) < far(*nearest))
            nearest = &c;
    }
    if (fitting > 1) {
        std::string all;
        for (const Command& c : commands())
            if (c.name.starts_with(name))
                all += fmt::format(" {}", c.name);
        return wrong(name, "may be" + all);
    }
    if (!found)
        return wrong(name, fmt::format("no such command; the nearest is `{}`, and `help` lists all", nearest->name));
    const std::size_t n = words.size() - 1;
    if (n < found->least || n > found->most ||
        (!format_.empty() && found->arguments.find("/FORMAT") == std::string_view::npos))
        return wrong(found->name, fmt::format("usage: {} {}", found->name, found->arguments));
    std::optional<vtx::OtherLevel> look;
    if (found->of_level && level_ && machine_.vmx(cpu_))
        look.emplace(*machine_.vmx(cpu_), cpu(), *level_);
    other_level_ = look && look->exchanged();
    MonitorReply reply = (this->*found->function)(words);
    if (other_level_)
        reply.text = look->label() + "\n" + reply.text;
    other_level_ = false;
    return reply;
}

std::optional<u64> Monitor::term(std::string_view text) {
    static constexpr std::pair<std::string_view, Gpr> names[] = {
        {"rax", rax}, {"rcx", rcx}, {"rdx", rdx}, {"rbx", rbx}, {"rsp", rsp}, {"rbp", rbp}, {"rsi", rsi}, {"rdi", rdi},
        {"r8", r8},   {"r9", r9},   {"r10", r10}, {"r11", r11}, {"r12", r12}, {"r13", r13}, {"r14", r14}, {"r15", r15}};
    if (text.starts_with('$')) {
        text.remove_prefix(1);
        const std::pair<std::string_view, u64> others[] = {{"rip", cpu().linear_rip().value},
                                                           {"pc", cpu().linear_rip().value},
                                                           {"cr2", cpu().cr2},
                                                           {"cr3", cpu().cr3},
                                                           {"gdtr", cpu().gdtr.base},
                                                           {"idtr", cpu().idtr.base},
                                                           {"fs_base", cpu().segments[fs].base},
                                                           {"gs_base", cpu().segments[gs].base},
                                                           {"tr", cpu().segments[tr].base},
                                                           {"ldtr", cpu().segments[ldtr].base}};
        for (const auto& [name, v] : others)
            if (name == text)
                return v;
        for (const auto& [name, n] : names)
            if (name == text && (!other_level_ || vtx::OtherLevel::has(n)))
                return cpu().gpr[n];
        return std::nullopt;
    }
    int base = 10;
    if (text.starts_with("0x")) {
        text.remove_prefix(2);
        base = 16;
    }
    u64 number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return number;
}

std::optional<u64> Monitor::value(std::string_view text) {
    u64 sum = 0;
    bool minus = false;
    for (;;) {
        const std::size_t end = std::min(text.size(), text.find_first_of("+-"));
        const auto t = term(text.substr(0, end));
        if (!t)
            return std::nullopt;
        sum = minus ? sum - *t : sum + *t;
        if (end == text.size())
            return sum;
        minus = text[end] == '-';
        text.remove_prefix(end + 1);
    }
}

std::string Monitor::where() {
    cpu_ = machine_.scheduler().present();
    return fmt::format("CPU{} at {} instructions{}: {}", cpu_, machine_.instructions(), label_of_level(Hooks::level_of(machine_, cpu_)),
                       explain_code(cpu(), cpu().linear_rip(), 1));
}

MonitorReply Monitor::help(const Words& words) {
    MonitorReply reply;
    for (const Command& c : commands())
        if (words.size() == 1 || c.name.starts_with(words[1]))
            reply.text += fmt::format("{:<11} {:<18} {}\n", c.name, c.arguments, c.help);
    if (reply.text.empty())
        return wrong(words[1], "no such command; `help` lists all");
    if (words.size() == 1)
        reply.text +=
            "Names may be shortened. Addresses are numbers, 0x..., $rip, $rsp ..., and sums of them: x/4xg $rsp+16\n";
    return reply;
}

MonitorReply Monitor::select_cpu(const Words& words) {
    MonitorReply reply;
    if (words.size() == 1) {
        static constexpr const char* activities[] = {"", ", halted", ", shut down", ", waiting for SIPI",
                                                     ", halted by MWAIT"};
        for (unsigned i = 0; i < machine_.cpus(); ++i)
            reply.text += fmt::format("{} CPU{} rip {:x}{}\n", i == cpu_ ? '*' : ' ', i, machine_.cpu(i).rip,
                                      activities[static_cast<unsigned>(machine_.cpu(i).activity)]);
        return reply;
    }
    const auto n = value(words[1]);
    if (!n || *n >= machine_.cpus())
        return wrong(words[1], fmt::format("there are processors 0 to {}", machine_.cpus() - 1));
    cpu_ = static_cast<unsigned>(*n);
    return reply;
}

MonitorReply Monitor::trace(const Words& words) {
    std::string topics;
    for (unsigned i = 0; i < static_cast<unsigned>(Topic::count); ++i) {
        const Topic topic = static_cast<Topic>(i);
        if (name_of(topic) == words[1] && (words[2] == "on" || words[2] == "off")) {
            machine_.glass().enable(topic, words[2] == "on");
            return {};
        }
        topics += fmt::format(" {}", name_of(topic));
    }
    return wrong("trace", "usage: trace TOPIC on|off; topics are" + topics);
}

MonitorReply Monitor::explain(const Words& words) {
    if (!explain_)
        return wrong("explain", "there is nobody here to explain");
    std::string what(words[1]);
    for (std::size_t i = 2; i < words.size(); ++i)
        what += " " + std::string(words[i]);
    return {explain_(what)};
}

MonitorReply Monitor::stop(const Words&) {
    return {.text = where(), .action = MonitorAction::stop};
}

MonitorReply Monitor::go(const Words&) {
    return {.text = {}, .action = MonitorAction::go};
}

MonitorReply Monitor::step(const Words& words) {
    const auto n = words.size() > 1 ? value(words[1]) : std::optional<u64>(1);
    if (!n || *n == 0)
        return wrong("step", "usage: step [COUNT], COUNT at least 1");
    return {.text = {}, .action = MonitorAction::step, .steps = *n};
}

MonitorReply Monitor::reset(const Words&) {
    return {.text = {}, .action = MonitorAction::reset};
}

MonitorReply Monitor::quit(const Words&) {
    return {.text = {}, .action = MonitorAction::quit};
}

} // namespace vitrine::debug
