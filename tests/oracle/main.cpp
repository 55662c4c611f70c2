// SPDX-License-Identifier: Apache-2.0
// The host oracle: random instructions over every opcode that the decoder knows and the host can run, executed by the host's
// processor and by the interpreter, and compared. A worker process that dies or hangs costs one case, which is reported.
#include "compare.h"
#include "forms.h"
#include "guest.h"
#include "host.h"
#include "listing.h"
#include "skips.h"
#include "values.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace vitrine;
using namespace vitrine::oracle;

namespace {

struct Options {
    u64 count = 1'000'000, seed = 1, first = 0;
    unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
    std::string only, save;
    u64 shown = 20;
    bool coverage = false, lists = false;
};

/// What workers tell the parent; in shared memory.
struct Counts {
    u64 run, faulted, failed, skipped, unimplemented;
};

struct Progress {
    u64 next; ///< the case under way, or to be done next
    u64 done, failures, shown;
    Counts by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1];
};

const char* name(unsigned mnemonic) { return ZydisMnemonicGetString(static_cast<ZydisMnemonic>(mnemonic)); }

/// Mnemonics that the model has and that are not on the list.
std::vector<ZydisMnemonic> chosen(const Forms& forms, const CpuModel& model, const Options& options) {
    std::vector<ZydisMnemonic> out;
    for (const ZydisMnemonic m : forms.mnemonics()) {
        if (!options.only.empty() && options.only != name(m))
            continue;
        const auto skipped = [&](const Skip& s) { return s.mnemonic == m; };
        if (std::any_of(skips().begin(), skips().end(), skipped))
            continue;
        Random random(0, static_cast<u64>(m));
        Case c;
        for (unsigned n = 0; n < 50; ++n)
            if (forms.generate(random, m, c) && model.allows(c.info)) {
                out.push_back(m);
                break;
            }
    }
    return out;
}

/// Makes case `index`; false when this one must not run.
bool make(Case& c, u64 seed, u64 index, const Forms& forms, const std::vector<ZydisMnemonic>& mnemonics, const CpuModel& model,
          bool intel) {
    Random random(seed, index);
    c.seed = seed;
    c.index = index;
    const ZydisMnemonic m = mnemonics[random.below(mnemonics.size())];
    c.info.mnemonic = m;
    if (!forms.generate(random, m, c) || !model.allows(c.info))
        return false;
    fill_values(random, c, forms.decoder());
    return c.info.mnemonic == m && skip_reason(c).empty() && (intel || maker_skip_reason(c).empty());
}

/// Bytes that neither side defines: nothing to compare there.
void mask_undefined_memory(const Case& c, Side& host, Side& guest) {
    if (c.info.mnemonic != ZYDIS_MNEMONIC_XSAVE && c.info.mnemonic != ZYDIS_MNEMONIC_XSAVE64)
        return;
    // XSTATE_BV says which components the implementation thinks in use: those not in their initial state must be there.
    for (unsigned at = 0; at + 64 <= data_size; at += 64)
        for (unsigned n = 0; n < 8; ++n)
            if ((host.memory[at + n] | guest.memory[at + n]) == host.memory[at + n])
                if (std::equal(host.memory.begin() + at + 1, host.memory.begin() + at + 64, guest.memory.begin() + at + 1))
                    guest.memory[at] = host.memory[at];
}

void report(const Case& c, const std::vector<std::string>& lines, const Options& options, Progress& p) {
    ++p.failures;
    ++p.by_mnemonic[c.info.mnemonic].failed;
    if (p.shown >= options.shown)
        return;
    ++p.shown;
    std::string text = fmt::format("FAIL seed {} case {}: {}  [", c.seed, c.index, c.text());
    for (unsigned n = 0; n < c.length; ++n)
        text += fmt::format("{}{:02x}", n ? " " : "", c.bytes[n]);
    text += "]\n";
    for (const std::string& l : lines)
        text += "    " + l + '\n';
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    if (!options.save.empty())
        std::ofstream(fmt::format("{}/oracle-{}-{}.asm", options.save, c.seed, c.index)) << listing(c, lines);
}

int work(const Options& options, Progress& p, unsigned step, const Forms& forms) {
    Host host;
    auto guest = std::make_unique<Guest>();
    const auto mnemonics = chosen(forms, guest->model(), options);
    if (mnemonics.empty())
        return 3;
    static Case c;
    static Side on_host, here;
    for (; p.next < options.first + options.count; p.next += step) {
        if (!make(c, options.seed, p.next, forms, mnemonics, guest->model(), host.intel())) {
            ++p.by_mnemonic[c.info.mnemonic].skipped;
            ++p.done;
            continue;
        }
        Counts& counts = p.by_mnemonic[c.info.mnemonic];
        std::string why;
        if (!guest->run(c, here, why)) {
            ++counts.unimplemented;
            report(c, {why}, options, p);
            guest = std::make_unique<Guest>();
            ++p.done;
            continue;
        }
        host.run(c, on_host);
        mask_undefined_memory(c, on_host, here);
        const auto lines = differences(c, on_host, here, host.intel());
        ++counts.run;
        counts.faulted += on_host.ending.fault;
        if (!lines.empty())
            report(c, lines, options, p);
        ++p.done;
    }
    return 0;
}

void parse(int argc, char** argv, Options& o) {
    CLI::App app{"Random instructions on the host's processor and in the interpreter"};
    app.add_option("--count", o.count, "cases");
    app.add_option("--seed", o.seed, "of all cases");
    app.add_option("--first", o.first, "first case; with --count 1: that case alone");
    app.add_option("--jobs", o.jobs, "worker processes")->check(CLI::Range(1u, 256u));
    app.add_option("--only", o.only, "one mnemonic (changes what a case number means)");
    app.add_option("--save", o.save, "directory for a .asm of each failing case");
    app.add_option("--show", o.shown, "failing cases to print, per worker");
    app.add_flag("--coverage", o.coverage, "how often each mnemonic ran");
    app.add_flag("--lists", o.lists, "print what is not compared, with reasons");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        std::exit(app.exit(e) == 0 ? 0 : 2);
    }
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    parse(argc, argv, options);
    if (options.lists) {
        for (const Skip& s : skips())
            fmt::print("{:12} {}\n", name(s.mnemonic), s.reason);
        for (const MakerDifference& d : maker_differences())
            fmt::print("other makers: {}: {}\n", d.what, d.reason);
        return 0;
    }
    const Forms forms;
    const unsigned jobs = static_cast<unsigned>(std::min<u64>(options.jobs, std::max<u64>(options.count, 1)));
    auto* progress = static_cast<Progress*>(
        mmap(nullptr, sizeof(Progress) * jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    VERIFY(progress != MAP_FAILED);
    std::vector<pid_t> workers(jobs, 0);
    std::vector<u64> last(jobs, ~0ull), stalled(jobs, 0);
    const auto start = [&](unsigned n) {
        std::fflush(stdout);
        workers[n] = fork();
        VERIFY(workers[n] >= 0);
        if (workers[n] == 0)
            _exit(work(options, progress[n], jobs, forms));
    };
    for (unsigned n = 0; n < jobs; ++n) {
        progress[n].next = options.first + n;
        start(n);
    }
    const auto begin = std::chrono::steady_clock::now();
    unsigned running = jobs;
    u64 lost = 0;
    bool bad = false;
    while (running) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        for (unsigned n = 0; n < jobs; ++n) {
            if (!workers[n])
                continue;
            int status = 0;
            if (waitpid(workers[n], &status, WNOHANG) == 0) {
                stalled[n] = progress[n].done == last[n] ? stalled[n] + 1 : 0;
                last[n] = progress[n].done;
                if (stalled[n] > 500) // ten seconds on one case
                    kill(workers[n], SIGKILL);
                continue;
            }
            workers[n] = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                --running;
                continue;
            }
            if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
                fmt::print("no such mnemonic, or nothing of it can be tried\n");
                return 2;
            }
            fmt::print("FAIL seed {} case {}: the worker {}\n", options.seed, progress[n].next,
                       WIFSIGNALED(status) ? fmt::format("died of signal {}", WTERMSIG(status)) : "stopped");
            ++lost;
            ++progress[n].done;
            progress[n].next += jobs;
            stalled[n] = 0;
            if (lost > 100) {
                bad = true;
                --running;
                continue;
            }
            start(n);
        }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    Counts total{};
    std::map<u64, std::string> failing;
    unsigned mnemonics = 0;
    for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; ++m) {
        Counts sum{};
        for (unsigned n = 0; n < jobs; ++n) {
            const Counts& c = progress[n].by_mnemonic[m];
            sum = {sum.run + c.run, sum.faulted + c.faulted, sum.failed + c.failed, sum.skipped + c.skipped, sum.unimplemented + c.unimplemented};
        }
        mnemonics += sum.run != 0;
        if (options.coverage && (sum.run || sum.skipped))
            fmt::print("{:16} run {:6} faulted {:6} skipped {:6} failed {}\n", name(m), sum.run, sum.faulted, sum.skipped, sum.failed);
        if (sum.failed)
            fmt::print("  {:16} {} of {} differ{}\n", name(m), sum.failed, sum.run + sum.unimplemented,
                       sum.unimplemented ? fmt::format(" ({} not implemented)", sum.unimplemented) : "");
        total = {total.run + sum.run, total.faulted + sum.faulted, total.failed + sum.failed, total.skipped + sum.skipped, total.unimplemented + sum.unimplemented};
    }
    fmt::print("seed {}: {} cases of {} mnemonics compared ({} with exceptions), {} not tried, {} differ, {} workers lost; {:.1f} s\n", options.seed,
               total.run, mnemonics, total.faulted, total.skipped, total.failed, lost, seconds);
    return total.failed || lost || bad || total.run == 0 ? 1 : 0;
}
