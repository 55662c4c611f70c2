// SPDX-License-Identifier: Apache-2.0
// The code cache: blocks are built once, found fast, and dropped when their bytes change.
#include "x86/code_cache.h"

#include "base/error.h"
#include "x86/cpu.h"
#include "x86/ops.h"
#include "x86/thunk.h"

#include <algorithm>
#include <cstring>

namespace vitrine {

CodeCache::CodeCache(Space& space, const CpuModel& model, Glass& glass, u64 host_code)
    : space_(space), model_(model), glass_(glass), thunks_(std::make_unique<ThunkMemory>(host_code)), slots_(slots),
      rows_(ZYDIS_MNEMONIC_MAX_VALUE + 1) {
    for (const auto rows : {integer_rows(), string_rows(), branch_rows(), system_rows(), vector_rows(), x87_rows()})
        for (const OpRow& row : rows)
            rows_[row.mnemonic].push_back(&row);
    space_.set_code_written([this](Physical p, u64 n) { written(p, n); });
    space_.set_write_rights_dropped([this](u64 page) {
        for (Cpu* cpu : cpus_) {
            if (page == ~0ull)
                cpu->tlb().drop_tags();
            else
                cpu->tlb().drop_tags(space_.physical_of(page * page_size), true);
        }
    });
}

CodeCache::~CodeCache() {
    space_.set_code_written({});
    space_.set_write_rights_dropped({});
}

u64 CodeCache::granule_mask(u64 from, u64 to) {
    const u64 first = from / 64, last = (to - 1) / 64;
    return low_mask(static_cast<unsigned>(last - first + 1)) << first;
}

Block* CodeCache::build(Physical start, const CodeMode& mode, const u8* bytes, unsigned size, const u8* tail,
                        Physical tail_page, bool& needs_tail) {
    make_room();
    Physical second_page{~0ull};
    decoded_.clear();
    unsigned at = 0;
    u16 flags = 0;
    while (at < size && decoded_.size() < max_instructions) {
        Instruction insn;
        bool truncated = false;
        if (decode_one(mode, bytes + at, size - at, static_cast<u16>(at), insn, flags, truncated)) {
            if (!decoded_.empty() && (flags & starts_block))
                break;
            decoded_.push_back(insn);
            at += insn.length;
            if (flags & ends_block)
                break;
            continue;
        }
        if (!decoded_.empty())
            break;
        if (!tail) {
            needs_tail = true;
            return nullptr;
        }
        u8 joined[2 * ZYDIS_MAX_INSTRUCTION_LENGTH];
        std::memcpy(joined, bytes, size);
        std::memcpy(joined + size, tail, ZYDIS_MAX_INSTRUCTION_LENGTH);
        decode_one(mode, joined, size + ZYDIS_MAX_INSTRUCTION_LENGTH, 0, insn, flags, truncated);
        decoded_.push_back(insn);
        second_page = tail_page;
        at = insn.length;
    }
    if (spare_.empty())
        spare_.push_back(std::make_unique<Block>());
    std::unique_ptr<Block> block = std::move(spare_.back());
    spare_.pop_back();
    Block& b = *block;
    b.host = bytes;
    b.mode = mode.key();
    b.bytes = static_cast<u16>(at);
    b.instructions.assign(decoded_.begin(), decoded_.end());
    b.start = start;
    b.second_page = second_page;
    b.heat = 0;
    b.in_path = false;
    ++built_;
    remember(b);
    pages_[space_.ram_offset(start) / page_size].blocks.push_back(std::move(block));
    return &b;
}

/// Blocks and the host code of their instructions are bounded. What is needed is soon built again; what a guest sees of it is nothing.
void CodeCache::make_room() {
    if (blocks_ >= max_blocks)
        flush("too many blocks");
    if (!thunks_->full())
        return;
    VERIFY(!executing_);
    flush("host code is full");
    uncached_.reset();
    thunks_->clear();
}

void CodeCache::remember(Block& b) {
    const u64 offset = space_.ram_offset(b.start);
    const u64 page = offset / page_size, in_page = offset % page_size;
    const u64 here = std::min<u64>(b.bytes, page_size - in_page);
    pages_[page].granules |= granule_mask(in_page, in_page + here);
    space_.set_code_page(page, true);
    if (b.straddles()) {
        // The tail's page is watched too. Its list stays empty of this block: a write there drops the block through `second`.
        const u64 second = space_.ram_offset(b.second_page) / page_size;
        CodePage& code = pages_[second];
        code.granules |= 1;
        code.straddlers.push_back(page);
        space_.set_code_page(second, true);
    }
    slots_[slot(b.host, b.mode)] = {b.host, b.mode, &b};
    ++blocks_;
}

void CodeCache::written(Physical p, u64 length) {
    const u64 offset = space_.ram_offset(p);
    const u64 page = offset / page_size, in_page = offset % page_size;
    const auto found = pages_.find(page);
    if (found == pages_.end())
        return;
    if (found->second.granules & granule_mask(in_page, in_page + length))
        invalidate(page, found->second, in_page, in_page + length);
}

void CodeCache::drop(std::unique_ptr<Block> block) {
    Slot& s = slots_[slot(block->host, block->mode)];
    if (s.block == block.get())
        s = Slot{};
    if (block.get() == executing_)
        for (Cpu* cpu : cpus_)
            cpu->leave_block();
    if (block->code || block->in_path)
        translator_->dropped(*block);
    block->host = nullptr;
    --blocks_;
    ++invalidated_;
    dropped_.push_back(std::move(block));
}

void CodeCache::recycle() {
    for (auto& block : dropped_)
        spare_.push_back(std::move(block));
    dropped_.clear();
}

void CodeCache::invalidate(u64 page, CodePage& code, u64 from, u64 to) {
    if (from < ZYDIS_MAX_INSTRUCTION_LENGTH)
        for (const u64 other : std::exchange(code.straddlers, {}))
            if (const auto found = pages_.find(other); found != pages_.end())
                drop_if(found->second, [&](const Block& b) { return b.second_page.value == space_.physical_of(page * page_size).value; });
    drop_if(code, [&](const Block& b) {
        const u64 start = space_.ram_offset(b.start) % page_size;
        return start < to && from < start + b.bytes;
    });
    // What is left decides which pieces are still watched.
    code.granules = code.straddlers.empty() ? 0 : 1;
    for (const auto& b : code.blocks) {
        const u64 start = space_.ram_offset(b->start) % page_size;
        code.granules |= granule_mask(start, std::min<u64>(start + b->bytes, page_size));
    }
    if (code.granules == 0) {
        pages_.erase(page);
        space_.set_code_page(page, false);
    }
}

Block* CodeCache::build_uncached(const CodeMode& mode, const u8* bytes, unsigned size) {
    make_room();
    uncached_ = std::make_unique<Block>();
    uncached_->start = Physical{~0ull};
    Instruction insn;
    u16 flags = 0;
    bool truncated = false;
    decode_one(mode, bytes, size, 0, insn, flags, truncated);
    uncached_->mode = mode.key();
    uncached_->bytes = insn.length;
    uncached_->instructions.push_back(insn);
    return uncached_.get();
}

void CodeCache::forget(Block& block) {
    const auto found = pages_.find(space_.ram_offset(block.start) / page_size);
    VERIFY(found != pages_.end());
    drop_if(found->second, [&](const Block& b) { return &b == &block; });
}

void CodeCache::flush(std::string_view why) {
    glass_.tell(Topic::cpu, "code-cache.flush", {{"why", why}, {"blocks", blocks_}});
    for (auto& [page, code] : pages_) {
        for (auto& b : code.blocks)
            drop(std::move(b));
        space_.set_code_page(page, false);
    }
    pages_.clear();
}

} // namespace vitrine
