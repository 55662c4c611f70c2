// SPDX-License-Identifier: Apache-2.0
// Makes blocks so that most of them come far: an instruction that raises an exception is taken back more often than not.
#include "blocks.h"

#include "compare.h"
#include "jit/forms.h"

#include <cstdio>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

constexpr unsigned most_instructions = 12, most_bytes = 200;

class Blocks {
public:
    Blocks(const Repertoire& repertoire, u64 seed, Progress& p) : repertoire_(repertoire), seed_(seed), progress_(p) {
        for (const auto rows : jit::all_operations())
            for (const jit::Operation& o : rows)
                (rows.data() == jit::vector_operations().data() ? vectors_ : rows.data() == jit::x87_operations().data() ? x87_ : natives_)
                    .push_back(o.mnemonic);
    }

    void run(u64 index);

private:
    bool compare(const Case& begin, std::span<const u8> bytes, u64 count, std::vector<std::string>& lines);
    bool both(const Case& begin, std::span<const u8> bytes, u64 count);

    bool make(Case& c, Random& random, u64 index, unsigned mode);

    const Repertoire& repertoire_;
    std::vector<ZydisMnemonic> natives_, vectors_, x87_;
    u64 seed_;
    Progress& progress_;
    std::unique_ptr<Guest> interpreter_ = std::make_unique<Guest>(false), translator_ = std::make_unique<Guest>(true);
    std::unique_ptr<Case> first_ = std::make_unique<Case>(), next_ = std::make_unique<Case>();
    std::unique_ptr<Side> one_ = std::make_unique<Side>(), other_ = std::make_unique<Side>();
    std::string why_;
};

/// False when some instruction is not implemented: such a block is no block.
bool Blocks::both(const Case& begin, std::span<const u8> bytes, u64 count) {
    const u64 before = interpreter_->retired(), before_other = translator_->retired();
    if (!interpreter_->run_block(begin, bytes, count, *one_, why_) || !translator_->run_block(begin, bytes, count, *other_, why_)) {
        interpreter_ = std::make_unique<Guest>(false);
        translator_ = std::make_unique<Guest>(true);
        return false;
    }
    if (interpreter_->retired() - before != translator_->retired() - before_other)
        one_->registers.rip ^= bit(63); // so that it is a difference
    return true;
}

bool Blocks::compare(const Case& begin, std::span<const u8> bytes, u64 count, std::vector<std::string>& lines) {
    if (!both(begin, bytes, count))
        return true;
    if (one_->ending == other_->ending && one_->registers == other_->registers && one_->memory == other_->memory)
        return true;
    if (one_->registers.rip >> 63 != other_->registers.rip >> 63)
        lines.push_back("another number of instructions");
    for (unsigned n = 0; n < 16; ++n)
        if (one_->registers.gpr[n] != other_->registers.gpr[n])
            lines.push_back(fmt::format("gpr {}: interpreter {:x}, translator {:x}", n, one_->registers.gpr[n], other_->registers.gpr[n]));
    if (one_->registers.rflags != other_->registers.rflags)
        lines.push_back(fmt::format("rflags: interpreter {:x}, translator {:x}", one_->registers.rflags, other_->registers.rflags));
    if (one_->registers.rip != other_->registers.rip)
        lines.push_back(fmt::format("rip: interpreter {:x}, translator {:x}", one_->registers.rip, other_->registers.rip));
    for (unsigned n = 0; n < 32; ++n)
        if (one_->registers.zmm[n] != other_->registers.zmm[n])
            lines.push_back(fmt::format("zmm {}", n));
    if (one_->registers.mxcsr != other_->registers.mxcsr)
        lines.push_back(fmt::format("mxcsr: interpreter {:x}, translator {:x}", one_->registers.mxcsr, other_->registers.mxcsr));
    if (!(one_->ending == other_->ending))
        lines.push_back(fmt::format("ending: interpreter {} {} {:x}, translator {} {} {:x}", one_->ending.fault, one_->ending.vector, one_->ending.cr2,
                                    other_->ending.fault, other_->ending.vector, other_->ending.cr2));
    if (one_->memory != other_->memory)
        lines.push_back("memory");
    if (one_->registers.x87 != other_->registers.x87)
        lines.push_back("x87");
    const auto pointers = [](const Registers& r) { return fmt::format("{:x} {:x} {:x}", r.fip, r.fdp, r.fop); };
    if (pointers(one_->registers) != pointers(other_->registers))
        lines.push_back(fmt::format("FIP, FDP, FOP: interpreter {}, translator {}", pointers(one_->registers), pointers(other_->registers)));
    if (lines.empty())
        lines.push_back("mask registers");
    return false;
}

/// Mostly what the translator does itself.
bool Blocks::make(Case& c, Random& random, u64 index, unsigned mode) {
    static constexpr u8 bits[] = {64, 32};
    if (random.chance(20))
        return repertoire_.make(c, seed_, index, progress_) && c.bits == bits[mode];
    const u64 dice = random.below(100);
    const auto& among = dice < 60 ? natives_ : dice < 80 ? vectors_ : x87_;
    return repertoire_.make_one(c, seed_, index, among[random.below(among.size())], mode);
}

/// 32-bit code with flat segments, which is what the translator takes; FS and GS may be moved.
bool flat(const Case& c) {
    for (const SegmentName s : {es, cs, ss, ds})
        if (c.bases[s] != 0 || c.limits[s] != 0xffff'ffff)
            return false;
    return true;
}

void Blocks::run(u64 index) {
    Random random(seed_, index);
    const unsigned mode = random.chance(30); // of all code: 64- or 32-bit
    if (!make(*first_, random, index * 64, mode) || (mode == 1 && !flat(*first_)))
        return;
    if (mode == 1 && random.chance(20)) // what 32-bit code cannot see of registers
        for (unsigned n = 0; n < 8; ++n)
            first_->registers.gpr[n] |= random.next() << 32;
    first_->registers.rflags &= ~(rflags::tf | rflags::ac);
    first_->address = first_->registers.rip = code_page + random.below(64);
    const unsigned wanted = 2 + static_cast<unsigned>(random.below(most_instructions - 1));
    std::vector<u8> bytes;
    std::string text;
    unsigned instructions = 0;
    for (unsigned n = 0; n < 4 * wanted && instructions < wanted && bytes.size() < most_bytes; ++n) {
        const Case& c = n == 0 ? *first_ : *next_;
        if (n > 0 && !make(*next_, random, index * 64 + n, mode))
            continue;
        bytes.insert(bytes.end(), c.bytes.begin(), c.bytes.begin() + c.length);
        if (!interpreter_->run_block(*first_, bytes, instructions + 1, *one_, why_)) {
            interpreter_ = std::make_unique<Guest>(false);
            bytes.resize(bytes.size() - c.length);
            continue;
        }
        if (one_->ending.fault && !random.chance(15)) {
            bytes.resize(bytes.size() - c.length);
            continue;
        }
        text += "    " + c.text() + '\n';
        ++instructions;
        if (one_->ending.fault)
            break;
    }
    if (bytes.empty())
        return;
    ++progress_.by_mnemonic[0].run;
    progress_.by_mnemonic[0].faulted += one_->ending.fault;
    const u64 translated = translator_->translator()->stats().blocks;
    const u64 counts[] = {instructions + 1ull, instructions + 1ull, instructions + 1 + random.below(40), 1 + random.below(instructions + 1)};
    for (const u64 count : counts) {
        std::vector<std::string> lines;
        const bool equal = compare(*first_, bytes, count, lines);
        if (count == counts[0])
            progress_.by_mnemonic[0].skipped += translator_->translator()->stats().blocks != translated;
        if (equal)
            continue;
        ++progress_.by_mnemonic[0].failed;
        if (progress_.shown++ < 20) {
            std::string report = fmt::format("FAIL block {} of {}-bit code with {} instructions of time:\n{}", index, first_->bits, count, text);
            for (const std::string& line : lines)
                report += "  " + line + '\n';
            std::fputs(report.c_str(), stdout);
            std::fflush(stdout);
        }
        return;
    }
}

} // namespace

int compare_blocks(const Repertoire& repertoire, u64 seed, u64 end, unsigned jobs, Progress& p) {
    Blocks blocks(repertoire, seed, p);
    for (; p.next < end; p.next += jobs, ++p.done)
        blocks.run(p.next);
    return 0;
}

bool blocks_summary(std::span<const Progress> progress, u64 lost, double seconds) {
    Counts total{};
    for (const Progress& p : progress)
        total += p.by_mnemonic[0];
    fmt::print("{} blocks compared ({} translated, {} ended by an exception), {} differ, {} workers lost; {:.1f} s\n", total.run, total.skipped, total.faulted, total.failed, lost,
               seconds);
    return total.run && !total.failed && !lost;
}

} // namespace vitrine::oracle
