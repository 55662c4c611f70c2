// SPDX-License-Identifier: Apache-2.0
// Translates, runs, joins and drops.
#include "jit/translator.h"

#include "base/error.h"
#include "jit/proof.h"
#include "x86/cpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <unistd.h>

namespace vitrine::jit {

namespace {

/// Blocks and instructions of a path. Longer ones are seldom gone through to their ends.
constexpr std::size_t most_blocks = 8, most_instructions = 64;

/// A follower is on the path when it has run about as often as what it follows, which has become hot just now.
constexpr u32 often = TranslatorPort::hot / 3;

struct Candidate {
    Block* block = nullptr;
    unsigned edge = 0;
    u32 heat = 0;
};

/// What follows by edge `n`, if that is a block on the same page and known.
Candidate follower(Block& from, unsigned n, i64 offset) {
    Block* const to = from.followers[n];
    if (offset < 0 || offset >= 4096 || !to->holds(from.host - from.start.page_offset() + offset, from.mode))
        return {};
    return {to, n, to->code || to->in_path ? TranslatorPort::hot : to->heat};
}

/// What mostly follows a block that ends with a direct branch.
Candidate next_on_path(Block& block) {
    const Instruction& branch = block.instructions.back();
    const i64 start = static_cast<i64>(block.start.page_offset()), behind = start + branch.offset + branch.length,
              target = start + static_cast<i64>(branch.immediate);
    const u8 opcode = block.host[branch.offset];
    if (branch.mnemonic == ZYDIS_MNEMONIC_JMP)
        return opcode == 0xeb || opcode == 0xe9 ? follower(block, 1, target) : Candidate{};
    if (!(opcode >> 4 == 7 || (opcode == 0x0f && block.host[branch.offset + 1] >> 4 == 8)))
        return {};
    const Candidate taken = follower(block, 1, target), not_taken = follower(block, 0, behind);
    if (taken.heat == not_taken.heat)
        return target < start ? taken : not_taken;
    return taken.heat > not_taken.heat ? taken : not_taken;
}

bool checked_build() {
    bool checked = false;
    DCHECK((checked = true));
    return checked;
}

} // namespace

Translator::Translator(u64 code_size)
    : memory_(code_size), range_(memory_.next(), code_size, &recover, this), proves_(checked_build()), handled_(2 * (ZYDIS_MNEMONIC_MAX_VALUE + 1)) {}

Translator::~Translator() = default;

TranslatorStats Translator::stats() const {
    TranslatorStats s = stats_;
    s.code_bytes = memory_.used();
    for (unsigned m = 0; m <= ZYDIS_MNEMONIC_MAX_VALUE; ++m)
        if (handled_[2 * m] || handled_[2 * m + 1])
            s.handled.push_back({ZydisMnemonicGetString(static_cast<ZydisMnemonic>(m)), handled_[2 * m], handled_[2 * m + 1]});
    std::ranges::stable_sort(s.handled, std::greater{}, [](const auto& h) { return h.always + h.slow; });
    return s;
}

bool Translator::name_for_perf() {
    perf_map_.reset(std::fopen(fmt::format("/tmp/perf-{}.map", getpid()).c_str(), "w"));
    return perf_map_ != nullptr;
}

/// An unmasked SIMD floating-point exception: nothing has happened yet, the handler raises it.
u64 Translator::recover(void* owner, const HostFault& fault) {
    const auto& places = static_cast<Translator*>(owner)->fault_places_;
    const auto found = places.find(fault.rip);
    return fault.signal == SIGFPE && found != places.end() ? found->second : 0;
}

const u8* Translator::copy(asmjit::CodeHolder& code) {
    VERIFY(code.flatten() == asmjit::kErrorOk && code.resolveUnresolvedLinks() == asmjit::kErrorOk);
    VERIFY(code.relocateToBase(reinterpret_cast<u64>(memory_.next())) == asmjit::kErrorOk);
    VERIFY(code.codeSize() <= memory_.room());
    VERIFY(code.copyFlattenedData(memory_.writable(), memory_.room()) == asmjit::kErrorOk);
    return memory_.commit(code.codeSize());
}

void Translator::prepare(const Cpu& cpu) {
    layout_ = TranslatedAccess::layout(cpu);
    asmjit::CodeHolder code;
    VERIFY(code.init(asmjit::Environment::host(), reinterpret_cast<u64>(memory_.next())) == asmjit::kErrorOk);
    host::Assembler a(&code);
    const StubOffsets at = write_stubs(a, layout_);
    const u8* base = copy(code);
    enter_ = reinterpret_cast<Enter>(reinterpret_cast<u64>(base + at.enter));
    stubs_ = {base + at.handle, base + at.leave, base + at.enter_vectors, base + at.enter_wide_vectors,
              base + at.look_up};
    kept_ = memory_.used();
    prepared_ = true;
    if (perf_map_)
        fmt::print(perf_map_.get(), "{:x} {:x} translator stubs\n", reinterpret_cast<u64>(base), kept_);
}

void Translator::find_jump_table(u32 mode) {
    auto& table = jump_tables_[mode];
    if (!table)
        table = std::make_unique<JumpTable>();
    jump_table_ = table.get();
    jump_mode_ = mode;
}

std::vector<Part> Translator::path(Block& head) {
    std::vector<Part> path{{&head}};
    std::size_t instructions = head.instructions.size();
    while (path.size() < most_blocks) {
        const Candidate next = next_on_path(*path.back().block);
        if (next.heat < often || (instructions += next.block->instructions.size()) > most_instructions ||
            std::ranges::any_of(path, [&](const Part& p) { return p.block == next.block; }))
            break;
        path.back().edge = next.edge;
        path.push_back({next.block});
    }
    return path;
}

/// Its bytes are not in one piece in host memory.
std::vector<Part> Translator::straddling(Cpu& cpu, Block& block, std::span<u8> bytes) {
    const unsigned here = static_cast<unsigned>(4096 - block.start.page_offset());
    const u8* const second = cpu.space().host(Physical{align_down(block.second_page.value, 4096)});
    std::copy_n(block.host, here, bytes.begin());
    std::copy_n(second, block.bytes - here, bytes.begin() + here);
    return {{&block, 0, bytes.data(), second}};
}

void Translator::translate(Cpu& cpu, Block& block) {
    if (!block.host || !Emitter::takes(cpu.code_mode()) || memory_.room() < reserve)
        return;
    if (!prepared_)
        prepare(cpu);
    tier_.store(Tier::translation, std::memory_order_relaxed);
    asmjit::CodeHolder code;
    VERIFY(code.init(asmjit::Environment::host(), reinterpret_cast<u64>(memory_.next())) == asmjit::kErrorOk);
    const Emitter::Environment environment{layout_, stubs_, &departures_};
    u8 joined[2 * ZYDIS_MAX_INSTRUCTION_LENGTH];
    Emitter emitter(code, block.straddles() ? straddling(cpu, block, joined) : path(block), environment);
    emitter.emit(cpu.model(), cpu.code_mode());
    VERIFY(code.codeSize() <= reserve);
    const u8* at = copy(code);
    Translation& t = translations_[&block];
    t = {};
    t.code = at;
    for (const Edge& e : emitter.edges())
        t.joints.push_back({e, at + e.site, at + e.exit});
    for (const Part& p : std::span(emitter.path()).subspan(1)) {
        t.others.push_back(p.block);
        heads_[p.block].push_back(&block);
        p.block->in_path = true;
    }
    for (const Emitter::FaultPlace& p : emitter.fault_places())
        fault_places_[reinterpret_cast<u64>(at) + code.labelOffset(p.at)] = reinterpret_cast<u64>(at) + code.labelOffset(p.slow);
    if (proves_)
        prove({at, code.codeSize()}, code, emitter);
    block.code = at;
    ++stats_.blocks;
    tier_.store(Tier::interpreter, std::memory_order_relaxed);
    if (perf_map_) [[unlikely]]
        fmt::print(perf_map_.get(), "{:x} {:x} guest {:x}\n", reinterpret_cast<u64>(at), code.codeSize(), cpu.rip);
}

void Translator::prove(std::span<const u8> bytes, const asmjit::CodeHolder& code, const Emitter& emitter) const {
    std::vector<u64> entries;
    for (const Emitter::FaultPlace& p : emitter.fault_places())
        entries.push_back(code.labelOffset(p.slow));
    const auto wrong = disprove(bytes, reinterpret_cast<u64>(bytes.data()), entries, {layout_, stubs_});
    if (wrong)
        bug("translated code that cannot be proven: " + *wrong, __FILE__, __LINE__);
}

void Translator::follow(Cpu& cpu, Block& block) {
    if (cpu.rip == last_rip_)
        join(cpu, *last_, block);
    last_ = nullptr;
}

Block*& Translator::run(Cpu& cpu, Block& block) {
    if (last_)
        follow(cpu, block);
    reached(cpu, block);
    if (std::ranges::find(cpus_, &cpu) == cpus_.end()) [[unlikely]]
        cpus_.push_back(&cpu);
    ++stats_.runs;
    const u64 before = cpu.retired;
    TranslatedAccess::begin(cpu, block);
    TranslatedAccess::run(cpu).handled = handled_.data();
    HostCodeRange::use_signal_stack();
    running_ = &cpu;
    tier_.store(Tier::translated, std::memory_order_relaxed);
    enter_(&cpu, block.code);
    tier_.store(Tier::interpreter, std::memory_order_relaxed);
    running_ = nullptr;
    TranslatedRun& r = TranslatedAccess::run(cpu);
    if (r.edge >= TranslatedRun::by_handler) {
        stats_.instructions += cpu.retired - before;
        return r.block->followers[r.edge & 1];
    }
    const Departure& departure = *static_cast<const Departure*>(r.departure);
    r.block = departure.block;
    TranslatedAccess::end(cpu, static_cast<i64>(r.kept[0]), r.edge == 1);
    stats_.instructions += cpu.retired - before;
    if (r.edge == TranslatedRun::at_head)
        return r.block;
    if (departure.joint >= 0) {
        last_ = &departure;
        last_rip_ = cpu.rip;
    }
    return r.block->followers[r.edge];
}

/// `to` is what came behind the departure. Whether it always does is checked here, or by the code that joins pages.
void Translator::join(Cpu& cpu, const Departure& departure, Block& to) {
    Block& from = *departure.head;
    const unsigned n = static_cast<unsigned>(departure.joint);
    const auto a = translations_.find(&from);
    const auto b = translations_.find(&to);
    if (a == translations_.end() || b == translations_.end() || !from.code || !to.code || from.mode != to.mode)
        return;
    if (n >= a->second.joints.size())
        return;
    Joint& j = a->second.joints[n];
    if (j.edge.departure != &departure || j.to || memory_.room() < reserve)
        return;
    const i64 target = j.edge.target;
    const i64 in_page = target & 4095;
    if (static_cast<i64>(to.start.page_offset()) != in_page)
        return;
    if (target == in_page) {
        if (to.host != from.host - from.start.page_offset() + target)
            return;
        memory_.patch(j.site, to.code);
    } else {
        asmjit::CodeHolder code;
        VERIFY(code.init(asmjit::Environment::host(), reinterpret_cast<u64>(memory_.next())) == asmjit::kErrorOk);
        host::Assembler assembler(&code);
        write_page_link(assembler, TranslatedAccess::layout(cpu), target - in_page, reinterpret_cast<u64>(to.host - in_page), to.code, j.exit);
        memory_.patch(j.site, copy(code));
    }
    j.to = &to;
    b->second.incoming.emplace_back(&from, n);
    ++stats_.links;
}

void Translator::separate(Block& from, unsigned n) {
    Joint& j = translations_.at(&from).joints[n];
    memory_.patch(j.site, j.exit);
    j.to = nullptr;
}

void Translator::dropped(Block& block) {
    if (block.in_path) {
        for (Block* head : std::exchange(heads_[&block], {}))
            forget(*head);
        heads_.erase(&block);
        block.in_path = false;
        if (running_)
            TranslatedAccess::kick(*running_); // whoever goes through it just now stops at its head
    }
    if (block.code)
        forget(block);
}

/// The path that begins with the block is not entered any more.
void Translator::forget(Block& head) {
    const auto found = translations_.find(&head);
    VERIFY(found != translations_.end());
    Translation& t = found->second;
    for (const auto& [from, n] : t.incoming)
        separate(*from, n);
    for (unsigned n = 0; n < t.joints.size(); ++n)
        if (Block* to = t.joints[n].to; to && to != &head)
            std::erase(translations_.at(to).incoming, std::pair<Block*, unsigned>{&head, n});
    for (Block* other : t.others)
        if (const auto heads = heads_.find(other); heads != heads_.end())
            std::erase(heads->second, &head);
    auto& entry = jump_table(head.mode)[Emitter::jump_index(reinterpret_cast<u64>(head.host))];
    if (entry.code == head.code)
        entry = {};
    if (last_ && last_->head == &head)
        last_ = nullptr;
    // Processors may know it as a target: it ends the run where it begins.
    memory_.always(static_cast<const u8*>(head.code) + Emitter::head_jump);
    head.code = nullptr;
    head.heat = 0;
    translations_.erase(found);
    ++stats_.dropped;
}

void Translator::flush() {
    for (auto& [block, translation] : translations_) {
        block->code = nullptr;
        block->heat = 0;
    }
    for (auto& [block, heads] : heads_)
        block->in_path = false;
    translations_.clear();
    heads_.clear();
    departures_.clear();
    fault_places_.clear();
    for (auto& [mode, table] : jump_tables_)
        table->fill({});
    for (Cpu* cpu : cpus_)
        TranslatedAccess::forget_targets(*cpu);
    last_ = nullptr;
    memory_.rewind(kept_);
    ++stats_.flushes;
}

} // namespace vitrine::jit
