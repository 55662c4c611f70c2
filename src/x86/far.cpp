// SPDX-License-Identifier: Apache-2.0
// Far jumps, calls and returns in every mode, through call gates too (SDM volume 2, JMP, CALL, RET: Operation).
#include "x86/far.h"

namespace vitrine {

Fault Transition::undo() {
    cpu_.segments[cs] = cs_;
    cpu_.segments[ss] = ss_;
    cpu_.gpr[rsp] = rsp_;
    cpu_.flags = flags_;
    cpu_.status = status_;
    cpu_.cpl = cpl_;
    cpu_.mode_changed();
    return {};
}

Faultable<InnerStack> inner_stack(Cpu& cpu, u8 cpl, u32 ext) {
    const Segment& task = cpu.segments[tr];
    const bool wide = task.type() & 8;
    const u32 at = wide ? 4 + 8u * cpl : 2 + 4u * cpl;
    if (at + (wide ? 5 : 3) > task.limit)
        return cpu.raise(Vector::ts, selector_error(task.selector, ext));
    if (wide) {
        const u32 sp = TRY(cpu.load_system<u32>(Linear{task.base + at}));
        return InnerStack{TRY(cpu.load_system<u16>(Linear{task.base + at + 4})), sp};
    }
    const u32 sp = TRY(cpu.load_system<u16>(Linear{task.base + at}));
    return InnerStack{TRY(cpu.load_system<u16>(Linear{task.base + at + 2})), sp};
}

Faultable<u64> inner_stack64(Cpu& cpu, u8 cpl, u8 ist, u32 ext) {
    const Segment& task = cpu.segments[tr];
    const u32 at = ist ? 28 + 8u * ist : 4 + 8u * cpl;
    if (at + 7 > task.limit)
        return cpu.raise(Vector::ts, selector_error(task.selector, ext));
    return cpu.load_system<u64>(Linear{task.base + at});
}

Faultable<u16> task_gate_target(Cpu& cpu, const Descriptor& gate, u16 gate_selector, u32 ext) {
    if (!gate.present())
        return cpu.raise(Vector::np, selector_error(gate_selector, ext));
    const u16 tss = gate.gate_selector();
    if (null_selector(tss) || (tss & 4))
        return cpu.gp(selector_error(tss, ext));
    return tss;
}

namespace {

enum class Kind : u8 { jump, call };

/// A far JMP or CALL under way.
class Transfer {
public:
    Transfer(Cpu& cpu, const Instruction& insn, Kind kind, u16 selector, u64 offset)
        : cpu_(cpu), kind_(kind), size_(insn.operand_size), selector_(selector), offset_(size_ == 2 ? offset & 0xffff : offset),
          return_rip_(cpu.next_rip(insn)) {}

    Faultable<> run() {
        if (!cpu_.protected_mode() || cpu_.v86())
            return real();
        if (null_selector(selector_))
            return cpu_.gp();
        const Descriptor d = TRY(read_descriptor(cpu_, selector_));
        if (d.code())
            return direct(d);
        if (d.segment())
            return cpu_.gp(selector_error(selector_));
        return system(d);
    }

private:
    Faultable<> real() {
        if (offset_ > (cpu_.v86() ? 0xffff : cpu_.segments[cs].limit))
            return cpu_.gp();
        if (kind_ == Kind::call) {
            Transition old(cpu_);
            for (const u64 value : {u64{cpu_.segments[cs].selector}, return_rip_})
                if (!cpu_.push(size_, value))
                    return old.undo();
        }
        cpu_.segments[cs] = real_segment(cpu_, cs, selector_);
        cpu_.rip = offset_;
        cpu_.mode_changed();
        return {};
    }

    /// L and D together are reserved in IA-32e mode.
    Faultable<> check_target(const Descriptor& code, u64 offset, u16 selector) {
        if (cpu_.long_mode() && code.long_code()) {
            if (code.big())
                return cpu_.gp(selector_error(selector));
            if (!canonical_address(cpu_, offset))
                return cpu_.gp();
        } else if (offset > code.limit()) {
            return cpu_.gp();
        }
        return {};
    }

    /// To a code segment at the same privilege.
    Faultable<> direct(Descriptor code) {
        const u8 rpl = selector_ & 3;
        if (code.conforming() ? code.dpl() > cpu_.cpl : rpl > cpu_.cpl || code.dpl() != cpu_.cpl)
            return cpu_.gp(selector_error(selector_));
        if (cpu_.long_mode() && code.long_code() && code.big())
            return cpu_.gp(selector_error(selector_));
        if (!code.present())
            return cpu_.raise(Vector::np, selector_error(selector_));
        return enter(code, selector_, offset_, size_);
    }

    /// The privilege stays; a call pushes where it came from with `size` bytes each.
    Faultable<> enter(Descriptor code, u16 selector, u64 offset, unsigned size) {
        // To 32-bit code, and from it, only 32 bits of the offset count.
        if (!(cpu_.long_mode() && code.long_code()))
            offset &= 0xffff'ffff;
        TRY(check_target(code, offset, selector));
        TRY(mark_accessed(cpu_, code));
        if (kind_ == Kind::call) {
            Transition old(cpu_);
            for (const u64 value : {u64{cpu_.segments[cs].selector}, return_rip_})
                if (!cpu_.push(size, value))
                    return old.undo();
        }
        set_code_segment(cpu_, code.cache(selector), cpu_.cpl);
        cpu_.rip = offset;
        return {};
    }

    Faultable<> system(Descriptor d) {
        const SystemType type = d.system_type();
        const bool gate64 = cpu_.long_mode() && type == SystemType::call_gate;
        if (cpu_.long_mode() && !gate64)
            return cpu_.gp(selector_error(selector_));
        switch (type) {
        case SystemType::call_gate16:
        case SystemType::call_gate:
        case SystemType::task_gate:
        case SystemType::tss16:
        case SystemType::tss: break;
        default: return cpu_.gp(selector_error(selector_));
        }
        if (d.dpl() < cpu_.cpl || d.dpl() < (selector_ & 3))
            return cpu_.gp(selector_error(selector_));
        if (gate64)
            TRY(read_upper_half(cpu_, selector_, d));
        if (!d.present())
            return cpu_.raise(Vector::np, selector_error(selector_));
        if (type == SystemType::task_gate || type == SystemType::tss || type == SystemType::tss16) {
            const u16 tss = type == SystemType::task_gate ? TRY(task_gate_target(cpu_, d, selector_)) : selector_;
            return task_switch(cpu_, tss, kind_ == Kind::jump ? TaskSwitch::jmp : TaskSwitch::call, return_rip_);
        }
        return through_gate(d, type == SystemType::call_gate ? (gate64 ? 8 : 4) : 2);
    }

    Faultable<> through_gate(const Descriptor& gate, unsigned size) {
        const u16 selector = gate.gate_selector();
        if (null_selector(selector))
            return cpu_.gp();
        Descriptor code = TRY(read_descriptor(cpu_, selector));
        if (!code.code() || code.dpl() > cpu_.cpl)
            return cpu_.gp(selector_error(selector));
        if (size == 8 && (!code.long_code() || code.big()))
            return cpu_.gp(selector_error(selector));
        if (kind_ == Kind::jump && !code.conforming() && code.dpl() != cpu_.cpl)
            return cpu_.gp(selector_error(selector));
        if (!code.present())
            return cpu_.raise(Vector::np, selector_error(selector));
        const u64 offset = size == 8 ? gate.gate_offset64() : size == 4 ? gate.gate_offset32() : gate.gate_offset32() & 0xffff;
        if (kind_ == Kind::call && !code.conforming() && code.dpl() < cpu_.cpl)
            return inward(gate, code, selector, offset, size);
        return enter(code, selector, offset, size);
    }

    /// A call to an inner privilege level: a new stack, and the parameters copied to it.
    Faultable<> inward(const Descriptor& gate, Descriptor code, u16 selector, u64 offset, unsigned size) {
        const u8 cpl = code.dpl();
        Segment new_ss;
        u64 new_sp;
        if (size == 8) {
            new_sp = TRY(inner_stack64(cpu_, cpl, 0));
            if (!canonical_address(cpu_, new_sp))
                return cpu_.raise(Vector::ss, 0);
            new_ss = null_segment(cpl, cpl);
        } else {
            const InnerStack inner = TRY(inner_stack(cpu_, cpl));
            new_ss = TRY(stack_segment(cpu_, inner.selector, cpl, Vector::ts));
            new_sp = rights::db(new_ss.rights) ? inner.sp : (cpu_.gpr[rsp] & ~0xffffull) | (inner.sp & 0xffff);
        }
        TRY(check_target(code, offset, selector));
        TRY(mark_accessed(cpu_, code));

        const unsigned count = size == 8 ? 0 : gate.gate_count();
        u64 parameters[32];
        for (unsigned i = 0; i < count; ++i)
            parameters[i] = TRY(cpu_.peek(size, i * size));

        Transition old(cpu_);
        cpu_.segments[ss] = new_ss;
        cpu_.gpr[rsp] = new_sp;
        set_code_segment(cpu_, code.cache(selector), cpl);
        const auto push = [&](u64 value) -> Faultable<> {
            if (cpu_.push(size, value))
                return {};
            if (cpu_.pending.vector == Vector::ss)
                cpu_.pending.error = selector_error(new_ss.selector);
            return old.undo();
        };
        TRY(push(old.old_ss().selector));
        TRY(push(old.old_rsp()));
        for (unsigned i = count; i-- > 0;)
            TRY(push(parameters[i]));
        TRY(push(old.old_cs().selector));
        TRY(push(return_rip_));
        cpu_.rip = offset;
        return {};
    }

    Cpu& cpu_;
    Kind kind_;
    unsigned size_;
    u16 selector_;
    u64 offset_, return_rip_;
};

Outcome transfer(Cpu& cpu, const Instruction& insn, Kind kind, u16 selector, u64 offset) {
    TRY(Transfer(cpu, insn, kind, selector, offset).run());
    return Outcome::branch;
}

Outcome transfer_memory(Cpu& cpu, const Instruction& insn, Kind kind) {
    const unsigned size = insn.operand_size;
    const Linear at = TRY(cpu.address(insn, size + 2, Use::read));
    u8 bytes[10]{};
    TRY(cpu.load_bytes(at, bytes, size + 2));
    u64 offset = 0;
    u16 selector;
    std::memcpy(&offset, bytes, size);
    std::memcpy(&selector, bytes + size, 2);
    return transfer(cpu, insn, kind, selector, offset);
}

/// The far pointer of a direct transfer: the binder keeps the selector in `third`.
Outcome transfer_pointer(Cpu& cpu, const Instruction& insn, Kind kind) {
    return transfer(cpu, insn, kind, insn.third, insn.immediate);
}

} // namespace

namespace far {

Outcome jump_pointer(Cpu& cpu, const Instruction& insn) { return transfer_pointer(cpu, insn, Kind::jump); }

Outcome jump_memory(Cpu& cpu, const Instruction& insn) { return transfer_memory(cpu, insn, Kind::jump); }

Outcome call_pointer(Cpu& cpu, const Instruction& insn) { return transfer_pointer(cpu, insn, Kind::call); }

Outcome call_memory(Cpu& cpu, const Instruction& insn) { return transfer_memory(cpu, insn, Kind::call); }

} // namespace far

} // namespace vitrine
