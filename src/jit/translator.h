// SPDX-License-Identifier: Apache-2.0
// The translator of a machine: hot blocks become host code, each with those that mostly follow it on its page; what follows such a path
// is joined to it, and dropped ones are cut off.
#pragma once

#include "jit/code_memory.h"
#include "jit/emitter.h"
#include "jit/statistics.h"
#include "jit/stubs.h"
#include "x86/host_faults.h"
#include "x86/translator_port.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace vitrine::jit {

class Translator final : public TranslatorPort {
public:
    explicit Translator(u64 code_size = default_code_cache);
    ~Translator() override;

    void translate(Cpu& cpu, Block& block) override;
    Block*& run(Cpu& cpu, Block& block) override;
    void met(Cpu& cpu, Block& block) override {
        if (last_)
            follow(cpu, block);
    }
    void reached(Cpu& cpu, Block& block) override {
        JumpTable& table = jump_table(block.mode);
        table[Emitter::jump_index(reinterpret_cast<u64>(block.host))] = {block.host, block.code};
        TranslatedAccess::run(cpu).blocks = table.data();
    }
    void dropped(Block& block) override;
    void between_blocks() override {
        if (memory_.room() < reserve)
            flush();
    }

    TranslatorStats stats() const;

    /// What it is at just now, for another thread that looks at it. Code that goes to handlers counts as translated.
    Tier tier() const { return tier_.load(std::memory_order_relaxed); }

    /// From now on proves of each block that it touches nothing but what it may (jit/proof.h); builds with DCHECK do so anyway.
    void prove_blocks() { proves_ = true; }

    /// From now on names each block for perf on the host, in /tmp/perf-PID.map. False: the file cannot be written.
    bool name_for_perf();

private:
    static constexpr u64 reserve = 64 << 10; ///< room for one path's code and more: a kilobyte for each of its instructions

    struct Joint {
        Edge edge;
        const u8* site = nullptr;
        const void* exit = nullptr;
        Block* to = nullptr;
    };
    /// Of a path, kept under its first block.
    struct Translation {
        const void* code = nullptr;
        std::vector<Joint> joints;
        std::vector<Block*> others; ///< the blocks behind the first
        std::vector<std::pair<Block*, unsigned>> incoming; ///< joints of other paths that lead here
    };
    using JumpTable = std::array<Emitter::JumpEntry, Emitter::jump_entries>;

    void prepare(const Cpu& cpu);
    static std::vector<Part> path(Block& head);
    static std::vector<Part> straddling(Cpu& cpu, Block& block, std::span<u8> bytes);
    void forget(Block& head);
    void follow(Cpu& cpu, Block& block);
    static u64 recover(void* owner, const HostFault& fault);
    const u8* copy(asmjit::CodeHolder& code);
    void join(Cpu& cpu, const Departure& departure, Block& to);
    void separate(Block& from, unsigned n);
    JumpTable& jump_table(u32 mode) {
        if (mode != jump_mode_ || !jump_table_) [[unlikely]]
            find_jump_table(mode);
        return *jump_table_;
    }
    void find_jump_table(u32 mode);
    void prove(std::span<const u8> bytes, const asmjit::CodeHolder& code, const Emitter& emitter) const;
    void flush();

    CodeMemory memory_;
    std::unordered_map<u64, u64> fault_places_; ///< host instructions that may raise SIGFPE, and where to go on
    HostCodeRange range_;
    bool prepared_ = false, proves_;
    TranslatedAccess::Layout layout_{};
    Stubs stubs_;
    Enter enter_ = nullptr;
    u64 kept_ = 0; ///< bytes of stubs
    std::unordered_map<u32, std::unique_ptr<JumpTable>> jump_tables_; ///< by mode
    JumpTable* jump_table_ = nullptr; ///< of the mode asked for last
    u32 jump_mode_ = 0;
    std::unordered_map<Block*, Translation> translations_;
    std::unordered_map<Block*, std::vector<Block*>> heads_; ///< of the paths that go through a block, but do not begin there
    std::deque<Departure> departures_;
    Cpu* running_ = nullptr;
    std::vector<Cpu*> cpus_; ///< that have run translated code
    const Departure* last_ = nullptr; ///< how the run before ended, if that was at a joint
    u64 last_rip_ = 0;
    TranslatorStats stats_;
    std::atomic<Tier> tier_{Tier::interpreter};
    std::vector<u64> handled_; ///< TranslatedRun::handled
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> perf_map_{nullptr, &std::fclose};
};

} // namespace vitrine::jit
