// SPDX-License-Identifier: Apache-2.0
// One processor: reset, derived mode, and the run loop of the reference engine.
#include "x86/cpu.h"

#include "x86/armed_lines.h"
#include "x86/code_cache.h"
#include "x86/model.h"
#include "x86/stale.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine {

namespace {

/// As the manual names the modes of operation.
std::string_view name_of(const CodeMode& m) {
    if (m.long_mode)
        return m.bits == 64 ? "64-bit" : m.bits == 32 ? "32-bit compatibility" : "16-bit compatibility";
    if (m.protected_)
        return m.bits == 32 ? "32-bit protected" : "16-bit protected";
    return "real or virtual-8086";
}

} // namespace

Cpu::Cpu(const CpuWiring& wiring)
    : index_(wiring.index), cpu_count_(wiring.cpu_count), space_(wiring.space), clock_(wiring.clock), glass_(wiring.glass),
      code_(wiring.code), armed_(wiring.armed), model_(wiring.model), cpuid_memo_(std::make_unique<CpuidMemo>()), no_table_(std::make_unique<TlbTable>()) {
    // SplitMix64, so that neighbouring seeds give unlike streams.
    u64 x = wiring.seed * 0x9e37'79b9'7f4a'7c15 + index_ + 1;
    for (u64& word : random) {
        x += 0x9e37'79b9'7f4a'7c15;
        u64 z = x;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        word = z ^ (z >> 31);
    }
    if (wiring.tables)
        stale_ = std::make_unique<Stale>(*this, *wiring.tables);
    code_.attach(*this);
    armed_.attach(*this);
    reset(Reset::cold);
}

Cpu::~Cpu() {
    drop_x87();
    armed_.detach(*this);
    code_.detach(*this);
}

/// SDM volume 3, Processor Management and Initialization: register values after RESET# and INIT.
void Cpu::reset(Reset kind) {
    gpr.fill(0);
    gpr[rdx] = model_.signature;
    rip = 0xfff0;
    set_rflags(2);
    for (unsigned i = 0; i < segment_count; ++i)
        segments[i] = {.base = 0, .limit = 0xffff, .rights = 0x93, .selector = 0};
    segments[cs] = {.base = 0xffff'0000, .limit = 0xffff, .rights = 0x9b, .selector = 0xf000};
    segments[ldtr].rights = 0x82;
    segments[tr].rights = 0x8b;
    gdtr = idtr = TableRegister{};
    cr0 = kind == Reset::init ? (cr0 & (cr0::cd | cr0::nw)) | cr0::et : cr0::cd | cr0::nw | cr0::et;
    cr2 = cr3 = cr4 = efer = 0;
    pdpte = {};
    dr = {};
    dr6 = dr6::always;
    dr7 = dr7::always;
    cpl = 0;
    activity = Activity::active;
    sti_shadow = mov_ss_shadow = nmi_blocked = nmi_pending = smi_pending = init_pending = false;
    sipi_pending = 0;
    pending_debug = 0;
    monitor_armed = false;
    if (vmx)
        vmx->reset();
    if (kind != Reset::init) {
        xcr0 = 1;
        pkru = 0;
        tsc_offset = 0 - now();
        drop_x87();
        fpu = FpuState{};
        retired = 0;
    }
    reset_msrs(msr, model_, kind);
    stop_ = {};
    cut_left_ = 0;
    fault_history_.clear();
    boundary_ = Boundary::fresh;
    tlb_.flush_all();
    mode_changed();
    if (apic_)
        apic_->reset(kind);
    events_changed();
}

u64 Cpu::rflags() const {
    const u64 high = status >> 8;
    return flags | (high & (rflags::cf | rflags::pf | rflags::af | rflags::zf | rflags::sf)) | (status & 1 ? rflags::of : 0);
}

void Cpu::set_rflags(u64 value) {
    status = static_cast<u16>((value & 0xd5) << 8 | 0x0200 | (value & rflags::of ? 1 : 0));
    flags = (value & 0x3f'7fd5 & ~rflags::status) | rflags::one;
}

void Cpu::mode_changed() {
    const Segment& code = segments[cs];
    const bool lma = efer & efer::lma;
    CodeMode& m = code_mode_;
    const CodeMode before = m;
    m.long_mode = lma;
    m.protected_ = (cr0 & cr0::pe) && !v86();
    m.bits = lma && rights::l(code.rights) ? 64 : rights::db(code.rights) ? 32 : 16;
    m.stack32 = m.bits != 64 && rights::db(segments[ss].rights);
    m.fpu_em = cr0 & cr0::em;
    m.fpu_ts = cr0 & cr0::ts;
    m.osfxsr = cr4 & cr4::osfxsr;
    m.osxsave = cr4 & cr4::osxsave;
    m.xcr0 = static_cast<u8>(((xcr0 & 6) == 6) | ((xcr0 & 0xe6) == 0xe6) << 1);
    note_flat_segments();
    if (glass_.on(Topic::cpu) && (m.bits != before.bits || m.protected_ != before.protected_ || m.long_mode != before.long_mode)) [[unlikely]]
        glass_.tell(Topic::cpu, "mode", {{"is", name_of(m)}, {"was", name_of(before)}, {"rip", rip}});
    rip_mask_ = m.bits == 64 ? ~0ull : 0xffff'ffff;
    canonical_shift_ = m.bits != 64 ? 0 : cr4 & cr4::la57 ? 7 : 16;
    for (unsigned i = 0; i < segment_count; ++i)
        segment_base_[i] = m.bits == 64 && i != fs && i != gs ? 0 : segments[i].base;
    paging_changed();
    events_changed();
}

void Cpu::note_flat_segments() {
    CodeMode& m = code_mode_;
    m.flat = m.fs_whole = m.gs_whole = false;
    if (m.bits != 64 && m.protected_) {
        const auto whole = [this](SegmentName s) { // writable data, growing up
            return segments[s].usable() && segments[s].limit == 0xffff'ffff && (segments[s].type() & 0xe) == 2;
        };
        const auto flat = [&](SegmentName s) { return whole(s) && segments[s].base == 0; };
        m.flat = segments[cs].base == 0 && segments[cs].limit == 0xffff'ffff && flat(ss) && flat(ds) && flat(es);
        m.fs_whole = whole(fs);
        m.gs_whole = whole(gs);
    }
    mode_key_ = m.key();
}

TlbKey Cpu::tlb_key() const {
    TlbKey key;
    key.root = present_root();
    key.vpid = vpid;
    key.pcid = cr4 & cr4::pcide ? static_cast<u16>(cr3 & 0xfff) : u16{0};
    // Everything that changes what a translation may do, so that spaces with different rules never mix.
    key.mode = (cr0 & cr0::pg ? 1 : 0) | (cr0 & cr0::wp ? 2 : 0) | (efer & efer::nxe ? 4 : 0) | (efer & efer::lma ? 8 : 0) |
               (cr4 & (cr4::pse | cr4::pae | cr4::la57 | cr4::smep | cr4::smap | cr4::pke | cr4::pks));
    if (cr4 & cr4::pke)
        key.mode |= u64{pkru} << 32;
    if (cr4 & cr4::pks)
        key.pkrs = msr.pkrs;
    return key;
}

void Cpu::paging_changed() {
    cut_left_ = 0; // by an instruction that ends its block anyway, or by a VM exit, which goes elsewhere
    tlb_.select(tlb_key());
    if (stale_) [[unlikely]]
        stale_->context_changed();
    privilege_changed();
}

void Cpu::privilege_changed() {
    alignment_checked_ = cpl == 3 && (cr0 & cr0::am) && (flags & rflags::ac);
    table_ = alignment_checked_ ? no_table_.get() : tlb_.table(privilege());
    tags_ = table_->all_tags();
}

// ---- the run loop ---------------------------------------------------------------------------------------------------

RunEnd Cpu::finish(RunEnd why, u64& used) {
    used = elapsed();
    clock_.set_runner(nullptr);
    block_first_ = current_ = run_end_ = nullptr;
    slice_used_ = extra_ = 0;
    if (x87_in_host)
        save_x87();
    return why;
}

RunEnd Cpu::run(u64 budget, u64& used) {
    slice_used_ = extra_ = 0;
    slice_budget_ = std::max<u64>(budget, 1);
    cut_ = yield_ = false;
    clock_.set_runner(this);
    for (;;) {
        if (stop_.kind != StopKind::none)
            return finish(RunEnd::stopped, used);
        if (attention_ && !attend())
            return finish(stop_.kind != StopKind::none ? RunEnd::stopped : RunEnd::idle, used);
        // First, and whatever else ends the slice here: whose turn comes next must not depend on where a slice was cut.
        if (yield_)
            return finish(RunEnd::yield, used);
        if (slice_used_ >= slice_budget_ || cut_)
            return finish(RunEnd::budget, used);
        code_.collect();
        if (translator_)
            translator_->between_blocks();
        const Faultable<Block*> fetched = cut_left_ ? cut_block() : fetch();
        if (!fetched.ok()) {
            ++slice_used_;
            deliver(pending);
            continue;
        }
        Block* block = fetched.value();
        u64 most = slice_budget_ - slice_used_;
        if (hooks_ || step_stop_) [[unlikely]] {
            most = std::min(most, before_breakpoint(*block));
            if (most == 0)
                continue;
        }
        if (stepping_) {
            step(*block);
        } else if (hooks_ || step_stop_) {
            (void)execute(*block, most);
        } else {
            do {
                block = known_block(run_block(*block));
            } while (block && !attention_ && !cut_ && !cut_left_ && slice_used_ < slice_budget_);
        }
        code_.executing(nullptr);
        if (watch_hit_ || step_stop_) [[unlikely]]
            stop_for_debugger();
    }
}

/// Every instruction that was begun costs one nanosecond, but one that stops the machine.
inline void Cpu::count_time(const Instruction* insn) {
    const u64 before = static_cast<u64>(insn - block_first_);
    slice_used_ += before + extra_ + 1;
    retired += before + 1;
    extra_ = 0;
    block_first_ = current_ = nullptr;
}

/// Runs at most `count` instructions of the block. Leaves rip exact.
Outcome Cpu::execute(Block& block, u64 count) {
    const Instruction* insn = block.instructions.data();
    const u64 here = rip;
    gpr[block_register] = here;
    block_first_ = current_ = insn;
    const u64 whole = cut_left_ ? std::min<u64>(cut_left_, block.instructions.size()) : block.instructions.size();
    cut_left_ = 0;
    run_end_ = insn + std::min(count, whole);
    code_.executing(&block);
    Outcome outcome = Outcome::next;
    for (;;) {
        outcome = insn->handler(*this, *insn); // runs on through the block as far as its handlers chain
        insn = current_;
        if (outcome != Outcome::next || insn + 1 >= run_end_)
            break;
        current_ = ++insn;
    }
    if (outcome == Outcome::branch) [[likely]]
        count_time(insn);
    else
        end_block(block, insn, outcome, whole, here);
    return outcome;
}

/// What follows a block's last instruction to be begun, `insn`, by how it ended. The block began at `here`; `whole` of it was to run.
void Cpu::end_block(Block& block, const Instruction* insn, Outcome outcome, u64 whole, u64 here) {
    const u64 before = static_cast<u64>(insn - block_first_);
    count_time(insn);
    if (outcome == Outcome::branch)
        return;
    if (outcome == Outcome::exited) [[unlikely]] {
        --retired;
        attention_ = true;
        return;
    }
    rip = here + insn->offset;
    const auto cut = [&](u64 done, unsigned offset) {
        cut_left_ = static_cast<u16>(whole - done);
        cut_at_ = block.start + offset;
        cut_rip_ = rip;
    };
    switch (outcome) {
    case Outcome::next:
        rip = mask_rip(rip + insn->length);
        if (before + 1 < whole)
            cut(before + 1, insn->offset + insn->length);
        break;
    case Outcome::end: rip = mask_rip(rip + insn->length); break;
    case Outcome::branch:
    case Outcome::exited: break;
    case Outcome::fault:
        --retired;
        deliver(pending);
        break;
    case Outcome::repeat:
        --retired;
        // Events between iterations save RF = 1, so that a code breakpoint on the instruction does not come again.
        flags |= rflags::rf;
        attention_ = true;
        if (block.start.value != ~0ull)
            cut(before, insn->offset);
        break;
    case Outcome::stop:
        --retired;
        --slice_used_;
        break;
    }
}

inline Block*& Cpu::run_block(Block& block) {
    if (translator_ && cut_left_ == 0) {
        if (block.code && block.straddles())
            translator_->met(*this, block);
        else if (block.code && slice_budget_ - slice_used_ >= block.instructions.size())
            return translator_->run(*this, block);
        if (!block.code && ++block.heat == TranslatorPort::hot)
            translator_->translate(*this, block);
    }
    return block.followers[execute(block, slice_budget_ - slice_used_) == Outcome::branch];
}

const Block* Cpu::next_translated(Block*& guess) {
    if (stop_.kind != StopKind::none || (attention_ && !attend()))
        return nullptr;
    if (attention_ || stepping_ || yield_ || cut_ || cut_left_ || hooks_ || step_stop_ || slice_used_ >= slice_budget_)
        return nullptr; // looked at again there: nothing is left over
    Block* const block = known_block(guess);
    if (!block || !block->code || slice_budget_ - slice_used_ < block->instructions.size())
        return nullptr;
    translator_->reached(*this, *block);
    TranslatedAccess::begin(*this, *block);
    return block;
}

/// One instruction with everything that single-stepping, shadows and breakpoints ask for around it.
void Cpu::step(Block& block) {
    const bool trap = flags & rflags::tf;
    const bool sti = sti_now_ = std::exchange(sti_shadow, false), mov_ss = mov_ss_now_ = std::exchange(mov_ss_shadow, false);
    const bool resume = flags & rflags::rf;
    boundary_ = Boundary::fresh;
    const Outcome outcome = execute(block, 1);
    sti_now_ = mov_ss_now_ = false;
    const bool completed = outcome == Outcome::next || outcome == Outcome::end || outcome == Outcome::branch;
    if (outcome == Outcome::repeat || outcome == Outcome::stop) {
        sti_shadow |= sti;
        mov_ss_shadow |= mov_ss;
    }
    if (resume && completed && !rf_loaded_)
        flags &= ~rflags::rf;
    rf_loaded_ = false;
    // DEBUGCTL.BTF: only branches that are taken trap.
    constexpr u64 btf = bit(1);
    const bool steps = !(msr.debugctl & btf) || outcome == Outcome::branch;
    if (trap && steps && (completed || outcome == Outcome::repeat) && !no_single_step_)
        pending_debug |= dr6::bs;
    no_single_step_ = false;
    if ((completed || outcome == Outcome::repeat) && intercepted(Intercept::monitor_trap)) [[unlikely]]
        mtf_due = true;
    events_changed();
}

/// Decoded anew when the code was written since.
Faultable<Block*> Cpu::cut_block() {
    const u16 left = std::exchange(cut_left_, u16{0});
    if (rip != cut_rip_)
        return fetch();
    const u8* bytes = space_.host(cut_at_);
    Block* block = code_.find(bytes, mode_key_);
    bool needs_tail = false;
    if (!block)
        block = code_.build(cut_at_, code_mode_, bytes, static_cast<unsigned>(page_size - cut_at_.page_offset()), nullptr, {}, needs_tail);
    if (!block)
        return fetch(); // what was written there reaches into the next page
    cut_left_ = left;
    return block;
}

// ---- for a debugger -------------------------------------------------------------------------------------------------

u64 Cpu::before_breakpoint(const Block& block) {
    const Linear here = linear_rip();
    u64 count = step_stop_ ? 1 : block.instructions.size();
    if (hooks_) {
        u64 next = hooks_->next_breakpoint(here, block.bytes);
        if (next == 0 && passed_ != here.value) {
            passed_ = here.value;
            (void)stop(StopKind::debugger, "breakpoint");
            return 0;
        }
        if (next == 0)
            next = hooks_->next_breakpoint(here + 1, block.bytes - 1u) + 1;
        for (u64 i = 1; i < count; ++i)
            if (block.instructions[i].offset >= next)
                count = i;
    }
    passed_ = ~0ull;
    return count;
}

void Cpu::stop_for_debugger() {
    const bool watch = std::exchange(watch_hit_, false);
    step_stop_ = false;
    if (stop_.kind == StopKind::none)
        (void)stop(StopKind::debugger, watch ? "watchpoint" : "step");
}

/// Where the code at rip lies in host memory, if the TLB says that it may run; null: fetch_slow() finds out.
inline const u8* Cpu::code_at_rip() const {
    u64 linear = rip;
    if (!mode64()) [[unlikely]] {
        if (rip > segments[cs].limit)
            return nullptr;
        linear = (segment_base_[cs] + rip) & 0xffff'ffff;
    }
    const TlbTags& tags = tags_[TlbTable::index(linear)];
    return tags.exec == (linear & ~0xfffull) ? reinterpret_cast<const u8*>(linear + tags.addend) : nullptr;
}

/// The block at rip, if there is one already; the guess is put right where it was wrong.
inline Block* Cpu::known_block(Block*& guess) {
    const u8* host = code_at_rip();
    if (guess->holds(host, mode_key_)) [[likely]]
        return guess;
    Block* b = host ? code_.find(host, mode_key_) : nullptr;
    return b && !b->straddles() ? guess = b : nullptr;
}

Faultable<Block*> Cpu::fetch() {
    if (const u8* host = code_at_rip())
        if (Block* b = code_.find(host, mode_key_); b && !b->straddles()) [[likely]]
            return b;
    if (!mode64() && rip > segments[cs].limit)
        return gp();
    return fetch_slow(linear_rip());
}

Faultable<Block*> Cpu::fetch_slow(Linear linear) {
    if (mode64() && !canonical(linear.value))
        return gp();
    const Physical start = TRY(translate(linear, Use::fetch, privilege()));
    if (apic_page(start)) [[unlikely]]
        (void)TRY(apic_access(linear, start, nullptr, 1, Use::fetch));
    const unsigned here = static_cast<unsigned>(page_size - linear.page_offset());
    const Linear next_page = wrapped(linear.page() + page_size);
    if (const u8* bytes = space_.host(start); bytes && !(apic_ && apic_->covers(start))) {
        Block* known = code_.find(bytes, mode_key_);
        if (known && !known->straddles())
            return known;
        bool needs_tail = false;
        if (!known)
            if (Block* b = code_.build(start, code_mode_, bytes, here, nullptr, Physical{}, needs_tail))
                return b;
        const Physical tail = TRY(translate(next_page, Use::fetch, privilege()));
        if (known && known->second_page == tail)
            return known;
        if (const u8* more = space_.host(tail)) {
            if (known)
                code_.forget(*known);
            return code_.build(start, code_mode_, bytes, here, more, tail, needs_tail);
        }
    }
    // Code in devices' memory, or straddling into it: decoded anew each time.
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH]{};
    const unsigned first = std::min<unsigned>(here, sizeof bytes);
    read_physical(start, bytes, first);
    if (first < sizeof bytes)
        read_physical(TRY(translate(next_page, Use::fetch, privilege())), bytes + first, static_cast<unsigned>(sizeof bytes) - first);
    return code_.build_uncached(code_mode_, bytes, sizeof bytes);
}

Outcome Cpu::unimplemented(const Instruction& insn, std::string_view what) {
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH]{};
    const u64 at = rip_of(insn);
    const u64 linear = mode64() ? at : (segment_base_[cs] + at) & 0xffff'ffff;
    const unsigned n = std::min<unsigned>(insn.length, sizeof bytes);
    for (unsigned i = 0; i < n; ++i)
        if (const Mapping m = examine(Linear{linear + i}); m.present)
            read_physical(m.page, &bytes[i], 1);
    std::string hex;
    for (unsigned i = 0; i < n; ++i)
        hex += fmt::format("{:02x} ", bytes[i]);
    return stop(StopKind::unimplemented, fmt::format("not implemented: {}: {} at {:04x}:{:016x} ({}{})", what,
                                                     disassemble(bytes, n, at), segments[cs].selector, at, hex, code_mode_.bits));
}

std::string Cpu::disassemble(const u8* bytes, unsigned size, u64 at) const {
    ZydisDisassembledInstruction text;
    const auto mode = code_mode_.bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                      : code_mode_.bits == 32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32
                                              : ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
    return ZYAN_SUCCESS(ZydisDisassembleIntel(mode, at, bytes, size, &text)) ? text.text : "(undefined)";
}

Outcome Cpu::stop(StopKind kind, std::string text) {
    stop_ = {kind, std::move(text)};
    interrupt_slice();
    return Outcome::stop;
}

void Cpu::state(Visitor& v) {
    if (x87_in_host)
        save_x87();
    State::state(v);
    v.field("interrupt line", interrupt_line_);
    v.field("rf loaded", rf_loaded_);
    v.field("boundary", boundary_);
    v.field("mwait any interrupt", mwait_any_interrupt);
    v.field("vpid", vpid);
    v.field("cr0 required", cr0_required);
    v.field("cr4 required", cr4_required);
    v.field("intercepts", intercepts);
    v.field("apic access page", apic_access_page);
    v.field("virtual interrupt", virtual_interrupt);
    v.field("init blocked", init_blocked);
    v.field("nmi never blocked", nmi_never_blocked);
    v.field("iret keeps nmi blocked", iret_keeps_nmi_blocked);
    v.field("trap exit due", trap_exit_due);
    v.field("mtf due", mtf_due);
    v.field("preemption due", preemption_due);
    v.field("delivery time", delivery_time);
    if (v.loading()) {
        if (!interceptor && (vpid || cr0_required || cr4_required || intercepts || is_aligned(apic_access_page, page_size) || virtual_interrupt ||
                             init_blocked || nmi_never_blocked || iret_keeps_nmi_blocked || trap_exit_due || mtf_due || preemption_due)) {
            vpid = 0;
            cr0_required = cr4_required = intercepts = 0;
            apic_access_page = ~0ull;
            virtual_interrupt = init_blocked = nmi_never_blocked = iret_keeps_nmi_blocked = trap_exit_due = mtf_due = preemption_due = false;
            v.refuse("a processor without VMX is in the state of one that has it");
        }
        drop_x87();
        mode_changed();
    }
    if (!v.loading() && cut_left_ == 0) {
        cut_rip_ = 0;
        cut_at_ = Physical{};
    }
    v.field("cut rip", cut_rip_);
    v.field("cut at", cut_at_);
    v.field("cut left", cut_left_);
    if (v.loading() && cut_left_ != 0 && (cut_left_ > CodeCache::max_instructions || !space_.host(cut_at_))) {
        cut_left_ = 0;
        v.refuse("a processor is in the middle of a block that lies nowhere");
    }
    v.begin("tlb");
    if (stale_)
        stale_->state(v);
    else
        tlb_.state(v);
    v.end();
    if (v.loading()) {
        // Not select(): the loaded TLB has its address space already, and remembers when it was last used.
        if (!stale_ && tlb_.key() != tlb_key())
            v.refuse("the TLB is that of another address space");
        privilege_changed();
        stop_ = {};
        attention_ = true;
    }
}

} // namespace vitrine
