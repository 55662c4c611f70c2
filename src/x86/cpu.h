// SPDX-License-Identifier: Apache-2.0
// One processor: its state, its view of memory, and the run loop of the reference engine.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "glass/glass.h"
#include "memory/space.h"
#include "words/addresses.h"
#include "x86/apic_port.h"
#include "x86/debug_hooks.h"
#include "x86/instruction.h"
#include "x86/intercepts.h"
#include "x86/outcome.h"
#include "x86/pins.h"
#include "x86/second_level.h"
#include "x86/state.h"
#include "x86/tlb.h"
#include "x86/translator_port.h"
#include "x86/vmx_port.h"

#include <cstring>
#include <functional>
#include <memory>
#include <string>

namespace vitrine {

class ArmedLines;
class CodeCache;
class CpuidMemo;
class Stale;
class TableWatch;
struct CpuModel;

/// Why a linear address is used.
enum class Use : u8 { read, write, fetch };

/// What a processor is plugged into.
struct CpuWiring {
    unsigned index = 0; ///< 0 is the boot processor
    Space& space;
    Clock& clock;
    Glass& glass;
    CodeCache& code;       ///< shared by all processors of the machine
    ArmedLines& armed;     ///< the same
    const CpuModel& model; ///< the same for all processors of the machine
    unsigned cpu_count = 1;
    u64 seed = 0; ///< RDRAND and RDSEED
    TableWatch* tables = nullptr; ///< not null: translations are kept as long as the architecture permits (x86/stale.h)
};

/// Why run() came back.
enum class RunEnd : u8 {
    budget,  ///< the slice is used up
    idle,    ///< halted, waiting for an event
    yield,   ///< PAUSE, or something for another processor: let the others run
    stopped, ///< Cpu::stop_reason() says why
};

enum class StopKind : u8 { none, unimplemented, triple_fault, debugger };

struct StopReason {
    StopKind kind = StopKind::none;
    std::string text; ///< for people; several lines for a triple fault
};

class Cpu final : public CallRoom, public State, public Pins, public Runner {
public:
    explicit Cpu(const CpuWiring& wiring);
    ~Cpu() override;
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;

    // ---- wiring -----------------------------------------------------------------------------------------------------
    void connect(ApicPort& apic) { apic_ = &apic; }
    ApicPort& apic() { return *apic_; }
    Space& space() { return space_; }
    Clock& clock() { return clock_; }
    Glass& glass() { return glass_; }
    const CpuModel& model() const { return model_; }
    CpuidMemo& cpuid_memo() { return *cpuid_memo_; }
    unsigned index() const { return index_; }
    unsigned cpu_count() const { return cpu_count_; }
    Requester requester() const { return Requester::from_cpu(static_cast<u16>(index_)); }

    // ---- running ----------------------------------------------------------------------------------------------------
    /// Power-on or INIT state.
    void reset(Reset kind);
    /// Runs at most `budget` virtual nanoseconds (at least one instruction). `used` gets what it took.
    RunEnd run(u64 budget, u64& used);
    const StopReason& stop_reason() const { return stop_; }
    /// After a stop for the debugger: go on. The breakpoint that it stopped at does not stop it again.
    void clear_stop() { stop_ = {}; }
    /// Sets or (null) removes a debugger's hooks; call it again when its set of watchpoints changes.
    void set_hooks(DebugHooks* hooks) {
        hooks_ = hooks;
        tlb_.drop_tags();
    }
    /// A debugger's single step: stop after the next instruction, or before the first one of a handler that is called instead.
    void stop_after_step(bool on) { step_stop_ = on; }
    /// Somebody else than the processor itself changed rip: what was fetched before is no longer meant.
    void redirected() { cut_left_ = 0; }
    /// Hot blocks are run by it from now on.
    void connect(TranslatorPort& translator) { translator_ = &translator; }
    /// True when an event would wake a halted processor now.
    bool wakes() const;

    // Pins
    void set_interrupt(bool pending) override;
    void nmi() override;
    void smi() override;
    void init() override;
    void sipi(u8 vector) override;

    // Runner
    u64 elapsed() const override { return slice_used_ + static_cast<u64>(current_ - block_first_) + extra_; }
    void interrupt_slice() override { leave_block(); cut_ = true; }

    /// Leave the running block after the present instruction: its code changed, or there is something to look at.
    void leave_block() {
        if (current_)
            run_end_ = current_ + 1;
    }

    /// Virtual nanoseconds that this slice may still take; REP handlers do at most this many iterations.
    u64 budget_left() const { const u64 e = elapsed(); return e < slice_budget_ ? slice_budget_ - e : 0; }
    /// Charges more than the one nanosecond that each instruction costs (REP iterations beyond the first, PAUSE).
    void charge(u64 nanoseconds) { extra_ += nanoseconds; run_end_ = current_ + 1; }
    /// The same, also between instructions.
    void spend(u64 nanoseconds) {
        if (current_)
            charge(nanoseconds);
        else
            slice_used_ += nanoseconds;
    }
    void yield_after_this() { yield_ = true; interrupt_slice(); }
    u64 now() const { return clock_.now(); }
    /// Instructions retired, those of the block under way included.
    u64 retired_by_now() const { return retired + static_cast<u64>(current_ - block_first_); }
    u64 tsc() const { return now() + tsc_offset; }

    // ---- registers --------------------------------------------------------------------------------------------------
    /// A general register by the byte offset that Instruction::reg and rm hold.
    template <class T> auto& reg(u8 offset) {
        using Aliasing [[gnu::may_alias]] = T; // the registers are u64: a narrower view must not be taken for another object
        return *reinterpret_cast<Aliasing*>(reinterpret_cast<u8*>(gpr.data()) + offset);
    }
    /// Writes a register; 32-bit writes clear the upper half.
    template <class T> void set_reg(u8 offset, T value) {
        if constexpr (sizeof(T) == 4)
            reg<u64>(offset) = value;
        else
            reg<T>(offset) = value;
    }
    u64 rflags() const;
    /// All bits as given (reserved ones forced); callers apply their own masks.
    void set_rflags(u64 value);
    u64 rip_of(const Instruction& i) const { return gpr[block_register] + i.offset; }
    u64 next_rip(const Instruction& i) const { return mask_rip(rip_of(i) + i.length); }
    /// RIP wraps at the width of the code segment.
    u64 mask_rip(u64 value) const { return value & rip_mask_; }
    /// Where the next instruction lies.
    Linear linear_rip() const { return Linear{mode64() ? rip : (segments[cs].base + rip) & 0xffff'ffff}; }
    bool long_mode() const { return efer & efer::lma; }
    bool mode64() const { return code_mode_.bits == 64; }
    bool protected_mode() const { return cr0 & cr0::pe; }
    bool v86() const { return flags & rflags::vm; }
    unsigned iopl() const { return static_cast<unsigned>((flags >> 12) & 3); }
    const CodeMode& code_mode() const { return code_mode_; }
    /// 2, 4 or 8: width of the stack pointer.
    unsigned stack_size() const { return code_mode_.bits == 64 ? 8 : code_mode_.stack32 ? 4 : 2; }

    // ---- after changes of system state ------------------------------------------------------------------------------
    /// CS, SS, CR0, CR4, EFER, XCR0, RFLAGS.VM or CPL changed: recomputes the mode, segment bases and the TLB table in use.
    void mode_changed();
    /// The cache of a data segment (ES, DS, FS, GS) changed and nothing else.
    void segment_changed(SegmentName s) {
        segment_base_[s] = mode64() && s != fs && s != gs ? 0 : segments[s].base;
        if (!mode64())
            note_flat_segments();
    }
    /// CR3, paging bits of CR0/CR4/EFER changed: selects the address space (see tlb.h); flush rules are the caller's.
    void paging_changed();
    /// RFLAGS.AC or CPL changed and nothing else.
    void privilege_changed();
    /// Something that attention() looks at changed: IF, TF, shadows, pending events, debug registers.
    void events_changed() { attention_ = true; }
    void set_cpl(u8 value) { cpl = value; privilege_changed(); }

    /// IRET and task switches load RF; it then holds for the next instruction.
    void rf_loaded() { rf_loaded_ = true; events_changed(); }
    /// SYSCALL that masks TF: no single-step trap follows it.
    void no_single_step() { no_single_step_ = true; }
    bool mwait_any_interrupt = false; ///< MWAIT with ECX[0]: interrupts wake it even with IF = 0

    // ---- faults -----------------------------------------------------------------------------------------------------
    /// Records a fault for the run loop to deliver; return the result from the handler.
    Fault raise(Vector v) { return raise_event({.vector = v}); }
    Fault raise(Vector v, u32 error) { return raise_event({.vector = v, .has_error = true, .error = error}); }
    Fault raise_event(const Event& event) { pending = event; return {}; }
    Fault gp(u32 error = 0) { return raise(Vector::gp, error); }
    Fault ud() { return raise(Vector::ud); }
    Event pending; ///< valid while a Fault is on its way up

    /// Not implemented: the machine stops with the text, the bytes and the address. Return the result from the handler.
    Outcome unimplemented(const Instruction& insn, std::string_view what);
    Outcome stop(StopKind kind, std::string text);

    /// One instruction in Intel's syntax, for messages.
    std::string disassemble(const u8* bytes, unsigned size, u64 at) const;

    /// Delivers an event through the IDT or IVT (x86/delivery.cpp): faults of delivery become #DF and triple fault here.
    void deliver(Event event);

    // ---- memory -----------------------------------------------------------------------------------------------------
    /// Linear address of an instruction's memory operand, after segment checks for `size` bytes.
    Faultable<Linear> address(const Instruction& i, unsigned size, Use use) {
        const u64 offset = (gpr[i.base] + (gpr[i.index] << i.scale) + static_cast<u64>(i.displacement)) & i.address_mask;
        if (i.checked) [[unlikely]]
            return segmented(static_cast<SegmentName>(i.segment), offset, size, use);
        return Linear{offset + segment_base_[i.segment]};
    }
    /// The offset alone (LEA, and checks that need it).
    u64 offset_of(const Instruction& i) const {
        return (gpr[i.base] + (gpr[i.index] << i.scale) + static_cast<u64>(i.displacement)) & i.address_mask;
    }
    /// Limit, type and canonical checks of an access through a segment register, in any mode.
    Faultable<Linear> segmented(SegmentName segment, u64 offset, unsigned size, Use use);

    /// Loads and stores at the present privilege. #AC is checked where CR0.AM, RFLAGS.AC and CPL ask for it.
    template <class T> Faultable<T> load(Linear a) {
        const TlbTags& t = tags_[TlbTable::index(a.value)];
        if (t.read == ((a.value + sizeof(T) - 1) & ~0xfffull)) [[likely]] {
            T value;
            std::memcpy(&value, reinterpret_cast<const void*>(a.value + t.addend), sizeof(T));
            return value;
        }
        return load_missed<T>(a);
    }
    template <class T> Faultable<> store(Linear a, T value) {
        const TlbTags& t = tags_[TlbTable::index(a.value)];
        if (t.write == ((a.value + sizeof(T) - 1) & ~0xfffull)) [[likely]] {
            std::memcpy(reinterpret_cast<void*>(a.value + t.addend), &value, sizeof(T));
            return {};
        }
        return store_missed<T>(a, value);
    }
    /// Host pointer for a read-modify-write within one page; null when only the slow way will do (then load_for_write and store).
    template <class T> T* modify(Linear a) {
        const TlbTags& t = tags_[TlbTable::index(a.value)];
        return t.write == ((a.value + sizeof(T) - 1) & ~0xfffull) ? reinterpret_cast<T*>(a.value + t.addend) : nullptr;
    }
    /// Loads what will be stored next: faults as a write. The store that follows cannot fault.
    template <class T> [[gnu::noinline]] Faultable<T> load_for_write(Linear a) {
        T value{};
        if (!load_slow(a, &value, sizeof(T), Use::write))
            return Fault{};
        return value;
    }
    /// Any number of bytes up to 4096; all or nothing.
    Faultable<> load_bytes(Linear a, void* to, unsigned size) { return load_slow(a, to, size, Use::read); }
    Faultable<> store_bytes(Linear a, const void* from, unsigned size) { return store_slow(a, from, size); }
    /// Checks that `size` bytes could be written (or read) without doing it.
    Faultable<> probe(Linear a, unsigned size, Use use);
    /// Where the byte at `a` lies, after all checks and effects of an access to it.
    Faultable<Physical> locate(Linear a, Use use);
    /// Host pointer to `size` bytes at `a` when they lie in one page of plain RAM that may be read (written) directly; else null.
    /// Fills the TLB, so it may fault; a null without a fault means: use the slow way.
    Faultable<u8*> direct(Linear a, unsigned size, Use use);

    /// Accesses of the processor itself (descriptor tables, TSS, IDT): supervisor rights whatever CPL is.
    template <class T> Faultable<T> load_system(Linear a) {
        T value{};
        if (!system_slow(a, &value, sizeof(T), false))
            return Fault{};
        return value;
    }
    template <class T> Faultable<> store_system(Linear a, T value) { return system_slow(a, &value, sizeof(T), true); }

    /// False for an address that 64-bit mode cannot have; true in every other mode.
    bool canonical(u64 a) const { return static_cast<u64>(static_cast<i64>(a << canonical_shift_) >> canonical_shift_) == a; }

    /// Memory by physical address: RAM or devices, the xAPIC page included.
    void read_physical(Physical p, void* to, unsigned size);
    void write_physical(Physical p, const void* from, unsigned size);
    /// Accessed and dirty flags of an entry of the paging structures: a write that changes no translation.
    void mark_entry(Physical p, u64 value, unsigned size);
    Tlb& tlb() { return tlb_; }
    /// Null unless translations are kept as long as the architecture permits.
    Stale* stale() { return stale_.get(); }
    /// MOV CR3, INVLPG and friends use these; they also select the tables anew.
    void flush_tlb(bool keep_global);
    void invalidate_page(Linear a);

    /// A walk that changes nothing, for debuggers: where `a` lies, or nothing.
    struct Mapping { bool present = false; Physical page{}; u8 size_log2 = 12; u64 entries[5]{}; u64 entry_addresses[5]{}; u8 levels = 0; };
    Mapping examine(Linear a);

    // ---- stack ------------------------------------------------------------------------------------------------------
    /// PUSH and POP of 2, 4 or 8 bytes through SS; RSP changes only on success.
    Faultable<> push(unsigned size, u64 value);
    Faultable<u64> pop(unsigned size);
    /// As pop without moving RSP: the value `skip` bytes above it.
    Faultable<u64> peek(unsigned size, u64 skip = 0);
    /// Sets RSP at the stack's width. 32 bits clear the upper half, as every result of 32 bits does.
    void set_rsp(u64 value) { gpr[rsp] = code_mode_.bits != 64 && !code_mode_.stack32 ? (gpr[rsp] & ~0xffffull) | (value & 0xffff)
                                         : code_mode_.bits != 64                      ? value & 0xffff'ffff
                                                                                      : value; }
    /// Adds to RSP at the stack's width.
    void add_rsp(u64 delta) { set_rsp(gpr[rsp] + delta); }

    // ---- seams for VMX ----------------------------------------------------------------------------------------------
    u64 intercepts = 0; ///< bit per Intercept
    bool intercepted(Intercept i) const { return (intercepts >> static_cast<unsigned>(i)) & 1; }
    Interceptor* interceptor = nullptr;
    SecondLevel* second_level = nullptr;
    bool sub_pages = false; ///< the second level may allow writes to parts of a page: each part that a write touches is asked for
    VmxPort* vmx = nullptr;
    u16 vpid = 0;                       ///< tags translations
    u64 cr0_required = 0, cr4_required = 0; ///< bits that VMX operation fixes to 1
    u64 apic_access_page = ~0ull;       ///< physical page whose accesses the interceptor sees; odd: none
    bool virtual_interrupt = false;     ///< recognised: delivered when the guest's interrupts are open
    bool init_blocked = false;          ///< VMX root operation: INIT stays pending
    bool nmi_never_blocked = false;     ///< virtual NMIs: `nmi_blocked` blocks virtual ones, and NMIs come always
    bool iret_keeps_nmi_blocked = false; ///< "NMI exiting" without virtual NMIs
    bool trap_exit_due = false;         ///< an exit follows the instruction under way
    bool mtf_due = false;               ///< a monitor-trap-flag exit is pending
    bool preemption_due = false;        ///< the VMX-preemption timer has expired
    u64 delivery_time = 0;              ///< with Intercept::instruction_timeout: what events without an instruction between may take, 1 ns each
    bool nmi_unblocked = false;         ///< the instruction under way is an IRET that unblocked NMIs
    /// What blocks events at the instruction under way or, between instructions, at the next one.
    bool blocked_by_sti() const { return sti_shadow || sti_now_; }
    bool blocked_by_mov_ss() const { return mov_ss_shadow || mov_ss_now_; }
    bool interrupt_line() const { return interrupt_line_; }
    /// An event is on its way through the IDT.
    bool delivering() const { return delivering_; }
    /// Delivers an event that no interceptor is asked about: VM entry injects it. Faults on the way are told as usual.
    void inject(const Event& event) { deliver(event); }
    /// The instruction under way; null between instructions.
    const Instruction* current_instruction() const { return current_; }
    /// Something happened that attention() looks at, perhaps while another processor runs.
    void wake_up() { wake(); }
    /// A fault that stands for an exit which the interceptor has recorded.
    Fault raise_exit() { return raise_event({.kind = EventKind::exit}); }

    // ---- x87 in the host's x87 (x86/x87.cpp) ----------------------------------------------------------------------------
    void save_x87();  ///< brings the image in `fpu` up to date
    void drop_x87();  ///< `fpu` was changed: the next x87 instruction loads it again
    bool x87_in_host = false;
    /// They are there, all exceptions are masked and none is pending: before the control word is loaded again, none can become pending.
    bool x87_quiet = false;

    void state(Visitor& v);

    CodeCache& code() { return code_; }
    ArmedLines& armed_lines() { return armed_; }

private:
    friend Outcome next(Cpu& cpu, const Instruction& insn);
    friend class TranslatedAccess;

    // Out of line, so that no handler has a local variable whose address is known elsewhere: it could not end in a jump then.
    template <class T> [[gnu::noinline]] Faultable<T> load_missed(Linear a) {
        T value{};
        if (!load_slow(a, &value, sizeof(T), Use::read))
            return Fault{};
        return value;
    }
    template <class T> [[gnu::noinline]] Faultable<> store_missed(Linear a, T value) { return store_slow(a, &value, sizeof(T)); }

    Faultable<> load_slow(Linear a, void* to, unsigned size, Use use);
    Faultable<> store_slow(Linear a, const void* from, unsigned size);
    Faultable<> system_slow(Linear a, void* data, unsigned size, bool write);
    /// One page of an access: fills the TLB, returns the physical address.
    Faultable<Physical> translate(Linear a, Use use, Privilege p);
    /// The same for `size` bytes within a page.
    Faultable<Physical> translate(Linear a, unsigned size, Use use, Privilege p);
    Faultable<Translation*> walk(Linear a, Use use, Privilege p, TlbTable& table);
    Faultable<Translation> walk_tables(Linear a, Use use, Privilege p);
    Fault page_fault(Linear a, Use use, Privilege p, u32 code);
    void set_tags(Translation& t, TlbTable& table);
    bool apic_page(Physical p) const { return p.page().value == apic_access_page; }
    Faultable<bool> apic_access(Linear a, Physical p, void* data, unsigned size, Use use);
    Privilege privilege() const;
    TlbKey tlb_key() const; ///< of the present address space
    bool watched(u64 linear_page) const;
    void note_watchpoints(Linear a, unsigned size, Use use);
    Faultable<> check(Linear a, unsigned size, Use use);
    Fault not_canonical();
    void note_flat_segments();
    Linear wrapped(Linear a) const;
    Faultable<Linear> stack_address(u64 offset, unsigned size, Use use);
    friend class Walker;
    friend class Stale;

    bool deliver_pending();
    bool boundary_exit();
    bool nmi_open() const { return nmi_pending && (!nmi_blocked || nmi_never_blocked); }
    bool interrupt_open() const { return interrupt_line_ && ((flags & rflags::if_) || intercepted(Intercept::external_interrupt)); }
    bool window_open() const;
    bool attend();            ///< events at an instruction boundary; false: nothing may run now
    void wake();
    void step(Block& block);
    u64 code_breakpoints() const;
    /// EPTP, or 0 without EPT: translations of different roots never mix.
    u64 present_root() const { return second_level ? second_level->root() : 0; }
    void shutdown(const Event& event);
    void hang(const Event& event);
    Faultable<Block*> fetch(); ///< the block at rip
    const u8* code_at_rip() const;
    Block* known_block(Block*& guess);
    Faultable<Block*> cut_block(); ///< what is left of the block that was cut
    u64 before_breakpoint(const Block& block); ///< how many of its instructions may run; 0: stopped
    void stop_for_debugger();
    Faultable<Block*> fetch_slow(Linear linear);
    Faultable<> deliver_once(const Event& event);
    RunEnd finish(RunEnd why, u64& used);
    Outcome execute(Block& block, u64 count);
    void count_time(const Instruction* insn);
    void end_block(Block& block, const Instruction* insn, Outcome outcome, u64 whole, u64 here);
    Block*& run_block(Block& block); ///< by whichever engine; returns the guess for what follows
    /// What the run loop would do between this block and the next one, done without leaving translated code: the next block, ready to be
    /// begun, or null where the run loop has to look.
    const Block* next_translated(Block*& guess);

    unsigned index_, cpu_count_;
    Space& space_;
    Clock& clock_;
    Glass& glass_;
    CodeCache& code_;
    ArmedLines& armed_;
    const CpuModel& model_;
    std::unique_ptr<CpuidMemo> cpuid_memo_;
    ApicPort* apic_ = nullptr;
    Tlb tlb_;
    TlbTable* table_ = nullptr; ///< of the present space and privilege; or the one below while every access needs checks
    TlbTags* tags_ = nullptr;   ///< of table_
    std::unique_ptr<TlbTable> no_table_;
    std::unique_ptr<Stale> stale_;
    bool alignment_checked_ = false; ///< CR0.AM, RFLAGS.AC, CPL 3
    bool stack_access_ = false;      ///< the access under way is a push or pop: #SS where others get #GP
    u64 segment_base_[segment_count]{}; ///< as effective-address computation wants them in the present mode
    u64 rip_mask_ = 0xffff;
    u8 canonical_shift_ = 0; ///< bits above a linear address in 64-bit mode; 0 in other modes, where every address will do
    CodeMode code_mode_;
    u32 mode_key_ = 0;
    bool attention_ = true;      ///< look at events before the next instruction
    bool interrupt_line_ = false;
    bool stepping_ = false;      ///< one instruction at a time: TF, RF, shadows, breakpoints
    bool rf_loaded_ = false;     ///< the instruction just done loaded RF
    bool no_single_step_ = false; ///< the instruction under way suppresses its single-step trap
    /// What has been delivered since the last instruction: the next event waits until another one has been executed.
    enum class Boundary : u8 { fresh, event, breakpoint } boundary_ = Boundary::fresh;
    bool delivering_ = false;
    bool sti_now_ = false, mov_ss_now_ = false; ///< shadows over the instruction under way
    bool yield_ = false, cut_ = false;
    StopReason stop_;
    DebugHooks* hooks_ = nullptr;
    bool step_stop_ = false, watch_hit_ = false;
    u64 passed_ = ~0ull; ///< linear address of the breakpoint stopped at last, as long as no instruction has run since

    // A block that was left between two instructions without a branch or an event (its slice was used up, its code was written) goes
    // on without a new fetch: where slices end leaves no trace in the TLB. State.
    u64 cut_rip_ = 0;
    Physical cut_at_{};
    u16 cut_left_ = 0; ///< instructions of the block that are left; 0: the next instruction is fetched
    std::string fault_history_; ///< for the triple fault's report

    // The running slice; none of it is state: slices end at instruction boundaries.
    u64 slice_used_ = 0, slice_budget_ = 0, extra_ = 0;
    const Instruction* block_first_ = nullptr;
    const Instruction* current_ = nullptr;
    const Instruction* run_end_ = nullptr;

    TranslatorPort* translator_ = nullptr;
    TranslatedRun translated_;
};

/// The end of a handler that completed: goes on with the next instruction of the block. The compiler makes it a jump; where it does
/// not (unoptimised builds), the depth is that of a block.
inline Outcome next(Cpu& cpu, const Instruction& insn) {
    const Instruction* following = &insn + 1;
    if (following >= cpu.run_end_) [[unlikely]]
        return Outcome::next;
    cpu.current_ = following;
    return following->handler(cpu, *following);
}

} // namespace vitrine
