// SPDX-License-Identifier: Apache-2.0
// The host oracle: random instructions over every opcode that the decoder knows and the host can run, executed by the host's
// processor and by the interpreter, and compared.
#include "blocks.h"
#include "listing.h"
#include "pool.h"
#include "self_test.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <thread>

using namespace vitrine;
using namespace vitrine::oracle;

namespace {

struct Options {
    u64 count = 1'000'000, seed = 1, first = 0;
    unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
    std::string only, save, engine = "interp";
    u64 shown = 20;
    bool blocks = false, coverage = false, lists = false, thorough = false, self_test = false;
};

const char* name(unsigned mnemonic) { return ZydisMnemonicGetString(static_cast<ZydisMnemonic>(mnemonic)); }

void report(const Case& c, const std::vector<std::string>& lines, const Options& options, Progress& p) {
    if (p.shown++ >= options.shown)
        return;
    std::string text = fmt::format("FAIL seed {} case {}: {}  [{}] in {}-bit code\n", c.seed, c.index, c.text(), c.hex(), c.bits);
    for (const std::string& l : lines)
        text += "    " + l + '\n';
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    const std::string program = listing(c, lines);
    if (!options.save.empty())
        std::ofstream(fmt::format("{}/oracle-{}-{}.asm", options.save, c.seed, c.index)) << program;
    else if (p.shown == 1)
        std::fputs(program.c_str(), stdout);
}

int work(const Options& options, const Repertoire& repertoire, Progress& p) {
    Trial trial(p, options.engine == "jit");
    auto c = std::make_unique<Case>();
    for (; p.next < options.first + options.count; p.next += options.jobs, ++p.done) {
        if (!repertoire.make(*c, options.seed, p.next, p)) {
            ++p.by_mnemonic[c->info.mnemonic].skipped;
            continue;
        }
        const auto lines = trial.run(*c);
        if (!lines.empty())
            report(*c, lines, options, p);
    }
    return 0;
}

void parse(int argc, char** argv, Options& o) {
    CLI::App app{"Random instructions on the host's processor and in the interpreter"};
    app.add_option("--count", o.count, "cases")->check(CLI::PositiveNumber);
    app.add_option("--seed", o.seed, "of all cases");
    app.add_option("--first", o.first, "first case; with --count 1: that case alone");
    app.add_option("--jobs", o.jobs, "worker processes")->check(CLI::Range(1u, 256u));
    app.add_option("--only", o.only, "one mnemonic (changes what a case number means)");
    app.add_option("--save", o.save, "directory for a .asm of each failing case (default: the first is printed)");
    app.add_option("--show", o.shown, "failing cases to print, per worker");
    app.add_option("--engine", o.engine, "what is compared with the host: interp or jit")->check(CLI::IsMember({"interp", "jit"}));
    app.add_flag("--blocks", o.blocks, "no host: runs of instructions in both engines, compared with each other");
    app.add_flag("--coverage", o.coverage, "how often each mnemonic ran");
    app.add_flag("--lists", o.lists, "print what is not compared, with reasons");
    app.add_flag("--thorough", o.thorough, "fail unless every mnemonic, nearly every form and every row of the lists came up");
    app.add_flag("--self-test", o.self_test, "whether deliberate errors are noticed");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        std::exit(app.exit(e) == 0 ? 0 : 2);
    }
    o.jobs = static_cast<unsigned>(std::min<u64>(o.jobs, o.count));
}

void print_lists() {
    for (const Skip& s : skips())
        fmt::print("never tried: {}: {}\n", name(s.mnemonic), s.reason);
    for (const CaseSkip& s : case_skips())
        fmt::print("not run{}: {}: {}\n", s.other_makers ? " on other makers' processors" : "", s.name, s.reason);
    for (const Difference& d : differences())
        fmt::print("{}: {}: {}\n", d.other_makers ? "other makers" : "any processor", d.name, d.reason);
}

/// A long run must have come everywhere; what it says otherwise is printed.
bool everywhere(const Pool& pool, const Repertoire& repertoire, const CpuModel& model, bool intel, u64 cases) {
    bool good = true;
    const auto missing = [&](const std::string& what) {
        fmt::print("FAIL coverage: {}\n", what);
        good = false;
    };
    const auto total = [&](auto count) {
        u64 sum = 0;
        for (const Progress& p : pool.progress())
            sum += count(p);
        return sum;
    };
    for (const ZydisMnemonic m : repertoire.mnemonics())
        if (!total([&](const Progress& p) { return p.by_mnemonic[m].run; }))
            missing(fmt::format("{} never ran", name(m)));
    const unsigned least = model.has(Feature::avx512f) ? 1150 : 700;
    if (repertoire.mnemonics().size() < least)
        missing(fmt::format("{} mnemonics are tried, {} were expected at least", repertoire.mnemonics().size(), least));
    for (const Skip& s : skips())
        if (!repertoire.decodes(s.mnemonic))
            missing(fmt::format("the row about {} is of no use: the decoder has no such instruction", name(s.mnemonic)));
    for (std::size_t n = 0; n < case_skips().size(); ++n)
        if (!(case_skips()[n].other_makers && intel) && !total([&](const Progress& p) { return p.by_case_skip[n]; }))
            missing(fmt::format("the row '{}' was never used", case_skips()[n].name));
    constexpr u64 enough_for_all = 10'000'000; // cases; then every difference has shown itself
    for (std::size_t n = 0; n < differences().size(); ++n) {
        if (differences()[n].other_makers && intel)
            continue;
        if (!total([&](const Progress& p) { return p.met[n]; }))
            missing(fmt::format("the row '{}' was never met", differences()[n].name));
        else if (cases >= enough_for_all && !total([&](const Progress& p) { return p.by_difference[n]; }))
            missing(fmt::format("the row '{}' was never used", differences()[n].name));
    }
    return good;
}

/// Sums of all workers; false when something differs.
bool summary(const Pool& pool, const Options& options, u64 lost, double seconds) {
    Counts total{};
    unsigned mnemonics = 0;
    for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; ++m) {
        Counts sum{};
        for (const Progress& p : pool.progress())
            sum += p.by_mnemonic[m];
        mnemonics += sum.run != 0;
        if (options.coverage && (sum.run || sum.skipped))
            fmt::print("{:16} run {:6} faulted {:6} skipped {:6} failed {}\n", name(m), sum.run, sum.faulted, sum.skipped, sum.failed);
        if (sum.failed)
            fmt::print("  {:16} {} of {} differ{}\n", name(m), sum.failed, sum.run + sum.unimplemented,
                       sum.unimplemented ? fmt::format(" ({} not implemented)", sum.unimplemented) : "");
        total += sum;
    }
    u64 forms = 0, unsteady = 0;
    for (unsigned f = 0; f < max_forms; ++f)
        forms += std::any_of(pool.progress().begin(), pool.progress().end(), [&](const Progress& p) { return p.form_ran[f] != 0; });
    for (const Progress& p : pool.progress())
        unsteady += p.unsteady;
    fmt::print("seed {}: {} cases of {} mnemonics in {} forms compared ({} with exceptions), {} not tried, {} differ, {} workers lost, "
               "{} repeated because the host did not agree with itself; {:.1f} s\n",
               options.seed, total.run, mnemonics, forms, total.faulted, total.skipped, total.failed, lost, unsteady, seconds);
    return !total.failed && !lost && total.run && !pool.gave_up() && unsteady <= 10 + total.run / 1000;
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    parse(argc, argv, options);
    if (options.lists) {
        print_lists();
        return 0;
    }
    const CpuModel model = std::move(find_cpu_model("max")).value();
    const Repertoire repertoire(model, options.only);
    VERIFY(repertoire.form_count() <= max_forms && case_skips().size() <= max_rows && differences().size() <= max_rows);
    if (repertoire.mnemonics().empty()) {
        fmt::print(stderr, "--only {}: there is no such mnemonic, or nothing of it can be tried\n", options.only);
        return 2;
    }
    if (options.self_test) {
        const bool good = self_test(repertoire);
        fmt::print("self-test: {}\n", good ? "every deliberate error was noticed" : "failed");
        return good ? 0 : 1;
    }
    Pool pool(options.jobs, options.first, [&](Progress& p) {
        return options.blocks ? compare_blocks(repertoire, model, options.seed, options.first + options.count, options.jobs, p)
                              : work(options, repertoire, p);
    });
    const auto begin = std::chrono::steady_clock::now();
    u64 lost = 0;
    pool.run([&](u64 index, const std::string& how) {
        ++lost;
        auto c = std::make_unique<Case>();
        auto unused = std::make_unique<Progress>();
        const bool made = repertoire.make(*c, options.seed, index, *unused);
        fmt::print("FAIL seed {} case {}: {}: {} [{}]\n", options.seed, index, how, made ? c->text() : "(no case)", made ? c->hex() : "");
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (options.blocks)
        return blocks_summary(pool.progress(), lost, seconds) && !pool.gave_up() ? 0 : 1;
    bool good = summary(pool, options, lost, seconds);
    if (options.thorough)
        good &= everywhere(pool, repertoire, model, Host::is_intel(), options.count);
    return good ? 0 : 1;
}
