// SPDX-License-Identifier: Apache-2.0
// vitrine-qemu: Vitrine for scripts that were written for qemu-system-x86_64.
#include "app/qemu_options.h"
#include "app/session.h"
#include "host/terminal.h"

#include <cstdio>
#include <new>

namespace {

using namespace vitrine;
using namespace vitrine::app;

int fail(const Error& error) {
    host::RawTerminal::restore_now();
    std::fprintf(stderr, "vitrine-qemu: %s\n", error.message.c_str());
    return qemu_status(static_cast<int>(error.status));
}

int run(QemuCommand command) {
    for (const std::string& warning : command.warnings)
        std::fprintf(stderr, "vitrine-qemu: warning: %s\n", warning.c_str());
    const auto report = run_session(std::move(command.run));
    if (!report.ok())
        return fail(report.error());
    const machine::EndingKind kind = report.value().ending.kind;
    // What QEMU would not tell: a reset is its business, the rest is an end that nobody asked for.
    if (const std::string text = ending_text(report.value().ending); !text.empty() && kind != machine::EndingKind::reset)
        std::fprintf(stderr, "vitrine-qemu: %s\n", text.c_str());
    return qemu_status(report.value().status);
}

} // namespace

int main(int argc, char** argv) {
    try {
        auto command = parse_qemu_command_line(std::vector<std::string>(argv + 1, argv + argc));
        if (!command.ok())
            return fail(command.error());
        if (command.value().print.empty())
            return run(std::move(command).value());
        std::fputs(command.value().print.c_str(), stdout);
        return std::fflush(stdout) == 0 ? 0 : 1;
    } catch (const std::bad_alloc&) {
        return fail(Error("the host has no memory left", Status::host_short));
    }
}
