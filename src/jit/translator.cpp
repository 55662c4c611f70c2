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

/// Room for a block's code at most: some sixty bytes of host code for each instruction would be much.
constexpr u64 most_block_code = 16 << 10;

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
    stubs_ = {base + at.handle, base + at.leave};
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

void Translator::translate(Cpu& cpu, Block& block) {
    if (!block.host || block.straddles() || !Emitter::takes(cpu.code_mode()) || memory_.room() < reserve)
        return;
    if (!prepared_)
        prepare(cpu);
    asmjit::CodeHolder code;
    VERIFY(code.init(asmjit::Environment::host(), reinterpret_cast<u64>(memory_.next())) == asmjit::kErrorOk);
    const Emitter::Environment environment{layout_, stubs_, jump_table(block.mode).data()};
    Emitter emitter(code, block, environment);
    if (!emitter.emit(cpu.model(), cpu.code_mode())) {
        ++stats_.refused;
        return;
    }
    VERIFY(code.codeSize() <= most_block_code);
    const u8* at = copy(code);
    Translation& t = translations_[&block];
    t = {};
    t.code = at;
    for (unsigned n = 0; n < 2; ++n) {
        Joint& j = t.joints[n];
        j.edge = emitter.edge(n);
        if (j.edge.site < 0)
            continue;
        j.site = at + j.edge.site;
        j.exit = at + j.edge.exit;
    }
    for (const Emitter::FaultPlace& p : emitter.fault_places())
        fault_places_[reinterpret_cast<u64>(at) + code.labelOffset(p.at)] = reinterpret_cast<u64>(at) + code.labelOffset(p.slow);
    if (proves_) {
        std::vector<u64> entries;
        for (const Emitter::FaultPlace& p : emitter.fault_places())
            entries.push_back(code.labelOffset(p.slow));
        const auto wrong = disprove({at, code.codeSize()}, reinterpret_cast<u64>(at), entries, {layout_, stubs_, environment.jump_table});
        if (wrong)
            bug("translated code that cannot be proven: " + *wrong, __FILE__, __LINE__);
    }
    block.code = at;
    ++stats_.blocks;
    if (perf_map_) [[unlikely]]
        fmt::print(perf_map_.get(), "{:x} {:x} guest {:x}\n", reinterpret_cast<u64>(at), code.codeSize(), cpu.rip);
}

Block*& Translator::run(Cpu& cpu, Block& block) {
    if (last_) {
        if (cpu.rip == last_rip_)
            join(cpu, *last_, last_edge_, block);
        last_ = nullptr;
    }
    reached(block);
    ++stats_.runs;
    const u64 before = cpu.retired;
    TranslatedAccess::begin(cpu, block);
    TranslatedAccess::run(cpu).handled = handled_.data();
    enter_(&cpu, block.code);
    TranslatedRun& r = TranslatedAccess::run(cpu);
    if (r.edge >= TranslatedRun::by_handler) {
        stats_.instructions += cpu.retired - before;
        return r.block->followers[r.edge & 1];
    }
    TranslatedAccess::end(cpu, static_cast<i64>(r.kept[0]), r.edge == 1);
    stats_.instructions += cpu.retired - before;
    if (r.edge == TranslatedRun::at_head)
        return r.block;
    last_ = r.block;
    last_edge_ = static_cast<unsigned>(r.edge);
    last_rip_ = cpu.rip;
    return r.block->followers[r.edge];
}

/// `to` is what came behind edge `n` of `from`. Whether it always does is checked here, or by the code that joins pages.
void Translator::join(Cpu& cpu, Block& from, unsigned n, Block& to) {
    const auto a = translations_.find(&from);
    const auto b = translations_.find(&to);
    if (a == translations_.end() || b == translations_.end() || !from.code || !to.code || from.mode != to.mode)
        return;
    Joint& j = a->second.joints[n];
    if (j.edge.site < 0 || j.to || memory_.room() < reserve)
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
    const auto found = translations_.find(&block);
    VERIFY(found != translations_.end());
    Translation& t = found->second;
    for (const auto& [from, n] : t.incoming)
        separate(*from, n);
    for (unsigned n = 0; n < 2; ++n)
        if (Block* to = t.joints[n].to; to && to != &block)
            std::erase(translations_.at(to).incoming, std::pair<Block*, unsigned>{&block, n});
    auto& entry = jump_table(block.mode)[Emitter::jump_index(reinterpret_cast<u64>(block.host))];
    if (entry.code == block.code)
        entry = {};
    if (last_ == &block)
        last_ = nullptr;
    block.code = nullptr;
    translations_.erase(found);
    ++stats_.dropped;
}

void Translator::flush() {
    for (auto& [block, translation] : translations_) {
        block->code = nullptr;
        block->heat = 0;
    }
    translations_.clear();
    fault_places_.clear();
    for (auto& [mode, table] : jump_tables_)
        table->fill({});
    last_ = nullptr;
    memory_.rewind(kept_);
    ++stats_.flushes;
}

} // namespace vitrine::jit
