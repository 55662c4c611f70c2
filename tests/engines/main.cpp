// SPDX-License-Identifier: Apache-2.0
// Runs one machine in the interpreter and in the translator side by side, compares the hashes of their states at every step, and
// narrows the first difference down: each pass begins anew and takes smaller steps in the window that the pass before has found.
#include "machine/dump_visitor.h"
#include "machine/machine.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <iterator>

using namespace vitrine;
using namespace vitrine::machine;

namespace {

struct Options {
    std::string kernel, initrd, append;
    u64 memory = 512, step = 10'000'000, until = ~0ull, start = 0, fine = 64;
    unsigned cpus = 1;
    std::string vmx;
};

BootFile read(const char* option, const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {option, path, {std::istreambuf_iterator<char>(in), {}}, {}};
}

std::unique_ptr<Machine> make(const Options& o, Engine engine) {
    MachineConfig config;
    config.memory = o.memory << 20;
    config.cpus = o.cpus;
    config.vmx = o.vmx;
    config.engine = engine;
    config.kernel = read("--kernel", o.kernel);
    if (!o.initrd.empty())
        config.initrd = read("--initrd", o.initrd);
    config.append = o.append;
    Streams streams;
    streams.serial.push_back(nullptr);
    auto m = Machine::create(std::move(config), streams, std::make_unique<Glass>());
    if (!m.ok()) {
        fmt::print(stderr, "{}\n", m.error().message);
        std::exit(2);
    }
    m.value()->pace() = Pace(PaceMode::warp);
    m.value()->no_reboot = true;
    if (!m.value()->power_on().ok())
        std::exit(2);
    return std::move(m).value();
}

/// The state but for memory, line by line.
std::vector<std::string> dump(Machine& m) {
    DumpVisitor v(1 << 20);
    m.state(v);
    std::vector<std::string> lines;
    std::size_t at = 0;
    for (std::size_t end; (end = v.text().find('\n', at)) != std::string::npos; at = end + 1)
        lines.push_back(v.text().substr(at, end - at));
    return lines;
}

void show_difference(Machine& a, Machine& b) {
    const auto ha = a.hashes(), hb = b.hashes();
    for (std::size_t n = 0; n < ha.size(); ++n)
        if (ha[n].second != hb[n].second)
            fmt::print("differs: {}\n", ha[n].first);
    unsigned bytes = 0;
    for (u64 page = 0; page < a.space().ram_pages(); ++page) {
        const u8 *one = a.space().ram() + page * page_size, *other = b.space().ram() + page * page_size;
        if (((a.space().flags(page) | b.space().flags(page)) & page_touched) && std::memcmp(one, other, page_size) != 0)
            for (unsigned n = 0; n < page_size; ++n)
                if (one[n] != other[n] && ++bytes <= 32)
                    fmt::print("ram {:x}: interpreter {:02x}, translator {:02x}\n", page * page_size + n, one[n], other[n]);
    }
    const auto x = dump(a), y = dump(b);
    unsigned shown = 0;
    for (std::size_t n = 0; n < std::min(x.size(), y.size()); ++n)
        if (x[n] != y[n] && ++shown <= 40)
            fmt::print("line {}:\n  interpreter {}\n  translator  {}\n", n, x[n], y[n]);
}

/// Where the two are unlike for the first time, by steps; 0: nowhere. With `last`, what they are then is shown.
u64 pass(const Options& o, u64 from, u64 step, u64 until, bool last) {
    const auto a = make(o, Engine::interpreter), b = make(o, Engine::translator);
    if (from) {
        a->run(from);
        b->run(from);
    }
    for (u64 at = from + step; at <= until; at += step) {
        std::string trace;
        if (last) { // the way of the interpreter, one instruction at a time
            for (u64 n = at - step + 1; n <= at; ++n) {
                for (unsigned c = 0; c < a->cpus(); ++c) {
                    Cpu& cpu = a->cpu(c);
                    u8 bytes[15]{};
                    for (unsigned k = 0; k < sizeof bytes; ++k)
                        if (const auto m = cpu.examine(cpu.linear_rip() + k); m.present)
                            if (const u8* host = a->space().host(m.page))
                                bytes[k] = *host;
                    trace += fmt::format("{} cpu {} {:016x} {:012b} {}\n", n, c, cpu.rip, cpu.rflags() & 0xfff, cpu.disassemble(bytes, 15, cpu.rip));
                }
                a->run(n);
            }
        }
        const Ending one = a->run(at), other = b->run(at);
        if (a->hash() != b->hash()) {
            if (last) {
                std::fputs(trace.c_str(), stdout);
                show_difference(*a, *b);
            }
            return at;
        }
        if (one.kind != EndingKind::instructions || other.kind != EndingKind::instructions) {
            fmt::print("both end at {}\n", a->instructions());
            break;
        }
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Options o;
    CLI::App app{"One machine in both engines"};
    app.add_option("--kernel", o.kernel)->required();
    app.add_option("--initrd", o.initrd);
    app.add_option("--append", o.append);
    app.add_option("--memory", o.memory, "MiB");
    app.add_option("--cpus", o.cpus);
    app.add_option("--vmx", o.vmx);
    app.add_option("--step", o.step, "instructions between comparisons at first");
    app.add_option("--start", o.start, "where to begin to compare");
    app.add_option("--until", o.until);
    app.add_option("--fine", o.fine, "the smallest step");
    CLI11_PARSE(app, argc, argv);
    u64 from = o.start, step = o.step, until = o.until;
    for (;;) {
        const bool last = step <= o.fine;
        const u64 at = pass(o, from, step, until, last);
        if (at == 0) {
            fmt::print("no difference in steps of {}\n", step);
            return from == o.start && step == o.step ? 0 : 1;
        }
        fmt::print("differs in ({}, {}]\n", at - step, at);
        if (last)
            return 1;
        from = at - step;
        until = at;
        step = std::max(step / 30, o.fine);
    }
}
