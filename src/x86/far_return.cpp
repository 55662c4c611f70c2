// SPDX-License-Identifier: Apache-2.0
// Far returns and IRET in every mode (SDM volume 2, RET and IRET: Operation).
#include "x86/far.h"

namespace vitrine {

namespace {

/// Checks of the code segment that a return goes to.
Faultable<Descriptor> return_segment(Cpu& cpu, u16 selector) {
    if (null_selector(selector))
        return cpu.gp();
    const Descriptor code = TRY(read_descriptor(cpu, selector));
    const u8 rpl = selector & 3;
    if (!code.code() || rpl < cpu.cpl)
        return cpu.gp(selector_error(selector));
    if (code.conforming() ? code.dpl() > rpl : code.dpl() != rpl)
        return cpu.gp(selector_error(selector));
    if (cpu.long_mode() && code.long_code() && code.big())
        return cpu.gp(selector_error(selector));
    if (!code.present())
        return cpu.raise(Vector::np, selector_error(selector));
    return code;
}

Faultable<> check_return_rip(Cpu& cpu, const Descriptor& code, u64& rip) {
    if (cpu.long_mode() && code.long_code()) {
        if (!canonical_address(cpu, rip))
            return cpu.gp();
        return {};
    }
    rip &= 0xffff'ffff;
    if (rip > code.limit())
        return cpu.gp();
    return {};
}

/// SS of an outer level, or in 64-bit code possibly null.
Faultable<Segment> outer_stack(Cpu& cpu, u16 selector, u8 cpl, bool to_64) {
    if (null_selector(selector)) {
        if (!to_64 || cpl == 3 || (selector & 3) != cpl)
            return cpu.gp();
        return null_segment(selector, cpl);
    }
    return stack_segment(cpu, selector, cpl, Vector::gp);
}

void set_outer_sp(Cpu& cpu, const Segment& stack, bool to_64, u64 sp, unsigned size) {
    // A 16-bit stack segment takes SP only; outside 64-bit code the upper half is lost.
    if (to_64)
        cpu.gpr[rsp] = size == 2 ? sp & 0xffff : size == 4 ? sp & 0xffff'ffff : sp;
    else if (rights::db(stack.rights))
        cpu.gpr[rsp] = sp & 0xffff'ffff;
    else
        cpu.gpr[rsp] = (cpu.gpr[rsp] & ~0xffffull) | (sp & 0xffff);
}

Faultable<> return_real(Cpu& cpu, unsigned size, u64 extra) {
    const u64 rip = TRY(cpu.peek(size));
    const u16 selector = static_cast<u16>(TRY(cpu.peek(size, size)));
    if (rip > (cpu.v86() ? 0xffff : cpu.segments[cs].limit))
        return cpu.gp();
    cpu.add_rsp(2 * size + extra);
    cpu.segments[cs] = real_segment(cpu, cs, selector);
    cpu.rip = rip;
    cpu.mode_changed();
    return {};
}

Faultable<> return_far(Cpu& cpu, unsigned size, u64 extra) {
    if (!cpu.protected_mode() || cpu.v86())
        return return_real(cpu, size, extra);
    u64 rip = TRY(cpu.peek(size));
    const u16 selector = static_cast<u16>(TRY(cpu.peek(size, size)));
    Descriptor code = TRY(return_segment(cpu, selector));
    TRY(check_return_rip(cpu, code, rip));
    const u8 rpl = selector & 3;
    if (rpl == cpu.cpl) {
        TRY(mark_accessed(cpu, code));
        cpu.add_rsp(2 * size + extra);
        set_code_segment(cpu, code.cache(selector), rpl);
        cpu.rip = rip;
        return {};
    }
    const u64 sp = TRY(cpu.peek(size, 2 * size + extra));
    const u16 stack_selector = static_cast<u16>(TRY(cpu.peek(size, 3 * size + extra)));
    const bool to_64 = cpu.long_mode() && code.long_code();
    const Segment stack = TRY(outer_stack(cpu, stack_selector, rpl, to_64));
    TRY(mark_accessed(cpu, code));
    cpu.segments[ss] = stack;
    set_code_segment(cpu, code.cache(selector), rpl);
    set_outer_sp(cpu, stack, to_64, sp, size);
    cpu.add_rsp(extra);
    drop_inner_segments(cpu);
    cpu.rip = rip;
    return {};
}

// ---- IRET -----------------------------------------------------------------------------------------------------------

/// Loads the flags that a return at `cpl` may change; 16-bit returns leave the upper half.
void load_flags(Cpu& cpu, u64 value, unsigned size, u8 cpl) {
    using namespace rflags;
    u64 mask = status | tf | df | nt;
    if (size > 2)
        mask |= rf | ac | id;
    if (cpl <= cpu.iopl())
        mask |= if_;
    if (cpl == 0) {
        mask |= iopl;
        if (size > 2)
            mask |= vif | vip;
    }
    const bool had_ac = cpu.flags & ac;
    cpu.set_rflags((cpu.rflags() & ~mask) | (value & mask));
    if (cpu.flags & rf)
        cpu.rf_loaded();
    if (had_ac != ((cpu.flags & ac) != 0))
        cpu.privilege_changed();
    cpu.events_changed();
}

Faultable<> iret_real(Cpu& cpu, unsigned size) {
    const u64 rip = TRY(cpu.peek(size));
    const u16 selector = static_cast<u16>(TRY(cpu.peek(size, size)));
    const u64 flags = TRY(cpu.peek(size, 2 * size));
    if (rip > cpu.segments[cs].limit)
        return cpu.gp();
    cpu.add_rsp(3 * size);
    cpu.segments[cs] = real_segment(cpu, cs, selector);
    cpu.rip = rip;
    // Virtual-8086 mode keeps IOPL, which is 3 here.
    using namespace rflags;
    u64 mask = status | tf | if_ | df | nt | (cpu.v86() ? 0 : iopl);
    if (size == 4)
        mask |= rf | ac | id;
    cpu.set_rflags((cpu.rflags() & ~mask) | (flags & mask));
    if (cpu.flags & rf)
        cpu.rf_loaded();
    cpu.mode_changed();
    return {};
}

/// From protected mode at CPL 0 to a virtual-8086 task.
Faultable<> iret_to_v86(Cpu& cpu, u64 rip, u16 code, u64 flags) {
    const u32 sp = static_cast<u32>(TRY(cpu.peek(4, 12)));
    u16 selectors[5]; // SS, ES, DS, FS, GS
    for (unsigned i = 0; i < 5; ++i)
        selectors[i] = static_cast<u16>(TRY(cpu.peek(4, 16 + 4 * i)));
    if ((rip & 0xffff'ffff) > 0xffff)
        return cpu.gp();
    cpu.set_rflags(flags & low_mask(22));
    if (cpu.flags & rflags::rf)
        cpu.rf_loaded();
    cpu.cpl = 3;
    cpu.segments[cs] = real_segment(cpu, cs, code);
    static constexpr SegmentName names[] = {ss, es, ds, fs, gs};
    for (unsigned i = 0; i < 5; ++i)
        cpu.segments[names[i]] = real_segment(cpu, names[i], selectors[i]);
    cpu.gpr[rsp] = sp;
    cpu.rip = rip & 0xffff;
    cpu.mode_changed();
    return {};
}

Faultable<> iret_protected(Cpu& cpu, unsigned size) {
    u64 rip = TRY(cpu.peek(size));
    const u16 selector = static_cast<u16>(TRY(cpu.peek(size, size)));
    const u64 flags = TRY(cpu.peek(size, 2 * size));
    if (size == 4 && (flags & rflags::vm) && cpu.cpl == 0 && !cpu.long_mode())
        return iret_to_v86(cpu, rip, selector, flags);
    Descriptor code = TRY(return_segment(cpu, selector));
    TRY(check_return_rip(cpu, code, rip));
    const u8 rpl = selector & 3, old_cpl = cpu.cpl;
    const bool from_64 = cpu.mode64(), to_64 = cpu.long_mode() && code.long_code();
    if (rpl == old_cpl && !from_64) {
        TRY(mark_accessed(cpu, code));
        cpu.add_rsp(3 * size);
        set_code_segment(cpu, code.cache(selector), rpl);
    } else {
        // 64-bit mode pops SS:RSP whatever the privilege is.
        const u64 sp = TRY(cpu.peek(size, 3 * size));
        const u16 stack_selector = static_cast<u16>(TRY(cpu.peek(size, 4 * size)));
        const Segment stack = TRY(outer_stack(cpu, stack_selector, rpl, to_64));
        TRY(mark_accessed(cpu, code));
        cpu.segments[ss] = stack;
        set_code_segment(cpu, code.cache(selector), rpl);
        set_outer_sp(cpu, stack, to_64, sp, size);
        if (rpl > old_cpl)
            drop_inner_segments(cpu);
    }
    cpu.rip = rip;
    load_flags(cpu, flags, size, old_cpl);
    return {};
}

/// NT = 1: back to the task that the TSS links to.
Faultable<> return_to_task(Cpu& cpu, u64 next_rip) {
    const u16 link = TRY(cpu.load_system<u16>(Linear{cpu.segments[tr].base}));
    if (null_selector(link) || (link & 4))
        return cpu.raise(Vector::ts, selector_error(link));
    return task_switch(cpu, link, TaskSwitch::iret, next_rip);
}

} // namespace

namespace far {

Outcome ret(Cpu& cpu, const Instruction& insn) {
    TRY(return_far(cpu, insn.operand_size, insn.immediate & 0xffff));
    return Outcome::branch;
}

Outcome iret(Cpu& cpu, const Instruction& insn) {
    if (cpu.v86() && cpu.iopl() < 3)
        return cpu.gp();
    // NMIs are unblocked even when the rest faults.
    cpu.nmi_unblocked = cpu.nmi_blocked && !cpu.iret_keeps_nmi_blocked;
    if (cpu.nmi_unblocked) {
        cpu.nmi_blocked = false;
        cpu.events_changed();
    }
    if (!cpu.protected_mode() || cpu.v86()) {
        TRY(iret_real(cpu, insn.operand_size));
    } else if (cpu.flags & rflags::nt) {
        if (cpu.long_mode())
            return cpu.gp();
        TRY(return_to_task(cpu, cpu.next_rip(insn)));
    } else {
        TRY(iret_protected(cpu, insn.operand_size));
    }
    cpu.nmi_unblocked = false;
    return Outcome::branch;
}

} // namespace far

} // namespace vitrine
