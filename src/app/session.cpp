// SPDX-License-Identifier: Apache-2.0
// One run from the options to the report: streams, the machine, the marks on its way (hashes), the ending.
#include "app/session.h"

#include "app/marks.h"
#include "app/perfetto.h"
#include "app/state_files.h"
#include "app/tier_sampler.h"
#include "app/watch.h"
#include "host/console.h"
#include "host/new_file.h"
#include "machine/machine.h"
#include "machine/net.h"
#include "report/run_watch.h"
#include "report/writers.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace vitrine::app {

namespace {

using machine::Ending;
using machine::EndingKind;
using machine::Machine;

/// The outside of one run. Destroyed after the machine, so that the terminal is given back last.
struct Outside {
    host::EndingSignals signals;
    std::unique_ptr<host::Console> console;
    host::Character* monitor = nullptr;
    std::vector<std::unique_ptr<host::Character>> owned;
    std::vector<std::unique_ptr<host::Network>> networks;
    machine::Streams streams;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> trace{nullptr, std::fclose};
    std::unique_ptr<PerfettoTrace> perfetto;
};

Expected<host::Character*> open_character(const std::string& what, std::string_view option, Outside& outside) {
    if (what == "none")
        return static_cast<host::Character*>(nullptr);
    if (what == "stdio")
        return option == "--monitor" ? &outside.console->monitor() : &outside.console->serial();
    auto made = what.starts_with("file:") ? host::open_file(what.substr(5)) : host::open_unix(what.substr(5));
    if (!made.ok())
        return Error(std::string(option) + " " + made.error().message, made.error().status);
    outside.owned.push_back(std::move(made).value());
    return outside.owned.back().get();
}

Expected<> open_streams(const RunOptions& o, Outside& outside) {
    const bool serial = std::find(o.serial.begin(), o.serial.end(), "stdio") != o.serial.end();
    const bool monitor = o.monitor == "stdio";
    // Ctrl-A c reaches the monitor from any terminal; where both were put on standard input, also from a pipe.
    if (serial || monitor)
        outside.console = std::make_unique<host::Console>(host::Console::Options{.has_serial = serial,
                                                                                 .has_monitor = monitor || !o.monitor,
                                                                                 .always_escapes = o.escapes_without_terminal || (serial && monitor)});
    for (const std::string& what : o.serial)
        outside.streams.serial.push_back(TRY(open_character(what, "--serial", outside)));
    if (o.monitor)
        outside.monitor = TRY(open_character(*o.monitor, "--monitor", outside));
    else if (outside.console)
        outside.monitor = &outside.console->monitor();
    return {};
}

/// A replay takes what came from outside from its recording.
Expected<> open_networks(const RunOptions& o, Outside& outside) {
    for (const machine::NetConfig& net : o.config.nets) {
        std::unique_ptr<host::Network> network;
        if (o.replay.empty())
            network = TRY(machine::open_network(net));
        outside.streams.nets.push_back(network.get());
        outside.networks.push_back(std::move(network));
    }
    return {};
}

Expected<std::unique_ptr<Glass>> open_glass(const RunOptions& o, Outside& outside) {
    auto glass = std::make_unique<Glass>();
    for (const std::string& topic : o.trace)
        glass->enable(topic);
    if (PerfettoTrace::wants(o.trace_file)) {
        outside.perfetto = TRY(PerfettoTrace::create(o.trace_file));
        glass->set_listener([trace = outside.perfetto.get()](const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details) {
            trace->told(place, topic, event, details);
        });
        if (o.trace.empty())
            glass->enable(Topic::vmx);
    } else if (!o.trace_file.empty()) {
        outside.trace.reset(std::fopen(o.trace_file.c_str(), "we"));
        if (!outside.trace)
            return Error("--trace-file " + o.trace_file + ": cannot be written: " + std::strerror(errno));
    }
    // What goes into a trace for the viewer is not written as lines too.
    if (!outside.perfetto && (!o.quiet || !o.trace.empty()))
        glass->set_sink([out = outside.trace ? outside.trace.get() : stderr](std::string_view line) {
            std::fprintf(out, "%.*s\n", static_cast<int>(line.size()), line.data());
        });
    return glass;
}

void add_hash_lines(const RunOptions& options, Machine& m, Marks& marks) {
    if (options.hash_every != never)
        marks.every(options.hash_every, m.instructions(), [&m](u64 at) {
            std::fprintf(stderr, "hash %llu %s\n", static_cast<unsigned long long>(at), m.hash().text().c_str());
            return Ending{};
        });
}

/// The page appears whole or not at all.
Expected<> write_page(host::NewFile& file, const report::Report& r) {
    const std::string page = report::html(r);
    TRY(file.write({reinterpret_cast<const u8*>(page.data()), page.size()}));
    return file.commit();
}

/// Runs to the end, with everything on the way that was asked for.
Ending go(const RunOptions& options, Machine& m, Watch& watch, Marks& marks, u64 end_instant) {
    for (;;) {
        Ending ending = watch.run(std::min(options.stop_at, marks.next()), std::min(options.stop_after, end_instant));
        if (ending.kind != EndingKind::instructions)
            return ending;
        if (Ending early = marks.reached(m.instructions()))
            return early;
        if (m.instructions() >= options.stop_at)
            return ending;
    }
}

} // namespace

Expected<RunReport> run_session(RunOptions options) {
    // An outside that goes away is told by the write that fails, with a message and a status.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    if (options.serial.empty())
        options.serial.push_back("stdio");
    options.config.serial_ports = static_cast<unsigned>(options.serial.size());
    if (options.config.debug_exit)
        options.config.devices.push_back(
            {"isa-debug-exit",
             {{"iobase", std::to_string(*options.config.debug_exit)}, {"iosize", std::to_string(options.config.debug_exit_size)}}});
    options.config.debug_exit.reset(); // it is one of the devices now

    Source source = TRY(open_source(options));

    RunReport report;
    report.name = options.config.kernel ? std::filesystem::path(options.config.kernel->name).filename().string() : "run";
    Outside outside;
    TRY(open_streams(options, outside));
    TRY(open_networks(options, outside));
    auto glass = TRY(open_glass(options, outside));
    const std::unique_ptr<Machine> m = TRY(Machine::create(std::move(options.config), outside.streams, std::move(glass)));
    m->no_reboot = options.no_reboot;
    if (options.perf_map && !m->name_for_perf())
        return Error(std::string("--perf-map: /tmp/perf-PID.map cannot be written: ") + std::strerror(errno), Status::host_short);
    m->pace() = machine::Pace(options.pace);
    StateFiles files = TRY(StateFiles::start(std::move(source), options, *m));
    Marks marks;
    files.add_marks(options, marks);
    add_hash_lines(options, *m, marks);

    std::optional<host::NewFile> page;
    if (!options.report.empty() && options.report != "-") {
        auto made = host::NewFile::create(options.report);
        if (!made.ok())
            return Error("--report " + made.error().message, made.error().status);
        page.emplace(std::move(made).value());
    }
    std::optional<report::RunWatch> glass_watch;
    if (!options.report.empty())
        glass_watch.emplace(*m);

    Watch watch(*m, outside.signals, outside.console.get(), outside.monitor);
    if (options.gdb)
        TRY(watch.open_gdb(options));

    std::optional<TierSampler> tiers;
    if (options.stats)
        tiers.emplace(*m);
    report.ending = files.finish(go(options, *m, watch, marks, files.end_instant()));
    if (tiers)
        report.tiers = tiers->finish();
    report.signal = report.ending.kind == EndingKind::quit ? host::EndingSignals::caught() : 0;
    report.status = report.signal ? 128 + report.signal : machine::status_of(report.ending);
    report.instructions = m->instructions();
    report.retired = m->retired();
    report.virtual_time = m->now();
    report.host_time = m->pace().host_elapsed();
    if (options.stats || options.json)
        report.hash = m->hash();
    m->end_of_run();
    report.translator = m->translator_stats();
    report.counters = m->glass().counters();
    report.vmx = vmx_report(*m);
    if (glass_watch) {
        report::Report figures = glass_watch->finish();
        figures.title = report.name;
        figures.outcome = outcome_text(report);
        figures.host_time = report.host_time;
        report.glass = report::text(figures);
        if (page)
            TRY(write_page(*page, figures));
    }
    if (outside.perfetto)
        TRY(outside.perfetto->finish(m->now()));
    if (outside.trace && (std::fflush(outside.trace.get()) != 0 || std::ferror(outside.trace.get())))
        return Error("--trace-file " + options.trace_file + ": cannot be written: " + std::strerror(errno), Status::host_short);
    return report;
}

void print_report(const RunOptions& options, const RunReport& report) {
    if (const std::string text = ending_text(report.ending); !text.empty() && !options.quiet)
        std::fprintf(stderr, "vitrine: %s\n", text.c_str());
    if (options.stats)
        std::fputs(stats_text(report).c_str(), stderr);
    std::fputs(report.glass.c_str(), stderr);
    std::string last;
    if (options.tap)
        last += tap_text(report);
    if (options.json)
        last += json_text(report) + "\n";
    // The guest's own last line may have no end.
    if (!last.empty())
        std::fprintf(stdout, "\n%s", last.c_str());
    std::fflush(stdout);
}

} // namespace vitrine::app
