// SPDX-License-Identifier: Apache-2.0
// Blocks in the interpreter and in the translator: each is run as a whole and in part, and everything is compared after each run.
#include "blocks.h"

#include "block_maker.h"

#include "machine/hash_visitor.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

constexpr u64 between_hashes = 1000; ///< blocks after which whole processors are compared, TLBs and all

class Blocks {
public:
    Blocks(const Repertoire& repertoire, const CpuModel& model, u64 seed, Progress& p) : maker_(repertoire, model), seed_(seed), progress_(p) { renew(); }

    void run(u64 index);

private:
    void renew() {
        interpreter_ = std::make_unique<Guest>(false, 2);
        translator_ = std::make_unique<Guest>(true, 2);
    }
    bool round(u64 count, bool paths, bool flush);
    std::vector<std::string> differences(bool one_ended, bool other_ended);
    void fail(u64 index, u64 count, const std::vector<std::string>& lines);

    BlockMaker maker_;
    u64 seed_;
    Progress& progress_;
    std::unique_ptr<Guest> interpreter_, translator_;
    std::unique_ptr<MadeBlock> block_ = std::make_unique<MadeBlock>();
    std::vector<std::string> lines_;
    u64 since_hash_ = 0;
    bool translated_ = false;
};

machine::Hash128 hash(Guest& g) {
    machine::HashVisitor v;
    g.machine().cpu.state(v);
    return v.take(0);
}

std::vector<std::string> Blocks::differences(bool one_ended, bool other_ended) {
    std::vector<std::string> lines;
    const Cpu &a = interpreter_->machine().cpu, &b = translator_->machine().cpu;
    const auto differ = [&](std::string_view what, auto one, auto other) {
        if (one != other)
            lines.push_back(fmt::format("{}: interpreter {:x}, translator {:x}", what, one, other));
    };
    const auto same = [&](std::string_view what, bool equal) {
        if (!equal)
            lines.emplace_back(what);
    };
    differ("stopped", one_ended, other_ended);
    for (unsigned n = 0; n < 16; ++n)
        if (a.gpr[n] != b.gpr[n])
            differ(fmt::format("gpr {}", n), a.gpr[n], b.gpr[n]);
    differ("rip", a.rip, b.rip);
    differ("rflags", a.rflags(), b.rflags());
    differ("instructions retired", a.retired, b.retired);
    differ("virtual time", interpreter_->machine().clock.now(), translator_->machine().clock.now());
    differ("cr2", a.cr2, b.cr2);
    differ("mxcsr", a.fpu.mxcsr, b.fpu.mxcsr);
    differ("fip", a.fpu.fip, b.fpu.fip);
    differ("fdp", a.fpu.fdp, b.fpu.fdp);
    differ("fop", a.fpu.fop, b.fpu.fop);
    same("x87", a.fpu.x87 == b.fpu.x87);
    same("vectors", a.fpu.zmm == b.fpu.zmm);
    same("masks", a.fpu.k == b.fpu.k);
    for (unsigned n = 0; n < segment_count; ++n)
        differ("a segment's base", a.segments[n].base, b.segments[n].base);
    const Event *one = interpreter_->ended_by(), *other = translator_->ended_by();
    differ("exception", one ? static_cast<int>(one->vector) : -1, other ? static_cast<int>(other->vector) : -1);
    if (one && other) {
        differ("its error", one->has_error ? one->error : 0, other->has_error ? other->error : 0);
        differ("its address", one->cr2, other->cr2);
        differ("its kind", static_cast<int>(one->kind), static_cast<int>(other->kind));
    }
    same("data", std::ranges::equal(interpreter_->data_memory(), translator_->data_memory()));
    same("code", std::ranges::equal(interpreter_->code_memory(), translator_->code_memory()));
    return lines;
}

/// False when something differs. `flush`: with empty TLBs.
bool Blocks::round(u64 count, bool paths, bool flush) {
    bool ran[2];
    for (unsigned n = 0; n < 2; ++n) {
        Guest& g = n ? *translator_ : *interpreter_;
        g.put_block(*block_->setting, block_->begin, block_->bytes);
        if (flush)
            g.machine().cpu.flush_tlb(false);
        if (n)
            translated_ |= g.translate(paths);
        ran[n] = g.go(count);
    }
    lines_ = differences(ran[0], ran[1]);
    if (!ran[0] || !ran[1]) { // not implemented, or nothing goes on: it would stay so
        ++progress_.by_mnemonic[block_->setting - settings().data()].unimplemented;
        renew();
    }
    return lines_.empty();
}

void Blocks::fail(u64 index, u64 count, const std::vector<std::string>& lines) {
    renew(); // what has become different would stay so
    ++progress_.by_mnemonic[block_->setting - settings().data()].failed;
    if (progress_.shown++ >= 20)
        return;
    std::string report = fmt::format("FAIL seed {} block {}: {}, {} instructions of time:\n{}", seed_, index, block_->setting->name, count, block_->text());
    for (const std::string& line : lines)
        report += "  " + line + '\n';
    std::fputs(report.c_str(), stdout);
    std::fflush(stdout);
}

void Blocks::run(u64 index) {
    maker_.make(*block_, seed_, index);
    if (block_->lengths.empty())
        return;
    Random r(seed_ ^ 0x5eed, index);
    Counts& counts = progress_.by_mnemonic[block_->setting - settings().data()];
    translated_ = false;
    const u64 instructions = block_->lengths.size(), whole = instructions + 1 + r.below(24);
    // What follows what is known only after a run.
    const unsigned rounds = block_->branches ? 3 : 2;
    for (unsigned n = 0; n < rounds; ++n) {
        const u64 count = n == 1 ? 1 + r.below(instructions) : whole;
        if (!round(count, n > 0, r.chance(3)))
            return fail(index, count, lines_);
        if (n == 0) {
            ++counts.run;
            counts.faulted += interpreter_->ended_by() != nullptr;
        }
    }
    counts.skipped += translated_;
    if (++since_hash_ == between_hashes) {
        since_hash_ = 0;
        if (hash(*interpreter_) != hash(*translator_))
            return fail(index, whole, {fmt::format("the processors' states, in this block or in the {} before it", between_hashes)});
    }
}

} // namespace

int compare_blocks(const Repertoire& repertoire, const CpuModel& model, u64 seed, u64 end, unsigned jobs, Progress& p) {
    Blocks blocks(repertoire, model, seed, p);
    for (; p.next < end; p.next += jobs, ++p.done)
        blocks.run(p.next);
    return 0;
}

bool blocks_summary(std::span<const Progress> progress, u64 lost, double seconds) {
    Counts total{};
    bool everywhere = true;
    for (const Setting& s : settings()) {
        Counts here{};
        for (const Progress& p : progress)
            here += p.by_mnemonic[&s - settings().data()];
        fmt::print("{:30} {:9} blocks ({} translated, {} ended by an exception, {} by a stop), {} differ\n", s.name, here.run, here.skipped,
                   here.faulted, here.unimplemented, here.failed);
        everywhere &= here.run > 0;
        total += here;
    }
    fmt::print("{} blocks compared ({} translated, {} ended by an exception), {} differ, {} workers lost; {:.1f} s\n", total.run, total.skipped, total.faulted,
               total.failed, lost, seconds);
    // A processor that does nothing any more would agree with another one: most blocks must run, and exceptions keep coming.
    const bool alive = total.unimplemented < total.run / 50 && total.faulted > total.run / 20;
    return everywhere && alive && total.skipped && !total.failed && !lost;
}

} // namespace vitrine::oracle
