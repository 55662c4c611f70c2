// SPDX-License-Identifier: Apache-2.0
// Decoded blocks by physical address and mode, shared by all processors of a machine; writes to their bytes invalidate them.
#pragma once

#include "glass/glass.h"
#include "memory/space.h"
#include "words/addresses.h"
#include "x86/instruction.h"

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

namespace vitrine {

class Cpu;
struct CpuModel;
class ThunkMemory;
class TranslatorPort;

class CodeCache {
public:
    static constexpr u64 default_host_code = 32 << 20; ///< bytes for thunks (x86/thunk.h)

    CodeCache(Space& space, const CpuModel& model, Glass& glass, u64 host_code = default_host_code);
    ~CodeCache();
    CodeCache(const CodeCache&) = delete;
    CodeCache& operator=(const CodeCache&) = delete;

    /// Processors are told when a page may no longer be written directly.
    void attach(Cpu& cpu) { cpus_.push_back(&cpu); }
    void detach(Cpu& cpu) { std::erase(cpus_, &cpu); }
    /// It is told of blocks that are dropped.
    void connect(TranslatorPort* translator) { translator_ = translator; }

    /// The valid block whose first byte lies at `start` in host memory; null when it must be built.
    Block* find(const u8* start, u32 mode) {
        const Slot& s = slots_[slot(start, mode)];
        return s.start == start && s.mode == mode ? s.block : nullptr;
    }

    /// Decodes the block at `start`. `bytes` is the rest of its page in host memory; `tail` (may be null) are the first bytes of the next
    /// linear page, wanted when the first instruction straddles: then `needs_tail` is set and null returned if it was not given.
    Block* build(Physical start, const CodeMode& mode, const u8* bytes, unsigned size, const u8* tail, Physical tail_page,
                 bool& needs_tail);

    /// Decodes one instruction that is not in RAM; lives until the next call.
    Block* build_uncached(const CodeMode& mode, const u8* bytes, unsigned size);

    /// The block being executed now, so that it is not freed, and ends when it is written.
    void executing(Block* block) { executing_ = block; }

    /// Makes what was dropped ready for use again; called between blocks. Blocks are never freed: guesses may still point at them.
    void collect() {
        if (!dropped_.empty())
            recycle();
    }

    /// Drops one block: its straddling tail now lies on another page.
    void forget(Block& block);

    void flush(std::string_view why);

    u64 blocks() const { return blocks_; }
    u64 built() const { return built_; }
    u64 invalidated() const { return invalidated_; }

    static constexpr unsigned max_instructions = 32;
    static constexpr u64 max_blocks = 1 << 19;

private:
    struct Slot {
        const u8* start = nullptr;
        u32 mode = 0;
        Block* block = nullptr;
    };
    struct CodePage {
        u64 granules = 0; ///< 64-byte pieces that hold decoded bytes
        std::vector<std::unique_ptr<Block>> blocks;
        std::vector<u64> straddlers; ///< pages that hold a block whose last instruction ends here
    };
    static constexpr unsigned slots = 1 << 17;

    static unsigned slot(const u8* start, u32 mode) {
        const u64 a = reinterpret_cast<u64>(start);
        return static_cast<unsigned>((a ^ (a >> 17) ^ mode * 0x9e5u) & (slots - 1));
    }
    static u64 granule_mask(u64 from, u64 to);

    void written(Physical p, u64 length);
    void invalidate(u64 page, CodePage& code, u64 from, u64 to);
    void make_room();
    void recycle();
    void remember(Block& b);
    void drop(std::unique_ptr<Block> block);
    template <class Which> void drop_if(CodePage& code, Which which) {
        for (std::size_t i = 0; i < code.blocks.size();) {
            if (!which(*code.blocks[i])) {
                ++i;
                continue;
            }
            drop(std::move(code.blocks[i]));
            code.blocks[i] = std::move(code.blocks.back());
            code.blocks.pop_back();
        }
    }
    Handler bind(const Decoded& d, Instruction& out, u16& flags) const;
    bool decode_one(const CodeMode& mode, const u8* bytes, unsigned size, u16 offset, Instruction& out, u16& flags,
                    bool& truncated) const;

    Space& space_;
    const CpuModel& model_;
    Glass& glass_;
    std::unique_ptr<ThunkMemory> thunks_;
    std::vector<Slot> slots_;
    std::unordered_map<u64, CodePage> pages_; ///< by RAM page number; order never matters
    std::vector<std::unique_ptr<Block>> dropped_, spare_; ///< dropped, perhaps while being executed; ready for use
    std::vector<Instruction> decoded_; ///< of the block being built
    std::unique_ptr<Block> uncached_;
    std::vector<Cpu*> cpus_;
    Block* executing_ = nullptr;
    TranslatorPort* translator_ = nullptr;
    std::vector<std::vector<const OpRow*>> rows_; ///< by mnemonic; families share some (MOV, MOVSD): the first that binds has it
    u64 blocks_ = 0, built_ = 0, invalidated_ = 0;
};

} // namespace vitrine
