// SPDX-License-Identifier: Apache-2.0
// The VMX unit of one processor: VMX operation, its instructions, VM entries and exits, and what is intercepted.
#pragma once

#include "vtx/entry_report.h"
#include "vtx/ept.h"
#include "vtx/exit_statistics.h"
#include "vtx/spec/capabilities.h"
#include "vtx/spec/controls.h"
#include "vtx/spec/errors.h"
#include "vtx/spec/exits.h"
#include "vtx/spec/rule.h"
#include "vtx/vmcs.h"
#include "base/clock.h"
#include "x86/cpu.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace vitrine::vtx {

/// What a VM exit reports besides its reason and qualification.
struct ExitInformation {
    u32 interruption = 0, interruption_error = 0; ///< of the event that caused it
    u32 instruction_length = 0, instruction_information = 0;
    u64 linear = 0, guest_physical = 0;
    bool has_linear = false, has_guest_physical = false;
    bool clear_rf = false; ///< exits that instructions cause save RF = 0
    bool set_rf = false;   ///< faults save RF = 1
};

/// An exit that was found in the middle of an instruction, due when the instruction has been given up.
struct RecordedExit {
    ExitReason reason{};
    u64 qualification = 0;
    ExitInformation information;
};

/// What stops the machine for a person, once.
struct ExitStop {
    bool every = false;               ///< any VM exit
    bool failed_entry = false;        ///< a VM entry that breaks a rule
    std::optional<ExitReason> reason; ///< a VM exit with this reason
};

class Unit final : public VmxPort, public Interceptor {
public:
    Unit(Cpu& cpu, const Capabilities& capabilities);
    ~Unit() override;
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;

    // VmxPort
    Outcome execute(Cpu& cpu, const Instruction& insn, VmxInstruction which) override;
    bool read_msr(u32 msr, u64& value) const override;
    void reset() override;

    // Interceptor
    Outcome instruction(Cpu& cpu, Intercept kind, const Instruction& insn, u64 qualification) override;
    bool event(Cpu& cpu, const Event& event, const Event* during) override;
    void recorded(Cpu& cpu, const Event* during) override;
    bool boundary(Cpu& cpu, Intercept kind, u64 detail) override;
    Faultable<bool> apic_access(Cpu& cpu, Linear a, Physical at, void* data, unsigned size, ApicUse use) override;
    u8 acknowledge_virtual(Cpu& cpu) override;

    bool in_operation() const { return operation_; }
    bool in_non_root() const { return non_root_; }
    u64 entries() const { return entries_; }
    Vmcs& vmcs() { return vmcs_; }
    const Capabilities& capabilities() const { return capabilities_; }

    /// Every rule that the current VMCS breaks, with the values that were read and who wrote them last. Empty: it would enter.
    std::vector<RuleReport> broken_rules();
    std::string explain_entry();

    /// VM entries that failed, the first ones; not state.
    const std::vector<EntryReport>& failed_entries() const { return failed_entries_; }
    static constexpr std::size_t most_failed_entries = 64;
    const ExitStatistics& statistics() const { return statistics_; }
    /// What the processor's retired instructions were, up to now.
    ExitStatistics::Retired retired() const { return statistics_.retired(cpu_.retired_by_now()); }
    /// Instructions of this VMCS's guest since its VM entry, if it runs now.
    u64 unfinished(u64 vmcs) const { return statistics_.unfinished(vmcs, cpu_.retired_by_now()); }
    /// The next event of the kind stops the machine, as a breakpoint does.
    void stop_at(ExitStop what) { stop_ = what; }

    void state(Visitor& v);
    /// After the state of this unit and of its processor has been loaded: what is counted is counted from here.
    void restored();
    /// After a reset of its processor that is no INIT: its retired instructions count from 0 again.
    void restarted() { statistics_.begin_at(0); }

private:
    friend class Ept;

    // ---- instructions (instructions.cpp) ----------------------------------------------------------------------------
    Outcome vmxon_(const Instruction& i);
    Outcome vmclear_(const Instruction& i);
    Outcome vmptrld_(const Instruction& i);
    Outcome vmptrst_(const Instruction& i);
    Outcome vmread_(const Instruction& i);
    Outcome vmwrite_(const Instruction& i);
    Outcome vmxoff_(const Instruction& i);
    Outcome vmfunc_(const Instruction& i);
    Outcome invept_(const Instruction& i);
    Outcome invvpid_(const Instruction& i);
    Faultable<u64> pointer_operand(const Instruction& i);
    bool valid_region(u64 pointer) const;
    Outcome succeed(const Instruction& i);
    Outcome fail_invalid(const Instruction& i);
    Outcome fail(const Instruction& i, VmError error);
    Outcome exit_from(const Instruction& i, VmxInstruction which);
    bool vmfunc_allowed() const;
    bool shadows(const Instruction& i, F bitmap) const;

    // ---- VM entry (entry.cpp) ---------------------------------------------------------------------------------------
    Outcome enter(const Instruction& i, bool launch);
    void gather(RuleInput& input);
    void load_guest();
    u64 load_msrs(F address, F count, bool guest); ///< 0, or 1 + the index of the entry that failed
    void inject();
    void set_intercepts();
    void entry_failed(ExitReason reason, u64 qualification);
    void tell_broken(const char* what, const Instruction& entry);
    void start_timer();

    // ---- VM exit (exit.cpp) -----------------------------------------------------------------------------------------
    void exit(ExitReason reason, u64 qualification, const ExitInformation& information = {}, const Event* during = nullptr);
    void save_guest(const ExitInformation& information, const Event* during);
    void load_host();
    bool store_msrs();
    void count(ExitReason reason, u64 rip);
    void stop_if_wanted(ExitReason reason, u64 qualification, u64 rip);
    void abort(u32 indicator, const char* why);
    void flush_untagged();
    u32 remaining_timer() const;

    // ---- for EPT (ept_events.cpp) -----------------------------------------------------------------------------------
    void record(ExitReason reason, u64 qualification, GuestPhysical address, const SecondLevelAccess& access);
    bool virtualization_exception(u64 qualification, GuestPhysical address, const SecondLevelAccess& access); ///< false: it exits
    bool log_dirty(GuestPhysical address); ///< false: the log is full, and the exit is recorded

    // ---- APIC virtualisation (apic.cpp) -----------------------------------------------------------------------------
    u32 virtual_register(u64 offset) const;
    void set_virtual_register(u64 offset, u32 value);
    void set_virtual_bit(u64 base, unsigned vector, bool on);
    u8 highest_virtual_bit(u64 base) const;
    bool delivers_virtual() const;
    u8 rvi() const;
    u8 svi() const;
    void set_interrupt_status(u8 rvi, u8 svi);
    void virtualize_ppr();
    void virtualize_tpr();
    void virtualize_eoi();
    void virtualize_self_ipi(u8 vector);
    bool virtualizes_ipis() const;
    bool virtualize_ipi(u8 vector, u32 target);
    void evaluate_virtual();
    void emulate_write(u64 offset);
    void trap_exit(ExitReason reason, u64 qualification);
    void start_virtual_interrupts();
    Outcome x2apic_access(u32 msr, bool write);
    bool posted(u8 vector);
    void count_vector(u8 vector);
    void count_injection(EventKind kind);
    void count(const char* name, u64*& counter);

    // ---- intercepts.cpp, operands.cpp -------------------------------------------------------------------------------
    Outcome leave(const Instruction& i, ExitReason reason, u64 qualification = 0, u32 information = 0);
    Outcome leave(const Instruction& i, ExitReason reason, u64 qualification, const ExitInformation& information);
    Outcome cr_access(const Instruction& i, u64 qualification);
    Outcome mov_to_cr(const Instruction& i, u64 qualification);
    Outcome mov_from_cr(const Instruction& i, u64 qualification);
    Outcome lmsw(const Instruction& i, u64 qualification);
    Outcome smsw(const Instruction& i);
    Outcome port_access(const Instruction& i, u64 qualification);
    Outcome msr_access(const Instruction& i, bool write);
    Outcome time_stamp(const Instruction& i, bool with_aux);
    Outcome pause(const Instruction& i);
    Outcome descriptor_table(const Instruction& i);
    u64 guest_tsc() const;
    u8 vtpr() const;
    bool on(const Field& f, F word) const { return f(vmcs_[word]) != 0; }
    u64 secondary_controls() const {
        return vtx::primary.activate_secondary_controls(vmcs_[F::primary]) ? vmcs_[F::secondary] : 0;
    }
    u64 tertiary_controls() const { return vtx::primary.activate_tertiary_controls(vmcs_[F::primary]) ? vmcs_[F::tertiary] : 0; }
    bool bitmap(F address, u64 bit) const;

    Cpu& cpu_;
    Capabilities capabilities_;
    Ept ept_;
    bool operation_ = false, non_root_ = false;
    u64 vmxon_pointer_ = Vmcs::no_pointer;
    Vmcs vmcs_;
    RecordedExit recorded_;
    u64 entries_ = 0;
    ExitStatistics statistics_;
    std::vector<EntryReport> failed_entries_;
    ExitStop stop_;
    std::array<u64*, 80> counters_{}; ///< of exits by reason, in the glass; made when first needed
    std::array<u64*, 256> vector_counters_{}; ///< of exits by acknowledged external interrupts, likewise
    std::array<u64*, 7> injection_counters_{}; ///< of events that VM entries injected, by kind, likewise
    u64* posted_counter_ = nullptr;            ///< of notifications taken without an exit
    u64* virtual_counter_ = nullptr;           ///< of interrupts delivered by virtual-interrupt delivery
    u64* ipi_counter_ = nullptr;               ///< of IPIs posted without an exit
    u64 timer_started_ = 0; ///< TSC at VM entry, where the preemption timer began to count
    u32 timer_value_ = 0;
    u64 last_apic_page_ = ~0ull;
    ExitReason trap_reason_{}; ///< of the exit that follows the instruction under way
    u64 trap_qualification_ = 0;
    bool bus_lock_ = false; ///< the instruction before the exit that is due asserted one
    u64 ple_first_ = 0, ple_last_ = 0;
    Timer timer_;
};

} // namespace vitrine::vtx
