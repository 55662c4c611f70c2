// SPDX-License-Identifier: Apache-2.0
// The frame of a translated path: the heads of its blocks, their instructions one after the other, the edges, and the cold code behind them.
#include "jit/emitter.h"

#include "jit/forms.h"
#include "x86/decoder.h"
#include "x86/model.h"
#include "x86/ops.h"

namespace vitrine::jit {

namespace {

bool fits(i64 value) { return value == static_cast<i32>(value); }

/// Translated code need not check the memory operand's segment. That of the stack is flat anyway.
bool segment_fits(const Source& s) {
    if (s.mode->bits == 64 || !s.touches_memory())
        return true;
    switch (s.insn->segment) {
    case cs: return false; // may not be readable
    case fs: return s.mode->fs_whole;
    case gs: return s.mode->gs_whole;
    default: return true;
    }
}

} // namespace

// ---- registers ------------------------------------------------------------------------------------------------------

host::Gp Emitter::read(u16 offset, unsigned size, const host::Gp& scratch) {
    const u8 home = pinned[offset / 8];
    if (home == no_host) {
        if (size == 1)
            a.movzx(host::gpd(scratch.id()), host::byte_ptr(state, at_gpr(offset)));
        else if (size == 2)
            a.movzx(host::gpd(scratch.id()), host::word_ptr(state, at_gpr(offset)));
        else
            a.mov(sized(scratch, size), host::ptr(state, at_gpr(offset), size));
        return sized(scratch, size);
    }
    if (offset % 8 == 0)
        return gp(home, size);
    a.rorx(host::gpd(scratch.id()), host::gpd(home), 8); // AH and its kin
    return sized(scratch, 1);
}

void Emitter::write(u16 offset, unsigned size, const host::Gp& value) {
    const u8 home = pinned[offset / 8];
    if (home == no_host) {
        if (size == 4) {
            // All 64 bits at once, so that a later load finds them in one store.
            const bool cleared = value.id() == t1.id() || value.id() == t2.id();
            const host::Gp& from = cleared ? value : value.id() == address.id() ? address : t1;
            if (!cleared)
                a.mov(sized(from, 4), sized(value, 4));
            a.mov(host::qword_ptr(state, at_gpr(offset)), host::gpq(from.id()));
        } else
            a.mov(host::ptr(state, at_gpr(offset), size), sized(value, size));
        return;
    }
    if (offset % 8 == 0) {
        if (value.id() != home || size == 4) // a move to itself clears the upper half
            a.mov(gp(home, size), sized(value, size));
        return;
    }
    host::Gp from = value;
    if (value.id() == home) { // AH := AL
        from = t1;
        a.mov(host::gpd(t1.id()), host::gpd(home));
    }
    a.rorx(host::gpq(home), host::gpq(home), 8);
    a.mov(gp(home, 1), sized(from, 1));
    a.rorx(host::gpq(home), host::gpq(home), 56);
}

host::Gp Emitter::change(u16 offset, unsigned size, const host::Gp& scratch) { return read(offset, size, scratch); }

void Emitter::finish(u16 offset, unsigned size, const host::Gp& value) {
    if (!at_home(offset))
        write(offset, size, value);
}

// ---- memory operands ------------------------------------------------------------------------------------------------

i64 Emitter::offset_on_page(const Source& s) const { return static_cast<i64>(s.block->start.page_offset()) + s.insn->offset; }

void Emitter::code_address(const host::Gp& to, i64 offset) {
    a.mov(to, run_field(offsetof(TranslatedRun, page)));
    if (offset)
        a.lea(to, host::ptr(to, static_cast<i32>(offset)));
}

void Emitter::offset_into(const Source& s, const host::Gp& to) {
    const Instruction& i = *s.insn;
    if (i.base == block_register) {
        code_address(to, static_cast<i64>(s.block->start.page_offset()) + i.displacement);
        return;
    }
    if (i.base == zero_register && i.index == zero_register) {
        a.mov(to, i.displacement);
        return;
    }
    const i32 displacement = static_cast<i32>(i.displacement);
    host::Gp base, index;
    if (i.base != zero_register)
        base = pinned[i.base] != no_host ? host::gpq(pinned[i.base]) : to;
    if (i.index != zero_register)
        index = pinned[i.index] != no_host ? host::gpq(pinned[i.index]) : t1;
    if (base.isValid() && pinned[i.base] == no_host)
        a.mov(to, host::qword_ptr(state, at_gpr(8 * i.base)));
    if (index == t1)
        a.mov(t1, host::qword_ptr(state, at_gpr(8 * i.index)));
    if (!index.isValid() && displacement == 0) {
        if (base != to)
            a.mov(to, base);
    } else if (!index.isValid()) {
        a.lea(to, host::ptr(base, displacement));
    } else if (base.isValid()) {
        a.lea(to, host::ptr(base, index, i.scale, displacement));
    } else {
        a.lea(to, host::ptr_abs(static_cast<u64>(static_cast<i64>(displacement)), index, i.scale));
    }
}

void Emitter::effective_address(const Source& s, unsigned size) {
    const Instruction& i = *s.insn;
    const host::Gp low = host::gpd(address.id());
    offset_into(s, address);
    if (i.address_mask != ~0ull)
        a.mov(low, low);
    if (i.segment != fs && i.segment != gs)
        return;
    if (s.mode->bits != 64 && size > 1) { // the last byte must lie below 4 GiB, from the segment's base
        a.cmp(low, -static_cast<i32>(size));
        a.ja(slow());
    }
    a.add(address, host::qword_ptr(state, environment_.layout.segment_base + 8 * i.segment));
    if (s.mode->bits != 64)
        a.mov(low, low);
}

asmjit::Label Emitter::slow() {
    if (!slow_.isValid())
        slow_ = a.newLabel();
    return slow_;
}

void Emitter::probe(unsigned size, bool write, bool aligned) {
    a.rorx(host::gpd(t1.id()), host::gpd(address.id()), tag_shift);
    a.and_(host::gpd(t1.id()), tag_mask);
    if (size > 1 && !aligned)
        a.lea(t2, host::ptr(address, static_cast<i32>(size - 1)));
    else
        a.mov(t2, address);
    a.and_(t2, aligned ? -4096 | static_cast<i32>(size - 1) : -4096); // low bits that are set match no tag
    a.cmp(t2, host::qword_ptr(tags, t1, 0, write ? tag_write : tag_read));
    a.jne(slow());
    a.add(address, host::qword_ptr(tags, t1, 0, tag_addend));
}

host::Mem Emitter::memory(const Source& s, unsigned size, bool write) {
    if (s.grouped)
        return grouped(s, size);
    clobber_flags();
    effective_address(s, size);
    probe(size, write, s.insn->lock); // a lock that may cross a cache line is the handler's
    return host::ptr(address, 0, size);
}

// ---- flags ----------------------------------------------------------------------------------------------------------

void Emitter::save_flags() {
    if (saved_)
        return;
    a.lahf();
    a.seto(host::al);
    a.mov(host::word_ptr(state, at_status), host::ax);
    saved_ = true;
}

void Emitter::store_flags(u16 cleared) {
    a.lahf();
    a.seto(host::al);
    const u32 gone = static_cast<u32>((cleared & 0xff) << 8 | (cleared & of ? 1 : 0));
    a.and_(host::eax, ~gone & 0xffff);
    a.mov(host::word_ptr(state, at_status), host::ax);
    flags_stored();
}

void Emitter::need_flags(u16 mask) {
    if ((host_flags_ & mask) == mask)
        return;
    if (mask == cf) {
        a.bt(host::word_ptr(state, at_status), 8);
        host_flags_ = cf;
        return;
    }
    a.movzx(host::eax, host::word_ptr(state, at_status));
    a.add(host::al, 0x7f);
    a.sahf();
    host_flags_ = all_flags;
}

// ---- vector registers -----------------------------------------------------------------------------------------------

void Emitter::need_vectors(bool wide) {
    if (vectors_)
        return;
    clobber_flags();
    wide_ = wide;
    a.cmp(run_field(offsetof(TranslatedRun, vectors)), 0);
    vector_entries_.push_back({a.newLabel(), a.newLabel()});
    a.je(vector_entries_.back().begin);
    a.bind(vector_entries_.back().back);
    vectors_ = true;
}

void Emitter::enter_vectors() { a.call(asmjit::imm(wide_ ? environment_.stubs.enter_wide_vectors : environment_.stubs.enter_vectors)); }

void Emitter::may_fault() {
    const asmjit::Label here = a.newLabel();
    a.bind(here);
    fault_places_.push_back({here, slow()});
}

// ---- the block ------------------------------------------------------------------------------------------------------

void Emitter::decode(const CpuModel& model, const CodeMode& mode) {
    const ZydisDecoder decoder = decoder_for(mode);
    std::size_t all = 0;
    for (const Part& p : path_)
        all += p.block->instructions.size();
    sources_.reserve(all);
    for (std::size_t part = 0; part < path_.size(); ++part) {
        Block& block = *path_[part].block;
        for (unsigned n = 0; n < block.instructions.size(); ++n) {
            Source& s = sources_.emplace_back();
            s.insn = &block.instructions[n];
            s.block = &block;
            s.number = n;
            s.begins = n == 0;
            s.index = static_cast<unsigned>(sources_.size() - 1);
            s.bytes = (path_[part].bytes ? path_[part].bytes : block.host) + s.insn->offset;
            s.mode = &mode;
            const unsigned rest = block.bytes - s.insn->offset;
            if (!ZYAN_SUCCESS(decode_instruction(decoder, s.bytes, rest, s.info, s.operands)))
                continue; // its handler raises what is due
            const i64 displacement = s.insn->displacement + (s.insn->base == block_register ? 4096 : 0);
            const bool reachable = fits(displacement) || (s.insn->base == zero_register && s.insn->index == zero_register);
            if (s.info.length == s.insn->length && model.allows(s.info) && (reachable || !s.touches_memory()) && segment_fits(s))
                s.operation = operation(s);
            if (!s.operation)
                s.reads = all_flags, s.kills = no_flags;
        }
        if (part + 1 == path_.size())
            break;
        if (!sources_.back().operation) {
            path_.resize(part + 1);
            break;
        }
        sources_.back().goes_on = static_cast<int>(path_[part].edge);
    }
}

/// Backwards: whoever may end up in a handler, or leaves the block, shows all flags.
void Emitter::find_live_flags() {
    u16 live = all_flags;
    for (std::size_t n = sources_.size(); n-- > 0;) {
        Source& s = sources_[n];
        s.live = live;
        if (s.begins) { // the run may end there
            live = all_flags;
            continue;
        }
        live = (s.touches_memory() && !s.inner) || !s.operation ? u16{all_flags} : static_cast<u16>((live & ~s.kills) | s.reads);
    }
}

/// Flags that nobody reads, but that an instruction which goes the slow way before they are replaced has to leave behind, need not be
/// saved when they can be made again from what the registers hold at that place.
void Emitter::find_deferrable() {
    for (std::size_t n = 0; n < sources_.size(); ++n) {
        Source& s = sources_[n];
        if (!s.operation || !s.operation->flags_again || s.kills != all_flags || !s.live || s.touches_memory())
            continue;
        u32 inputs = s.operation->flag_inputs(s);
        if (inputs == cannot_defer)
            continue;
        bool stale = false;
        for (std::size_t k = n + 1; k < sources_.size(); ++k) {
            const Source& later = sources_[k];
            const bool looks = (later.touches_memory() && !later.inner) || later.begins || later.goes_on >= 0;
            if (!later.operation || (looks && stale))
                break;
            if (later.goes_on >= 0 && (later.info.mnemonic == ZYDIS_MNEMONIC_JMP || k == n + 1))
                continue; // a condition sees the flags where the instruction before has left them
            if (later.reads || (later.keeps_some && later.live) || later.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
                break;
            if (later.kills == all_flags) {
                s.deferred = true;
                break;
            }
            if (later.kills)
                break;
            stale |= (later.written_registers() & inputs) != 0;
        }
        if (s.deferred) {
            const Source& next = sources_[n + 1];
            s.live = next.goes_on >= 0 ? next.reads & flags_of_condition(next.insn->condition) : u16{no_flags};
        }
    }
}

u32 Source::written_registers() const {
    u32 mask = 0;
    for (unsigned n = 0; n < info.operand_count; ++n)
        if (operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER && (operands[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            const u8 offset = gpr_offset(operands[n].reg.value);
            if (offset != 0xff)
                mask |= 1u << (offset / 8);
        }
    return mask;
}

void Emitter::by_handler(const Source& s) {
    clobber_flags();
    leave_x87();
    call_handler(s, 0);
    flags_stored();
    vectors_ = false;
}

void Emitter::call_handler(const Source& s, unsigned way) {
    a.mov(host::eax, s.number | way);
    a.mov(address, reinterpret_cast<u64>(s.block));
    a.call(asmjit::imm(environment_.stubs.handle));
}

void Emitter::emit(const CpuModel& model, const CodeMode& mode) {
    decode(model, mode);
    find_groups();
    find_x87();
    find_live_flags();
    find_deferrable();
    Cold group{};
    for (const Source& s : sources_) {
        if (s.begins)
            head(s);
        if (s.group.count) {
            slow_.reset();
            begin_group(s);
            group = {slow_, a.newLabel(), s.index, false, vectors_, recipe_, pointer_, s.group.count};
        }
        emit_one(s);
        if (group.count && s.index + 1 == group.index + group.count) {
            a.bind(group.back);
            group.wants_flags = host_flags_ != 0;
            cold_.push_back(group);
            group.count = 0;
        }
    }
    const Source& last = sources_.back();
    if (!last.operation || last.info.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE) {
        clobber_flags();
        leave_x87();
        direct_edge(last, 0, static_cast<i64>(last.block->start.page_offset()) + last.block->bytes);
    }
    cold_code();
}

void Emitter::emit_one(const Source& s) {
    slow_.reset();
    const Source* const recipe = recipe_; // of the flags before this instruction
    if (s.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
        leave_x87();
    const Source* const pointer = pointer_;
    if (s.kills == all_flags || !s.operation)
        recipe_ = nullptr;
    if (!s.operation)
        return by_handler(s);
    s.operation->emit(*this, s);
    if (s.deferred) {
        const u16 made = host_flags_;
        flags_dead();
        recipe_ = &s;
        if (s.index + 1 < sources_.size() && sources_[s.index + 1].goes_on >= 0)
            host_flags_ = made;
    }
    if (slow_.isValid()) {
        const asmjit::Label back = a.newLabel();
        a.bind(back);
        cold_.push_back({slow_, back, s.index, host_flags_ != 0, vectors_, recipe, pointer});
    }
}

/// The instructions of a group whose one probe did not succeed, each with a probe of its own: a page may end between them.
void Emitter::emit_apart(const Cold& group) {
    host_flags_ = 0;
    saved_ = true;
    recipe_ = nullptr;
    pointer_ = group.pointer;
    vectors_ = group.vectors;
    for (unsigned n = 0; n < group.count; ++n) {
        Source s = sources_[group.index + n];
        s.grouped = s.inner = s.deferred = false;
        s.live = all_flags; // any of them may still end up in its handler
        emit_one(s);
    }
    save_flags();
}

void Emitter::cold_code() {
    for (std::size_t k = 0; k < cold_.size(); ++k) { // which may grow
        const Cold c = cold_[k];
        a.bind(c.begin);
        if (c.recipe)
            c.recipe->operation->flags_again(*this, *c.recipe);
        if (c.count > 1) {
            emit_apart(c);
        } else {
            if (c.pointer)
                store_pointer(*c.pointer);
            call_handler(sources_[c.index], slow_way | (sources_[c.index].x87 ? wants_quiet : 0));
            if (c.vectors)
                enter_vectors();
        }
        if (c.wants_flags) {
            a.movzx(host::eax, host::word_ptr(state, at_status));
            a.add(host::al, 0x7f);
            a.sahf();
        }
        a.jmp(c.back);
    }
    for (const auto& [begin, back] : vector_entries_) {
        a.bind(begin);
        enter_vectors();
        a.jmp(back);
    }
    for (const auto& [begin, back, slow] : searches_) {
        a.bind(begin);
        a.call(asmjit::imm(environment_.stubs.look_up));
        a.je(back);
        a.jmp(slow);
    }
    exit_codes();
}

} // namespace vitrine::jit
