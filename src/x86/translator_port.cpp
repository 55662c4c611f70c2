// SPDX-License-Identifier: Apache-2.0
// Translated code's way back into the processor: time, single instructions by their handlers, and how a run ends.
#include "x86/translator_port.h"

#include "base/error.h"
#include "x86/code_cache.h"
#include "x86/cpu.h"

namespace vitrine {

TranslatedAccess::Layout TranslatedAccess::layout(const Cpu& cpu) {
    const auto at = [state = reinterpret_cast<const u8*>(static_cast<const State*>(&cpu))](const void* field) {
        return static_cast<i32>(static_cast<const u8*>(field) - state);
    };
    VERIFY(at(static_cast<const CallRoom*>(&cpu)) == -static_cast<i32>(sizeof(CallRoom)));
    return {at(&cpu.tags_), at(&cpu.segment_base_), at(&cpu.translated_), at(&cpu.x87_quiet)};
}

TranslatedRun& TranslatedAccess::run(Cpu& cpu) { return cpu.translated_; }

void TranslatedAccess::begin(Cpu& cpu, const Block& block) {
    TranslatedRun& r = cpu.translated_;
    r.left = r.synced = static_cast<i64>(cpu.slice_budget_ - cpu.slice_used_);
    r.page = cpu.rip - block.start.page_offset();
    cpu.table_->use_targets(block.mode);
}

void TranslatedAccess::forget_targets(Cpu& cpu) {
    cpu.tlb_.forget_targets();
}

/// Brings Cpu's account of time up to the head of the running block (`block_size` instructions are charged and not yet run).
void TranslatedAccess::settle(Cpu& cpu, i64 block_size) {
    TranslatedRun& r = cpu.translated_;
    const i64 at_head = r.true_left() + block_size;
    const u64 used = static_cast<u64>(r.synced - at_head);
    cpu.slice_used_ += used;
    cpu.retired += used;
    r.synced = at_head;
}

void TranslatedAccess::kick(Cpu& cpu) {
    TranslatedRun& r = cpu.translated_;
    if (r.left > -(TranslatedRun::kick / 2))
        r.left -= TranslatedRun::kick;
}

bool TranslatedAccess::still_mapped(const Cpu& cpu, const Block& block) {
    const u64 page = cpu.translated_.page;
    const TlbTags& tags = cpu.tags_[TlbTable::index(page)];
    return tags.exec == page && page + tags.addend == reinterpret_cast<u64>(block.host) - block.start.page_offset();
}

const void* TranslatedAccess::handle(Cpu& cpu, Block& block, unsigned k, bool slow, bool wants_quiet) {
    TranslatedRun& r = cpu.translated_;
    const i64 whole = static_cast<i64>(block.instructions.size());
    settle(cpu, whole);
    const Instruction* const first = block.instructions.data();
    const Instruction* const insn = first + k;
    const u64 here = r.page + block.start.page_offset();
    cpu.rip = cpu.gpr[block_register] = here;
    cpu.block_first_ = first;
    cpu.current_ = insn;
    cpu.run_end_ = insn; // the handler must not go on to the next one; whoever wants the block to be left says `insn + 1`
    cpu.code_.executing(&block);
    ++r.handled[2 * insn->mnemonic + slow];
    const Outcome outcome = insn->handler(cpu, *insn);
    if (outcome == Outcome::next && block.host && !cpu.cut_) {
        const i64 extra = static_cast<i64>(cpu.extra_);
        const bool asked_to_leave = (cpu.run_end_ != insn && (extra == 0 || cpu.attention_)) || (wants_quiet && !cpu.x87_quiet) ||
                                    cpu.mode_key_ != block.mode; // a segment was loaded
        if (!asked_to_leave && (r.true_left() >= extra || k + 1 == whole)) {
            cpu.slice_used_ += cpu.extra_;
            cpu.extra_ = 0;
            r.left -= extra;
            r.synced -= extra;
            cpu.block_first_ = cpu.current_ = nullptr;
            if (cpu.attention_ || !still_mapped(cpu, block))
                kick(cpu);
            cpu.table_->use_targets(block.mode); // it may be another table now
            return follows;
        }
    }
    cpu.end_block(block, insn, outcome, static_cast<u64>(whole), here);
    const bool taken = outcome == Outcome::branch;
    if (const Block* next = cpu.next_translated(block.followers[taken]))
        return next->code;
    r.block = &block;
    r.edge = TranslatedRun::by_handler + taken;
    return nullptr;
}

void TranslatedAccess::end(Cpu& cpu, i64 offset, bool checked) {
    const TranslatedRun& r = cpu.translated_;
    settle(cpu, 0);
    cpu.rip = cpu.mask_rip(r.page + static_cast<u64>(offset));
    if (!checked || cpu.canonical(cpu.rip)) [[likely]]
        return;
    const Instruction& branch = r.block->instructions.back();
    cpu.rip = r.page + r.block->start.page_offset() + branch.offset;
    --cpu.retired;
    (void)cpu.gp();
    cpu.deliver(cpu.pending);
}

} // namespace vitrine
