// SPDX-License-Identifier: Apache-2.0
// The translator of a machine: hot blocks become host code, blocks that follow each other are joined, dropped ones are cut off.
#pragma once

#include "jit/code_memory.h"
#include "jit/emitter.h"
#include "jit/statistics.h"
#include "jit/stubs.h"
#include "x86/host_faults.h"
#include "x86/translator_port.h"

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

namespace vitrine::jit {

class Translator final : public TranslatorPort {
public:
    explicit Translator(u64 code_size = default_code_cache);
    ~Translator() override;

    void translate(Cpu& cpu, Block& block) override;
    Block*& run(Cpu& cpu, Block& block) override;
    void dropped(Block& block) override;
    void between_blocks() override {
        if (memory_.room() < reserve)
            flush();
    }

    TranslatorStats stats() const;

private:
    static constexpr u64 reserve = 64 << 10; ///< room for one block's code and more

    struct Joint {
        Edge edge;
        const u8* site = nullptr;
        const void* exit = nullptr;
        Block* to = nullptr;
    };
    struct Translation {
        const void* code = nullptr;
        Joint joints[2];
        std::vector<std::pair<Block*, unsigned>> incoming; ///< joints of other blocks that lead here
    };
    using JumpTable = std::array<Emitter::JumpEntry, Emitter::jump_entries>;

    void prepare(const Cpu& cpu);
    static u64 recover(void* owner, const HostFault& fault);
    const u8* copy(asmjit::CodeHolder& code);
    void join(Cpu& cpu, Block& from, unsigned n, Block& to);
    void separate(Block& from, unsigned n);
    JumpTable& jump_table(u32 mode);
    void flush();

    CodeMemory memory_;
    std::unordered_map<u64, u64> fault_places_; ///< host instructions that may raise SIGFPE, and where to go on
    HostCodeRange range_;
    bool prepared_ = false;
    TranslatedAccess::Layout layout_{};
    Stubs stubs_;
    Enter enter_ = nullptr;
    u64 kept_ = 0; ///< bytes of stubs
    std::unordered_map<u32, std::unique_ptr<JumpTable>> jump_tables_; ///< by mode
    std::unordered_map<Block*, Translation> translations_;
    Block* last_ = nullptr; ///< where the run before ended, at an edge that may be joined
    unsigned last_edge_ = 0;
    u64 last_rip_ = 0;
    TranslatorStats stats_;
};

} // namespace vitrine::jit
