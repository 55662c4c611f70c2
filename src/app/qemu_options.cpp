// SPDX-License-Identifier: Apache-2.0
// QEMU's options as a table, and what each does to a run.
#include "app/qemu_options.h"

#include "app/qemu_cpu.h"
#include "app/qemu_devices.h"
#include "app/values.h"
#include "app/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace vitrine::app {

namespace {

using machine::BootFile;
using machine::MachineConfig;

/// The version of QEMU whose habits are followed; scripts compare it.
constexpr std::string_view followed = "7.2.0";

std::string version_text() {
    return fmt::format("QEMU emulator version {} (the options and exit statuses of that version, as Vitrine {} has them)\n", followed,
                       version);
}

// ---- one function per option ------------------------------------------------------------------------------------------------

Expected<> version_option(Parsing& p, const std::string&) {
    p.print = version_text();
    return {};
}

Expected<> help_option(Parsing& p, const std::string&);

Expected<> kernel_option(Parsing& p, const std::string& v) {
    p.kernel = v;
    return {};
}

Expected<> initrd_option(Parsing& p, const std::string& v) {
    p.initrd = v;
    return {};
}

Expected<> append_option(Parsing& p, const std::string& v) {
    p.config().append = v;
    return {};
}

Expected<> memory_option(Parsing& p, const std::string& v) {
    for (const auto& [key, value] : properties(v)) {
        if (key == "slots" || key == "maxmem") {
            p.warn(fmt::format("-m {}: memory cannot be plugged in later", v));
            continue;
        }
        if (key != "size" && !value.empty())
            return Error(fmt::format("-m {}: invalid parameter '{}'", v, key));
        std::string size = key == "size" ? value : key;
        if (!size.empty() && std::isdigit(static_cast<unsigned char>(size.back())))
            size += "M";
        p.config().memory = TRY(parse_size("-m", size));
    }
    const u64 bytes = p.config().memory;
    if (bytes < MachineConfig::least_memory || bytes > MachineConfig::most_memory || bytes % page_size)
        return Error(fmt::format("-m {}: must be a size from 1M to 1T in steps of 4K, such as 512M or 2G", v));
    return {};
}

Expected<> smp_option(Parsing& p, const std::string& v) {
    u64 cpus = 0, product = 1;
    for (const auto& [key, value] : properties(v)) {
        const bool bare = value.empty();
        if (bare || key == "cpus") {
            cpus = TRY(parse_number("-smp", bare ? key : value, 1, 1024));
        } else if (key == "sockets" || key == "cores" || key == "threads" || key == "dies" || key == "clusters") {
            product *= TRY(parse_number("-smp " + key, value, 1, 1024));
        } else if (key != "maxcpus") {
            return Error(fmt::format("-smp {}: invalid parameter '{}'", v, key));
        }
    }
    if (!cpus)
        cpus = product;
    if (cpus > MachineConfig::most_cpus)
        return Error(fmt::format("Number of SMP CPUs requested ({}) exceeds max CPUs supported by this machine ({})", cpus,
                                 MachineConfig::most_cpus));
    if (product != 1 && product != cpus)
        p.warn(fmt::format("-smp {}: every processor is a package of its own", v));
    p.config().cpus = static_cast<unsigned>(cpus);
    return {};
}

Expected<> cpu_option(Parsing& p, const std::string& v) {
    if (v == "help" || v == "?") {
        p.print = qemu_cpus_text();
        return {};
    }
    p.config().cpu = TRY(translate_qemu_cpu(v, p.command.warnings));
    return {};
}

Expected<> accelerator(const std::string& option, const std::string& list) {
    for (const std::string& name : split(list, ':'))
        if (name == "tcg")
            return {};
    return Error(fmt::format("{}: {} is not available: every instruction is interpreted here, which QEMU calls tcg", option, list));
}

Expected<> accel_option(Parsing& p, const std::string& v) {
    const auto all = properties(v);
    std::string names = all[0].first == "accel" ? all[0].second : all[0].first;
    for (const auto& [key, value] : all)
        if (key == "stale") {
            if (value != "max" && value != "normal")
                return Error(fmt::format("-accel {}: stale must be max or normal", v));
            p.config().stale = value == "max";
        }
    return accelerator("-accel " + v, names);
}

Expected<> enable_kvm_option(Parsing&, const std::string&) { return accelerator("-enable-kvm", "kvm"); }

Expected<> machine_option(Parsing& p, const std::string& v) {
    static constexpr std::string_view boards[] = {"q35", "pc", "pc-q35-7.2", "pc-i440fx-7.2", "microvm", "none"};
    static constexpr std::string_view neutral[] = {"kernel-irqchip", "kernel_irqchip", "usb", "vmport", "smm", "graphics", "acpi",
                                                   "dump-guest-core", "mem-merge", "hpet", "smbus", "sata", "i8042", "memory-backend"};
    if (v == "help" || v == "?") {
        p.print = "Supported machines are:\nq35                  the one board of Vitrine (default)\n"
                  "pc                   the same board under the name of another\n";
        return {};
    }
    bool first = true;
    for (const auto& [key, value] : properties(v)) {
        if (key == "accel") {
            TRY(accelerator("-machine " + v, value));
        } else if (key == "pit" || key == "pic") {
            if (value == "off")
                p.warn(fmt::format("-machine {}: this board always has its {}", v, key));
        } else if (key == "type" || (first && value.empty())) {
            const std::string& name = key == "type" ? value : key;
            if (name == "microvm" || name == "none" || std::find(std::begin(boards), std::end(boards), name) == std::end(boards))
                return Error(fmt::format("-machine {}: unsupported machine type '{}'; there are q35 and pc", v, name));
        } else if (std::find(std::begin(neutral), std::end(neutral), key) == std::end(neutral)) {
            return Error(fmt::format("-machine {}: Property '.{}' not found", v, key));
        }
        first = false;
    }
    return {};
}

/// What --serial takes for QEMU's character devices.
Expected<std::string> character(Parsing& p, const std::string& option, const std::string& v) {
    if (v == "stdio")
        return v;
    if (v == "mon:stdio") {
        p.mux = true;
        return std::string("stdio");
    }
    if (v == "none" || v == "null" || v == "vc")
        return std::string("none");
    if (v.starts_with("file:") && v.size() > 5)
        return v;
    if (v.starts_with("unix:") && v.size() > 5) {
        const auto all = properties(v.substr(5));
        bool server = false, waits = true;
        for (const auto& [key, value] : all) {
            server |= key == "server" && value != "off";
            waits &= !(key == "nowait" || (key == "wait" && value == "off"));
        }
        if (!server)
            return Error(fmt::format("{} {}: only a listening socket is possible; add server=on,wait=off", option, v));
        if (waits)
            p.warn(fmt::format("{} {}: the machine does not wait for a client", option, v));
        return "unix:" + all[0].first;
    }
    if (v.starts_with("chardev:")) {
        const auto at = p.chardevs.find(v.substr(8));
        if (at == p.chardevs.end())
            return Error(fmt::format("{} {}: there is no -chardev with this id before it", option, v));
        return at->second;
    }
    return Error(fmt::format("{} {}: must be stdio, mon:stdio, file:PATH, unix:PATH,server=on,wait=off, null, none or chardev:ID", option, v));
}

Expected<> serial_option(Parsing& p, const std::string& v) {
    if (p.command.run.serial.size() == MachineConfig::most_serial_ports)
        return Error(fmt::format("-serial {}: there are at most {} serial ports", v, MachineConfig::most_serial_ports));
    p.command.run.serial.push_back(TRY(character(p, "-serial", v)));
    return {};
}

Expected<> chardev_option(Parsing& p, const std::string& v) {
    const auto all = properties(v);
    std::string id, path, plain;
    bool server = false;
    for (const auto& [key, value] : all) {
        if (key == "id")
            id = value;
        else if (key == "path")
            path = value;
        else if (key == "server")
            server = value != "off";
        else if (key == "mux")
            p.mux |= value == "on";
    }
    const std::string& kind = all[0].first;
    if (kind == "stdio")
        plain = "stdio";
    else if (kind == "null")
        plain = "none";
    else if (kind == "file" && !path.empty())
        plain = "file:" + path;
    else if (kind == "socket" && !path.empty() && server)
        plain = "unix:" + path;
    if (plain.empty() || id.empty())
        return Error(fmt::format("-chardev {}: must be stdio, null, file,path=PATH or socket,path=PATH,server=on,wait=off, with id=ID", v));
    p.chardevs[id] = plain;
    return {};
}

Expected<> monitor_option(Parsing& p, const std::string& v) {
    if (v == "none" || v == "null")
        p.command.run.monitor.reset();
    else if (v == "stdio")
        p.command.run.monitor = "stdio";
    else
        p.command.run.monitor = TRY(character(p, "-monitor", v));
    return {};
}

Expected<> nographic_option(Parsing& p, const std::string&) {
    p.nographic = true;
    return {};
}

/// There is no display adapter yet; what asks for none is served.
Expected<> display_option(Parsing&, const std::string& v) {
    if (v == "none")
        return {};
    return Error(fmt::format("-display {}: this machine has no display; give -display none, or -nographic for the serial port", v));
}

Expected<> vnc_option(Parsing&, const std::string& v) {
    if (v == "none")
        return {};
    return Error(fmt::format("-vnc {}: this machine has no display; leave the option out, or give -vnc none", v));
}

Expected<> nodefaults_option(Parsing& p, const std::string&) {
    p.nodefaults = true;
    return {};
}

Expected<> no_reboot_option(Parsing& p, const std::string&) {
    p.command.run.no_reboot = true;
    return {};
}

Expected<> gdb_short_option(Parsing& p, const std::string&) {
    p.command.run.gdb = 1234;
    return {};
}

Expected<> gdb_option(Parsing& p, const std::string& v) {
    const std::string_view text = v;
    const std::size_t colon = text.rfind(':');
    if (!text.starts_with("tcp:") || colon == std::string_view::npos)
        return Error(fmt::format("-gdb {}: must be tcp::PORT", v));
    const std::string port(text.substr(colon + 1, text.find(',', colon) - colon - 1));
    p.command.run.gdb = static_cast<u16>(TRY(parse_number("-gdb", port, 0, 65535)));
    return {};
}

Expected<> stopped_option(Parsing& p, const std::string&) {
    p.stopped = true;
    return {};
}

Expected<> rtc_option(Parsing& p, const std::string& v) {
    for (const auto& [key, value] : properties(v))
        if (key == "base") {
            if (value == "localtime")
                p.warn("-rtc base=localtime: the clock runs in UTC");
            p.config().rtc = TRY(parse_date("-rtc base", value == "utc" || value == "localtime" ? "now" : value));
        }
    return {};
}

Expected<> seed_option(Parsing& p, const std::string& v) {
    p.config().seed = TRY(parse_number("-seed", v, 0, ~0ull));
    return {};
}

/// What this machine does not have: asking for none of it is right.
template <const char* option> Expected<> none_option(Parsing&, const std::string& v) {
    if (v == "none" || v == "null" || v == "off")
        return {};
    return Error(fmt::format("-{} {}: there is none here; only -{} none is possible", option, v, option));
}

constexpr char net_name[] = "net", nic_name[] = "nic", vga_name[] = "vga", parallel_name[] = "parallel", audio_name[] = "audio";

Expected<> ignore_option(Parsing&, const std::string&) { return {}; }

constexpr auto none = QemuArgument::none;
constexpr auto value = QemuArgument::value;

struct Row {
    QemuOptionRow shown;
    Expected<> (*apply)(Parsing& parsing, const std::string& value);
};

// clang-format off
constexpr Row rows[] = {
    {{"h",            none,  "",        "print this"}, help_option},
    {{"help",         none,  "",        "print this"}, help_option},
    {{"version",      none,  "",        "print the version of QEMU that is followed, and Vitrine's own"}, version_option},
    {{"kernel",       value, "FILE",    "Linux bzImage, Multiboot or PVH kernel, plain or compressed by gzip"}, kernel_option},
    {{"initrd",       value, "FILE",    "initial RAM disk; for Multiboot a list \"FILE[ ARGUMENTS],...\" of modules"}, initrd_option},
    {{"append",       value, "TEXT",    "the kernel's command line"}, append_option},
    {{"m",            value, "SIZE",    "memory in MiB or with K, M, G, T; 128M unless told"}, memory_option},
    {{"smp",          value, "N",       "processors, 1 to 64; sockets=, cores= and threads= only count"}, smp_option},
    {{"cpu",          value, "MODEL",   "model[,+feature][,-feature]; -cpu help lists the models"}, cpu_option},
    {{"serial",       value, "DEVICE",  "stdio, mon:stdio, file:PATH, unix:PATH,server=on,wait=off, null, none or chardev:ID"}, serial_option},
    {{"chardev",      value, "KIND",    "stdio, null, file,path= or socket,path=,server=on,wait=off, with id="}, chardev_option},
    {{"monitor",      value, "DEVICE",  "Vitrine's monitor on stdio or unix:PATH,server=on,wait=off; none"}, monitor_option},
    {{"nographic",    none,  "",        "no display; the first serial port on standard input and output, Ctrl-A x ends"}, nographic_option},
    {{"display",      value, "none",    "only none is possible"}, display_option},
    {{"vnc",          value, "none",    "only none is possible"}, vnc_option},
    {{"vga",          value, "none",    "only none is possible"}, none_option<vga_name>},
    {{"device",       value, "NAME[,PROPERTY=VALUE]", "plug in a device; -device help lists them, -device NAME,help its properties"}, device_option},
    {{"netdev",       value, "KIND,id=ID[,...]", "a network for -device igb,netdev=ID: user, tap or socket"}, netdev_option},
    {{"machine",      value, "q35",     "q35 or pc (one and the same board), accel=tcg"}, machine_option},
    {{"M",            value, "q35",     "the same as -machine"}, machine_option},
    {{"accel",        value, "tcg",     "only tcg is possible (kvm:tcg too); tcg,stale=max is --stale max"}, accel_option},
    {{"enable-kvm",   none,  "",        "an error: there is no KVM here"}, enable_kvm_option},
    {{"global",       value, "DRIVER.PROPERTY=VALUE", "the value for each device of this name that says nothing itself"}, global_option},
    {{"nodefaults",   none,  "",        "nothing that was not asked for"}, nodefaults_option},
    {{"no-reboot",    none,  "",        "a reset or a triple fault ends the run, with status 0"}, no_reboot_option},
    {{"s",            none,  "",        "the same as -gdb tcp::1234"}, gdb_short_option},
    {{"gdb",          value, "tcp::PORT", "listen for gdb on this port of 127.0.0.1"}, gdb_option},
    {{"S",            none,  "",        "do not start before gdb says so; needs -s or -gdb"}, stopped_option},
    {{"rtc",          value, "base=DATE", "utc (now), or the date at power on; 2026-01-01 unless told, so that runs are equal"}, rtc_option},
    {{"seed",         value, "N",       "of RDRAND and RDSEED"}, seed_option},
    {{"net",          value, "none",    "only none is possible"}, none_option<net_name>},
    {{"nic",          value, "none",    "only none is possible"}, none_option<nic_name>},
    {{"parallel",     value, "none",    "only none is possible"}, none_option<parallel_name>},
    {{"audio",        value, "none",    "only none is possible"}, none_option<audio_name>},
    {{"no-user-config", none, "",       "no effect: there are no configuration files"}, ignore_option},
    {{"no-hpet",      none,  "",        "no effect: the board has its HPET"}, ignore_option},
    {{"name",         value, "NAME",    "no effect"}, ignore_option},
    {{"uuid",         value, "UUID",    "no effect"}, ignore_option},
    {{"boot",         value, "ORDER",   "no effect: there is no firmware that chooses"}, ignore_option},
    {{"overcommit",   value, "WHAT",    "no effect"}, ignore_option},
    {{"k",            value, "LAYOUT",  "no effect: there is no display"}, ignore_option},
};
// clang-format on

Expected<> help_option(Parsing& p, const std::string&) {
    p.print = version_text() + "usage: vitrine-qemu [options]\n\n";
    for (const Row& row : rows) {
        const std::string left = fmt::format("-{} {}", row.shown.name, row.shown.value);
        p.print += fmt::format("{:<26} {}\n", left, row.shown.help);
    }
    p.print += "\nQEMU's names for what `vitrine run` does; see also `vitrine run --help`.\n";
    return {};
}

const Row* find_row(std::string_view name) {
    for (const Row& row : rows)
        if (row.shown.name == name)
            return &row;
    return nullptr;
}

// ---- what only the whole command line shows ---------------------------------------------------------------------------------

void choose_serial(Parsing& p) {
    RunOptions& run = p.command.run;
    if (p.nographic && run.serial.empty() && !p.nodefaults && !run.monitor) {
        run.serial.push_back("stdio");
        p.mux = true;
    }
    if (run.serial.empty())
        run.serial.push_back("none");
    run.escapes_without_terminal = p.mux;
}

/// In QEMU's words, since scripts wait for them.
Expected<BootFile> read_boot_file(const char* option, const char* what, const std::string& path) {
    if (::access(path.c_str(), R_OK) != 0)
        return Error(fmt::format("could not load {} '{}': {}", what, path, std::strerror(errno)));
    auto contents = TRY(read_file(option, path)); // first: TRY leaves no half-made object behind
    return BootFile{option, path, std::move(contents), {}};
}

Expected<> read_files(Parsing& p) {
    MachineConfig& config = p.config();
    if (p.kernel.empty())
        return Error("-kernel is missing: there is no firmware that could boot from elsewhere");
    config.kernel = TRY(read_boot_file("-kernel", "kernel", p.kernel));
    if (p.initrd.empty())
        return {};
    // A list of modules, unless a file has this very name.
    if (::access(p.initrd.c_str(), F_OK) == 0 || p.initrd.find_first_of(" ,") == std::string::npos) {
        config.initrd = TRY(read_boot_file("-initrd", "initrd", p.initrd));
        return {};
    }
    for (const auto& [key, value] : properties(p.initrd)) {
        const std::string module = value.empty() ? key : key + "=" + value;
        const std::size_t space = module.find(' ');
        BootFile file = TRY(read_boot_file("-initrd", "initrd", module.substr(0, space)));
        if (space != std::string::npos)
            file.text = module.substr(space + 1);
        config.modules.push_back(std::move(file));
    }
    return {};
}

Expected<> finish(Parsing& p) {
    RunOptions& run = p.command.run;
    if (p.stopped && !run.gdb)
        return Error("-S needs -s or -gdb tcp::PORT: nothing else could let the machine start");
    run.wait_gdb = p.stopped;
    if (std::count(run.serial.begin(), run.serial.end(), "stdio") > 1)
        return Error("-serial: two ports cannot both have the standard input and output");
    TRY(apply_globals(p));
    choose_serial(p);
    // A processor that shuts down resets the board; where a reset is the end, the fault is worth telling.
    p.command.stop_at_triple_fault = run.no_reboot;
    p.config().triple_fault_resets = !run.no_reboot;
    run.quiet = true;
    return read_files(p);
}

} // namespace

std::vector<QemuOptionRow> qemu_options() {
    std::vector<QemuOptionRow> all;
    for (const Row& row : rows)
        all.push_back(row.shown);
    return all;
}

Expected<QemuCommand> parse_qemu_command_line(std::span<const std::string> arguments) {
    Parsing p;
    p.config().memory = 128_MiB;
    p.config().cpu = TRY(translate_qemu_cpu("qemu64", p.command.warnings));
    for (std::size_t n = 0; n < arguments.size(); ++n) {
        const std::string& argument = arguments[n];
        if (!argument.starts_with('-') || argument == "-")
            return Error(fmt::format("{}: a disk image as a bare argument is not supported", argument));
        const Row* row = find_row(std::string_view(argument).substr(argument.starts_with("--") ? 2 : 1));
        if (!row)
            return Error(fmt::format("{}: invalid option; see vitrine-qemu --help", argument));
        std::string text;
        if (row->shown.argument == value) {
            if (++n == arguments.size())
                return Error(fmt::format("{}: requires an argument: {}", argument, row->shown.value));
            text = arguments[n];
        }
        TRY(row->apply(p, text));
        if (!p.print.empty()) {
            p.command.print = std::move(p.print);
            return std::move(p.command);
        }
    }
    TRY(finish(p));
    return std::move(p.command);
}

int qemu_status(int status) {
    switch (static_cast<Status>(status)) {
    case Status::usage:
        return 1;
    case Status::reset:
    case Status::triple_fault:
        return 0;
    default:
        return status;
    }
}

} // namespace vitrine::app
