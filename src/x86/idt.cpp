// SPDX-License-Identifier: Apache-2.0
// One event through the IVT of real mode or the IDT of protected and IA-32e mode (SDM volume 2, INT n: Operation).
#include "x86/far.h"

namespace vitrine {

namespace {

class Delivery {
public:
    Delivery(Cpu& cpu, const Event& event) : cpu_(cpu), event_(event), vector_(static_cast<u8>(event.vector)) {
        software_ = event.kind == EventKind::software_interrupt || event.kind == EventKind::software_exception;
        ext_ = software_ ? 0 : 1;
        const bool behind = software_ || event.kind == EventKind::privileged_software_exception;
        return_rip_ = behind ? cpu.mask_rip(cpu.rip + event.instruction_length) : cpu.rip;
        saved_flags_ = cpu.rflags();
        // Faults set RF in the image, so that a code breakpoint on the instruction does not come again; #DB for such a
        // breakpoint, and traps, leave it as it is.
        if (event.kind == EventKind::hardware_exception && !event.injected && (event.vector != Vector::db || (event.dr6 & dr6::bd)))
            saved_flags_ |= rflags::rf;
    }

    Faultable<> run() {
        if (!cpu_.protected_mode())
            return real();
        return cpu_.long_mode() ? ia32e() : legacy();
    }

private:
    u32 vector_error() const { return vector_ * 8u + 2u + ext_; }

    // ---- real mode --------------------------------------------------------------------------------------------------
    Faultable<> real() {
        if (vector_ * 4u + 3u > cpu_.idtr.limit)
            return cpu_.raise(Vector::gp, vector_error());
        const u32 entry = TRY(cpu_.load_system<u32>(Linear{cpu_.idtr.base + vector_ * 4u}));
        Transition old(cpu_);
        for (const u64 value : {saved_flags_, u64{cpu_.segments[cs].selector}, return_rip_})
            if (!cpu_.push(2, value))
                return old.undo();
        cpu_.segments[cs] = real_segment(cpu_, cs, static_cast<u16>(entry >> 16));
        cpu_.rip = entry & 0xffff;
        cpu_.flags &= ~(rflags::if_ | rflags::tf | rflags::ac | rflags::rf);
        cpu_.mode_changed();
        return {};
    }

    // ---- IA-32e mode ------------------------------------------------------------------------------------------------
    Faultable<> ia32e() {
        const u64 offset = vector_ * 16u;
        if (offset + 15 > cpu_.idtr.limit)
            return cpu_.raise(Vector::gp, vector_error());
        Descriptor gate;
        gate.low = TRY(cpu_.load_system<u64>(Linear{cpu_.idtr.base + offset}));
        gate.high = TRY(cpu_.load_system<u64>(Linear{cpu_.idtr.base + offset + 8}));
        const SystemType type = gate.system_type();
        if (gate.segment() || (type != SystemType::interrupt_gate && type != SystemType::trap_gate) || bits(gate.high, 44, 40) != 0)
            return cpu_.raise(Vector::gp, vector_error());
        if (software_ && gate.dpl() < cpu_.cpl)
            return cpu_.raise(Vector::gp, vector_error());
        if (!gate.present())
            return cpu_.raise(Vector::np, vector_error());

        const u16 selector = gate.gate_selector();
        Descriptor code = TRY(handler_segment(selector));
        if (!code.long_code() || code.big())
            return cpu_.raise(Vector::gp, selector_error(selector, ext_));
        if (!code.present())
            return cpu_.raise(Vector::np, selector_error(selector, ext_));
        const u8 new_cpl = code.conforming() ? cpu_.cpl : code.dpl();
        const bool inward = new_cpl < cpu_.cpl;
        u64 stack = cpu_.gpr[rsp];
        if (inward || gate.gate_ist() != 0) {
            stack = TRY(inner_stack64(cpu_, new_cpl, gate.gate_ist(), ext_));
            if (!canonical_address(cpu_, stack))
                return cpu_.raise(Vector::ss, ext_);
        }
        if (!canonical_address(cpu_, gate.gate_offset64()))
            return cpu_.raise(Vector::gp, ext_);
        TRY(mark_accessed(cpu_, code));

        Transition old(cpu_);
        set_code_segment(cpu_, code.cache(selector), new_cpl);
        if (inward)
            cpu_.segments[ss] = null_segment(new_cpl, new_cpl);
        cpu_.gpr[rsp] = stack & ~15ull;
        const u64 frame[] = {old.old_ss().selector, old.old_rsp(), saved_flags_, old.old_cs().selector, return_rip_};
        for (const u64 value : frame)
            TRY(push(old, 8, value));
        if (event_.has_error)
            TRY(push(old, 8, event_.error));
        enter(type == SystemType::interrupt_gate, gate.gate_offset64());
        return {};
    }

    // ---- protected mode ---------------------------------------------------------------------------------------------
    Faultable<> legacy() {
        const u64 offset = vector_ * 8u;
        if (offset + 7 > cpu_.idtr.limit)
            return cpu_.raise(Vector::gp, vector_error());
        Descriptor gate;
        gate.low = TRY(cpu_.load_system<u64>(Linear{cpu_.idtr.base + offset}));
        const SystemType type = gate.system_type();
        const bool wide = type == SystemType::interrupt_gate || type == SystemType::trap_gate;
        const bool interrupt = type == SystemType::interrupt_gate || type == SystemType::interrupt_gate16;
        const bool task = type == SystemType::task_gate;
        if (gate.segment() || !(wide || interrupt || task || type == SystemType::trap_gate16))
            return cpu_.raise(Vector::gp, vector_error());
        if (software_ && gate.dpl() < cpu_.cpl)
            return cpu_.raise(Vector::gp, vector_error());
        if (!gate.present())
            return cpu_.raise(Vector::np, vector_error());
        if (task) {
            const u16 tss = TRY(task_gate_target(cpu_, gate, 0, ext_));
            cpu_.set_rflags(saved_flags_); // what the old TSS gets
            return task_switch(cpu_, tss, TaskSwitch::idt_gate, return_rip_, event_.has_error ? &event_.error : nullptr, ext_);
        }

        const u16 selector = gate.gate_selector();
        Descriptor code = TRY(handler_segment(selector));
        if (!code.present())
            return cpu_.raise(Vector::np, selector_error(selector, ext_));
        const u8 new_cpl = code.conforming() ? cpu_.cpl : code.dpl();
        const bool from_v86 = cpu_.v86();
        if (from_v86 && new_cpl != 0)
            return cpu_.raise(Vector::gp, selector_error(selector, ext_));
        const u32 target = wide ? gate.gate_offset32() : gate.gate_offset32() & 0xffff;
        const unsigned size = wide ? 4 : 2;
        Segment new_ss = cpu_.segments[ss];
        u64 new_sp = cpu_.gpr[rsp];
        const bool inward = new_cpl < cpu_.cpl;
        if (inward) {
            const InnerStack inner = TRY(inner_stack(cpu_, new_cpl, ext_));
            new_ss = TRY(stack_segment(cpu_, inner.selector, new_cpl, Vector::ts, ext_));
            new_sp = rights::db(new_ss.rights) ? inner.sp : (new_sp & ~0xffffull) | (inner.sp & 0xffff);
        }
        if (target > code.limit())
            return cpu_.raise(Vector::gp, ext_);
        TRY(mark_accessed(cpu_, code));

        Transition old(cpu_);
        const u16 data[] = {cpu_.segments[gs].selector, cpu_.segments[fs].selector, cpu_.segments[ds].selector,
                            cpu_.segments[es].selector};
        cpu_.flags &= ~rflags::vm;
        cpu_.segments[ss] = new_ss;
        cpu_.gpr[rsp] = new_sp;
        set_code_segment(cpu_, code.cache(selector), new_cpl);
        if (from_v86)
            for (const u64 value : data)
                TRY(push(old, size, value));
        if (inward) {
            TRY(push(old, size, old.old_ss().selector));
            TRY(push(old, size, old.old_rsp()));
        }
        TRY(push(old, size, saved_flags_));
        TRY(push(old, size, old.old_cs().selector));
        TRY(push(old, size, return_rip_));
        if (event_.has_error)
            TRY(push(old, size, event_.error));
        if (from_v86)
            for (const SegmentName name : {gs, fs, ds, es}) {
                cpu_.segments[name] = null_segment(0);
                cpu_.segment_changed(name);
            }
        enter(interrupt, target);
        return {};
    }

    // ---- both -------------------------------------------------------------------------------------------------------
    /// The descriptor of a gate's code segment, which must be at the present privilege or an inner one.
    Faultable<Descriptor> handler_segment(u16 selector) {
        if (null_selector(selector))
            return cpu_.raise(Vector::gp, ext_);
        const Descriptor code = TRY(read_descriptor(cpu_, selector, Vector::gp, ext_));
        if (!code.code() || code.dpl() > cpu_.cpl)
            return cpu_.raise(Vector::gp, selector_error(selector, ext_));
        return code;
    }

    Faultable<> push(Transition& old, unsigned size, u64 value) {
        if (cpu_.push(size, value))
            return {};
        // A stack fault on a stack that the program did not choose names that stack.
        if (cpu_.pending.vector == Vector::ss) {
            const bool switched = cpu_.segments[ss].selector != old.old_ss().selector && !cpu_.long_mode();
            cpu_.pending.error = switched ? selector_error(cpu_.segments[ss].selector, ext_) : ext_;
        }
        return old.undo();
    }

    void enter(bool interrupt_gate, u64 target) {
        cpu_.rip = target;
        cpu_.flags &= ~(rflags::tf | rflags::nt | rflags::rf | rflags::vm | (interrupt_gate ? rflags::if_ : 0));
    }

    Cpu& cpu_;
    const Event& event_;
    u8 vector_;
    bool software_;
    u32 ext_;
    u64 return_rip_, saved_flags_;
};

} // namespace

Faultable<> Cpu::deliver_once(const Event& event) { return Delivery(*this, event).run(); }

} // namespace vitrine
