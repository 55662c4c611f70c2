// SPDX-License-Identifier: Apache-2.0
// The options of `vitrine run`.
#include "app/run_command.h"

#include "app/perfetto.h"
#include "app/values.h"
#include "glass/glass.h"
#include "machine/device_table.h"
#include "machine/net.h"
#include "vtd/options.h"
#include "vtx/capability_list.h"
#include "x86/model.h"

#include "jit/statistics.h"

#include <algorithm>

namespace vitrine::app {

namespace {

using machine::BootFile;
using machine::DiskMode;
using machine::MachineConfig;

Expected<BootFile> boot_file(const std::string& option, const std::string& path, std::string text = {}) {
    auto contents = TRY(read_file(option, path)); // first: TRY leaves no half-made object behind
    return BootFile{option, path, std::move(contents), std::move(text)};
}

/// One of a few words; the error lists them.
template <class T, std::size_t N>
Expected<T> choose(std::string_view option, const std::string& value, const std::pair<std::string_view, T> (&words)[N]) {
    std::string list;
    for (const auto& [word, meaning] : words) {
        if (word == value)
            return meaning;
        list += (list.empty() ? "" : ", ") + std::string(word);
    }
    return Error(std::string(option) + " " + value + ": must be one of " + list);
}

Expected<> kernel(RunOptions& o, const std::string& v) {
    o.config.kernel = TRY(boot_file("--kernel", v));
    return {};
}

Expected<> initrd(RunOptions& o, const std::string& v) {
    o.config.initrd = TRY(boot_file("--initrd", v));
    return {};
}

Expected<> append(RunOptions& o, const std::string& v) {
    o.config.append = v;
    return {};
}

Expected<> module(RunOptions& o, const std::string& v) {
    const std::size_t comma = v.find(',');
    const std::string text = comma == std::string::npos ? "" : v.substr(comma + 1);
    o.config.modules.push_back(TRY(boot_file("--module", v.substr(0, comma), text)));
    return {};
}

Expected<> disk(RunOptions& o, const std::string& v) {
    o.config.disks.push_back(TRY(parse_disk(v)));
    return {};
}

Expected<> memory(RunOptions& o, const std::string& v) {
    o.config.memory = TRY(parse_size("--memory", v));
    if (o.config.memory < MachineConfig::least_memory || o.config.memory > MachineConfig::most_memory ||
        o.config.memory % page_size != 0)
        return Error("--memory " + v + ": must be a size from 1M to 1T in steps of 4K, such as 512M or 2G");
    return {};
}

Expected<> cpus(RunOptions& o, const std::string& v) {
    o.config.cpus = static_cast<unsigned>(TRY(parse_number("--cpus", v, 1, MachineConfig::most_cpus)));
    return {};
}

Expected<> cpu(RunOptions& o, const std::string& v) {
    if (auto model = find_cpu_model(v); !model.ok())
        return Error("--cpu " + v + ": " + model.error().message, model.error().status);
    o.config.cpu = v;
    return {};
}

Expected<> vmx(RunOptions& o, const std::string& v) {
    TRY(vtx::capabilities_of(v));
    o.config.vmx = v;
    return {};
}

Expected<> iommu(RunOptions& o, const std::string& v) {
    o.config.iommu.clear();
    if (v == "off")
        return {};
    TRY(vtd::parse_options(v));
    o.config.iommu = v;
    return {};
}

Expected<> code_cache(RunOptions& o, const std::string& v) {
    o.config.code_cache = TRY(parse_size("--code-cache", v));
    if (o.config.code_cache < jit::least_code_cache || o.config.code_cache > jit::most_code_cache)
        return Error("--code-cache " + v + ": must be a size from 1M to 1G, such as 64M");
    return {};
}

Expected<> engine(RunOptions& o, const std::string& v) {
    using machine::Engine;
    static constexpr std::pair<std::string_view, Engine> words[] = {
        {"auto", Engine::automatic}, {"interp", Engine::interpreter}, {"jit", Engine::translator}};
    o.config.engine = TRY(choose("--engine", v, words));
    return {};
}

Expected<> serial(RunOptions& o, const std::string& v) {
    const bool known = v == "stdio" || v == "none" || (v.starts_with("file:") && v.size() > 5) ||
                       (v.starts_with("unix:") && v.size() > 5);
    if (!known)
        return Error("--serial " + v + ": must be stdio, file:PATH, unix:PATH or none");
    if (o.serial.size() == MachineConfig::most_serial_ports)
        return Error("--serial " + v + ": there are at most " + std::to_string(MachineConfig::most_serial_ports) + " serial ports");
    o.serial.push_back(v);
    return {};
}

Expected<> monitor(RunOptions& o, const std::string& v) {
    if (v != "stdio" && !(v.starts_with("unix:") && v.size() > 5))
        return Error("--monitor " + v + ": must be stdio or unix:PATH");
    o.monitor = v;
    return {};
}

Expected<> gdb(RunOptions& o, const std::string& v) {
    static constexpr std::string_view narrow = ",i386";
    o.gdb_i386 = v.ends_with(narrow);
    o.gdb = static_cast<u16>(TRY(parse_number("--gdb", o.gdb_i386 ? v.substr(0, v.size() - narrow.size()) : v, 0, 65535)));
    return {};
}

Expected<> wait_gdb(RunOptions& o, const std::string&) {
    o.wait_gdb = true;
    return {};
}

Expected<> device(RunOptions& o, const std::string& v) {
    o.config.devices.push_back(TRY(machine::parse_device(v)));
    return {};
}

Expected<> net(RunOptions& o, const std::string& v) {
    machine::NetConfig net = TRY(machine::parse_net(v));
    for (const machine::NetConfig& other : o.config.nets)
        if (other.id == net.id)
            return Error("--net " + v + ": there is a network '" + net.id + "' already");
    o.config.nets.push_back(std::move(net));
    return {};
}

Expected<> debug_exit(RunOptions& o, const std::string& v) {
    o.config.debug_exit = static_cast<u16>(TRY(parse_number("--debug-exit", v, 0, 0xfffc)));
    return {};
}

Expected<> no_reboot(RunOptions& o, const std::string&) {
    o.no_reboot = true;
    return {};
}

Expected<> time(RunOptions& o, const std::string& v) {
    using machine::PaceMode;
    static constexpr std::pair<std::string_view, PaceMode> words[] = {
        {"auto", PaceMode::automatic}, {"warp", PaceMode::warp}, {"real", PaceMode::real}};
    o.pace = TRY(choose("--time", v, words));
    return {};
}

Expected<> rtc(RunOptions& o, const std::string& v) {
    o.config.rtc = TRY(parse_date("--rtc", v));
    return {};
}

Expected<> seed(RunOptions& o, const std::string& v) {
    o.config.seed = TRY(parse_number("--seed", v, 0, ~0ull));
    return {};
}

Expected<> stale(RunOptions& o, const std::string& v) {
    static constexpr std::pair<std::string_view, bool> words[] = {{"normal", false}, {"max", true}};
    o.config.stale = TRY(choose("--stale", v, words));
    return {};
}

Expected<> stop_after(RunOptions& o, const std::string& v) {
    o.stop_after = TRY(parse_seconds("--stop-after", v));
    return {};
}

Expected<> stop_at(RunOptions& o, const std::string& v) {
    o.stop_at = TRY(parse_number("--stop-at", v, 1, never - 1));
    return {};
}

Expected<> hash_every(RunOptions& o, const std::string& v) {
    o.hash_every = TRY(parse_number("--hash-every", v, 1, never - 1));
    return {};
}

Expected<> snapshot_at(RunOptions& o, const std::string& v) {
    const std::size_t comma = v.find(',');
    if (comma == std::string::npos || comma + 1 == v.size())
        return Error("--snapshot-at " + v + ": must be INSTRUCTIONS,FILE");
    o.snapshot_at = TRY(parse_number("--snapshot-at", v.substr(0, comma), 1, never - 1));
    o.snapshot_file = v.substr(comma + 1);
    return {};
}

Expected<> restore(RunOptions& o, const std::string& v) {
    o.restore = v;
    return {};
}

Expected<> record(RunOptions& o, const std::string& v) {
    o.record = v;
    return {};
}

Expected<> replay(RunOptions& o, const std::string& v) {
    o.replay = v;
    return {};
}

Expected<> trace(RunOptions& o, const std::string& v) {
    Glass probe;
    for (const std::string& topic : split(v)) {
        if (!probe.enable(topic)) {
            std::string names;
            for (unsigned n = 0; n < static_cast<unsigned>(Topic::count); ++n)
                names += std::string(name_of(static_cast<Topic>(n))) + ", ";
            return Error("--trace " + v + ": there is no topic '" + topic + "'; there are " + names + "all");
        }
        o.trace.push_back(topic);
    }
    return {};
}

Expected<> trace_file(RunOptions& o, const std::string& v) {
    o.trace_file = v;
    return {};
}

Expected<> perf_map(RunOptions& o, const std::string&) {
    o.perf_map = true;
    return {};
}

Expected<> stats(RunOptions& o, const std::string&) {
    o.stats = true;
    return {};
}

Expected<> json(RunOptions& o, const std::string&) {
    o.json = true;
    return {};
}

Expected<> report(RunOptions& o, const std::string& v) {
    o.report = v;
    return {};
}

Expected<> junit(RunOptions& o, const std::string& v) {
    o.junit = v;
    return {};
}

Expected<> tap(RunOptions& o, const std::string&) {
    o.tap = true;
    return {};
}

constexpr auto flag = OptionKind::flag;
constexpr auto single = OptionKind::single;
constexpr auto list = OptionKind::list;

// clang-format off
constexpr OptionRow rows[] = {
    {"--kernel",      single, "FILE",  "the kernel: Linux bzImage, Multiboot or PVH, told apart by its contents", kernel},
    {"--initrd",      single, "FILE",  "the initial RAM disk; the first module of Multiboot and PVH", initrd},
    {"--append",      single, "TEXT",  "the kernel's command line", append},
    {"--module",      list,   "FILE[,TEXT]", "a further module for Multiboot and PVH, with its command line", module},
    {"--disk",        list,   "FILE[,readonly|,overlay=FILE|,discard]", "an NVMe disk on a raw image", disk},
    {"--memory",      single, "SIZE",  "RAM, such as 512M (the default) or 2G", memory},
    {"--cpus",        single, "N",     "processors, 1 (the default) to 64", cpus},
    {"--cpu",         single, "MODEL", "the processor's model; `vitrine cpus` lists them", cpu},
    {"--vmx",         single, "LIST",  "the processor has VT-x: on, or a generation such as haswell; and -NAME,... to take capabilities away", vmx},
    {"--iommu",       single, "on|off[,key=value...]", "VT-d: DMA and interrupt remapping; on is the default with an i82576 or i82599, else off; keys: `vitrine explain --iommu`", iommu},
    {"--engine",      single, "ENGINE","auto, interp or jit: never changes what the guest sees", engine},
    {"--code-cache",  single, "SIZE",  "room for translated code, 64M unless told", code_cache},
    {"--serial",      list,   "PORT",  "stdio (the default for the first), file:PATH, unix:PATH or none", serial},
    {"--monitor",     single, "WHERE", "the monitor on stdio or unix:PATH; Ctrl-A c reaches it from a terminal", monitor},
    {"--gdb",         single, "PORT",  "listen for gdb on this TCP port of 127.0.0.1; 0 takes a free one; PORT,i386 for 32-bit kernels", gdb},
    {"--wait-gdb",    flag,   "",      "do not start before gdb has come", wait_gdb},
    {"--device",      list,   "NAME[,key=value...]", "a further device; `vitrine devices` lists them", device},
    {"--net",         list,   "ID,kind=KIND[,key=value...]", "a network for adapters: user, tap, switch, socket or none; docs/vt-c.md says more", net},
    {"--debug-exit",  single, "PORT",  "a write of V to this I/O port ends the run with status (V << 1) | 1", debug_exit},
    {"--no-reboot",   flag,   "",      "a reset ends the run with status 8", no_reboot},
    {"--time",        single, "MODE",  "auto, warp or real: how idle time keeps to the host's clock", time},
    {"--rtc",         single, "DATE",  "now, or the date (UTC) at power on; 2026-01-01 is the default", rtc},
    {"--seed",        single, "N",     "of RDRAND and RDSEED", seed},
    {"--stale",       single, "MODE",  "normal, or max: translations stay cached as long as the manual permits, and stale ones are told of", stale},
    {"--stop-after",  single, "SECONDS", "end after this much virtual time", stop_after},
    {"--stop-at",     single, "INSTRUCTIONS", "end when so many have been executed", stop_at},
    {"--hash-every",  single, "INSTRUCTIONS", "print a hash of the whole state each time so many have been executed", hash_every},
    {"--snapshot-at", single, "INSTRUCTIONS,FILE", "save the machine to the file when so many have been executed", snapshot_at},
    {"--restore",     single, "FILE",  "go on from a snapshot", restore},
    {"--record",      single, "FILE",  "record all input from outside", record},
    {"--replay",      single, "FILE",  "repeat a recorded run", replay},
    {"--trace",       list,   "TOPIC[,TOPIC...]", "tell what happens", trace},
    {"--trace-file",  single, "FILE",  "where it is told instead of standard error; NAME.pftrace: for Perfetto's viewer (vmx without --trace)", trace_file},
    {"--stats",       flag,   "",      "tell at the end what was executed, and how fast", stats},
    {"--perf-map",    flag,   "",      "name translated code for perf on the host, in /tmp/perf-PID.map", perf_map},
    {"--report",      single, "FILE.html|-", "tell at the end what each guest, device and adapter did: a page for a browser, and text on standard error; -: text alone", report},
    {"--json",        flag,   "",      "report the run as one line of JSON, last on standard output", json},
    {"--junit",       single, "FILE",  "report the run as a test in JUnit's form", junit},
    {"--tap",         flag,   "",      "report the run as a test in TAP's form, last on standard output", tap},
};
// clang-format on

} // namespace

std::span<const OptionRow> run_options() { return rows; }

Expected<machine::DiskConfig> parse_disk(const std::string& text) {
    static constexpr std::string_view overlay = ",overlay=";
    machine::DiskConfig disk;
    const auto cut = [&](std::string_view suffix, DiskMode mode) {
        if (!text.ends_with(suffix))
            return false;
        disk.file = text.substr(0, text.size() - suffix.size());
        disk.mode = mode;
        return true;
    };
    if (const std::size_t at = text.rfind(overlay); at != std::string::npos) {
        disk.file = text.substr(0, at);
        disk.mode = DiskMode::overlay;
        disk.overlay = text.substr(at + overlay.size());
        if (disk.overlay.empty())
            return Error("--disk " + text + ": overlay= must name a file");
    } else if (!cut(",readonly", DiskMode::read_only) && !cut(",discard", DiskMode::discard)) {
        disk.file = text;
        // A comma in a file's name is nobody's habit; a misspelt mode is.
        if (const std::size_t comma = text.rfind(','); comma != std::string::npos)
            return Error("--disk " + text + ": '" + text.substr(comma + 1) + "' must be readonly, overlay=FILE or discard");
    }
    if (disk.file.empty())
        return Error("--disk " + text + ": must begin with the image's file name");
    return disk;
}

Expected<> check(const RunOptions& o) {
    if (!o.config.kernel && o.restore.empty() && o.replay.empty())
        return Error("--kernel is missing: give the kernel to boot (or --restore, or --replay)");
    if (!o.restore.empty() && !o.replay.empty())
        return Error("--restore and --replay cannot be given together: a recording begins at power on");
    if (!o.record.empty() && !o.replay.empty())
        return Error("--record and --replay cannot be given together");
    if (!o.record.empty() && !o.restore.empty())
        return Error("--record and --restore cannot be given together: a recording begins at power on");
    if (std::count(o.serial.begin(), o.serial.end(), "stdio") > 1)
        return Error("--serial stdio is given twice; only one serial port can have the standard input and output");
    if (o.wait_gdb && !o.gdb)
        return Error("--wait-gdb needs --gdb PORT");
    if (!o.trace_file.empty() && o.trace.empty() && !PerfettoTrace::wants(o.trace_file))
        return Error("--trace-file needs --trace TOPIC, or a name that ends in .pftrace");
    return {};
}

} // namespace vitrine::app
