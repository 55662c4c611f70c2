// SPDX-License-Identifier: Apache-2.0
// vitrine: the program.
#include "app/command_line.h"
#include "app/lists.h"
#include "app/reference.h"
#include "app/session.h"
#include "host/signals.h"
#include "host/terminal.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>

namespace {

using namespace vitrine;
using namespace vitrine::app;

int fail(const Error& error) {
    host::RawTerminal::restore_now();
    std::fprintf(stderr, "vitrine: %s\n", error.message.c_str());
    return static_cast<int>(error.status);
}

int print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : fail(Error(std::string("standard output: ") + std::strerror(errno), Status::host_short));
}

int do_command(const PrintText& c) { return print(c.text); }

int do_command(const ListDevices&) { return print(devices_text()); }

int do_command(const ListCpus&) { return print(cpus_text()); }

int do_command(const Explain& c) {
    const auto text = explain_text(c.what);
    return text.ok() ? print(text.value()) : fail(text.error());
}

int do_command(const ShowDocs& c) {
    if (c.page.empty())
        return print(reference_pages());
    const auto text = reference_page(c.page);
    return text.ok() ? print(text.value()) : fail(text.error());
}

int do_command(const RunOptions& run) {
    const auto report = run_session(run);
    if (!report.ok())
        return fail(report.error());
    print_report(run, report.value());
    if (!run.junit.empty()) {
        std::ofstream file(run.junit);
        if (!(file << junit_text(report.value())).flush())
            return fail(Error("--junit " + run.junit + ": cannot be written: " + std::strerror(errno), Status::host_short));
    }
    if (report.value().signal)
        host::EndingSignals::die(report.value().signal);
    return report.value().status;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const auto command = parse_command_line(argc, argv);
        if (!command.ok())
            return fail(command.error());
        return std::visit([](const auto& c) { return do_command(c); }, command.value());
    } catch (const std::bad_alloc&) {
        return fail(Error("the host has no memory left", Status::host_short));
    }
}
