// SPDX-License-Identifier: Apache-2.0
// Hardware task switches between 16-bit and 32-bit tasks (SDM volume 3, Task Management).
#include "x86/far.h"
#include "x86/control.h"

namespace vitrine {

namespace {

/// Where the dynamic fields of a TSS lie.
struct Layout {
    unsigned width;  ///< of EIP, EFLAGS and the general registers
    u32 min_limit;
    u16 ip, flags, gpr, segments, ldt;
    unsigned segment_step, segment_count;
};

constexpr Layout tss16{2, 0x2b, 14, 16, 18, 34, 42, 2, 4};
constexpr Layout tss32{4, 0x67, 32, 36, 40, 72, 96, 4, 6};
constexpr u32 tss32_cr3 = 28, tss32_trap = 100;

/// Order of the general registers in a TSS, and of the segment registers.
constexpr Gpr gprs[] = {rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi};
constexpr SegmentName segment_order[] = {es, cs, ss, ds, fs, gs};

/// Everything that the new task brings.
struct NewTask {
    u64 rip = 0, flags = 0, gpr[8]{};
    u16 segments[6]{}, ldt = 0;
    u32 cr3 = 0;
    bool trap = false;
};

class Switch {
public:
    Switch(Cpu& cpu, u16 selector, TaskSwitch cause, u64 return_rip, const u32* error, u32 ext)
        : cpu_(cpu), selector_(selector), cause_(cause), return_rip_(return_rip), error_(error), ext_(ext) {}

    Faultable<> run() {
        TRY(check());
        const u64 detail = selector_ | u64{static_cast<u8>(cause_)} << 30;
        if (cpu_.intercepted(Intercept::task_switch) && cpu_.interceptor->boundary(cpu_, Intercept::task_switch, detail))
            return Fault{}; // the exit is recorded
        TRY(read_new());
        TRY(save_old());
        commit();
        const Faultable<> loaded = load();
        // From here on a fault belongs to the new task. An instruction's fault is delivered now, since its own address
        // no longer matters; while an event is being delivered, delivery sees to it.
        if (!loaded.ok() && cause_ != TaskSwitch::idt_gate) {
            cpu_.deliver(cpu_.pending);
            return {};
        }
        return loaded;
    }

private:
    bool nests() const { return cause_ == TaskSwitch::call || cause_ == TaskSwitch::idt_gate; }

    Faultable<> check() {
        const Vector v = cause_ == TaskSwitch::iret ? Vector::ts : Vector::gp;
        const u32 error = selector_error(selector_, ext_);
        new_ = TRY(read_descriptor(cpu_, selector_, v, ext_));
        const SystemType type = new_.system_type();
        const bool busy = type == SystemType::tss_busy || type == SystemType::tss16_busy;
        const bool available = type == SystemType::tss || type == SystemType::tss16;
        if (new_.segment() || !(cause_ == TaskSwitch::iret ? busy : available))
            return cpu_.raise(v, error);
        if (!new_.present())
            return cpu_.raise(Vector::np, error);
        layout_ = new_.type() & 8 ? &tss32 : &tss16;
        if (new_.limit() < layout_->min_limit)
            return cpu_.raise(Vector::ts, error);
        return {};
    }

    Faultable<u64> read(u64 base, u32 offset, unsigned width) {
        if (width == 2)
            return u64{TRY(cpu_.load_system<u16>(Linear{base + offset}))};
        return u64{TRY(cpu_.load_system<u32>(Linear{base + offset}))};
    }

    Faultable<> write(u64 base, u32 offset, unsigned width, u64 value) {
        if (width == 2)
            return cpu_.store_system<u16>(Linear{base + offset}, static_cast<u16>(value));
        return cpu_.store_system<u32>(Linear{base + offset}, static_cast<u32>(value));
    }

    Faultable<> read_new() {
        const u64 base = new_.base32();
        const Layout& l = *layout_;
        task_.rip = TRY(read(base, l.ip, l.width));
        task_.flags = TRY(read(base, l.flags, l.width));
        for (unsigned i = 0; i < 8; ++i)
            task_.gpr[i] = TRY(read(base, l.gpr + i * l.width, l.width));
        for (unsigned i = 0; i < l.segment_count; ++i)
            task_.segments[i] = static_cast<u16>(TRY(read(base, l.segments + i * l.segment_step, 2)));
        task_.ldt = static_cast<u16>(TRY(read(base, l.ldt, 2)));
        if (&l == &tss32) {
            task_.cr3 = static_cast<u32>(TRY(read(base, tss32_cr3, 4)));
            task_.trap = TRY(read(base, tss32_trap, 2)) & 1;
        }
        return {};
    }

    Faultable<> save_old() {
        const Segment& old = cpu_.segments[tr];
        const Layout& l = old.type() & 8 ? tss32 : tss16;
        u64 flags = cpu_.rflags();
        if (cause_ == TaskSwitch::iret)
            flags &= ~rflags::nt;
        TRY(write(old.base, l.ip, l.width, return_rip_));
        TRY(write(old.base, l.flags, l.width, flags));
        for (unsigned i = 0; i < 8; ++i)
            TRY(write(old.base, l.gpr + i * l.width, l.width, cpu_.gpr[gprs[i]]));
        for (unsigned i = 0; i < l.segment_count; ++i)
            TRY(write(old.base, l.segments + i * l.segment_step, 2, cpu_.segments[segment_order[i]].selector));
        if (nests())
            TRY(write(new_.base32(), 0, 2, old.selector));
        else
            TRY(mark_busy(cpu_, old.selector, false));
        if (cause_ != TaskSwitch::iret)
            TRY(mark_busy(cpu_, selector_, true));
        return {};
    }

    /// The new task becomes the present one, with segment registers that hold selectors and nothing else yet.
    void commit() {
        cpu_.segments[tr] = new_.cache(selector_);
        cpu_.segments[tr].rights |= 2;
        cpu_.cr0 |= cr0::ts;
        constexpr u64 local_enables = 0x155;
        cpu_.dr7 &= ~local_enables;
        if (layout_ == &tss32 && (cpu_.cr0 & cr0::pg))
            cpu_.cr3 = task_.cr3;
        for (unsigned i = 0; i < 8; ++i)
            cpu_.gpr[gprs[i]] = layout_ == &tss32 ? task_.gpr[i] : (cpu_.gpr[gprs[i]] & 0xffff'0000) | task_.gpr[i];
        cpu_.rip = task_.rip;
        u64 flags = layout_ == &tss32 ? task_.flags & low_mask(22) : task_.flags;
        if (nests())
            flags |= rflags::nt;
        cpu_.set_rflags(flags);
        if (flags & rflags::rf)
            cpu_.rf_loaded();
        const bool v86 = flags & rflags::vm;
        cpu_.cpl = v86 ? 3 : task_.segments[1] & 3;
        cpu_.segments[ldtr] = null_segment(task_.ldt);
        for (unsigned i = 0; i < 6; ++i)
            cpu_.segments[segment_order[i]] =
                v86 ? real_segment(cpu_, segment_order[i], task_.segments[i]) : null_segment(task_.segments[i], cpu_.cpl);
        if (task_.trap)
            cpu_.pending_debug |= dr6::bt;
        cpu_.mode_changed();
    }

    Faultable<> load() {
        if (layout_ == &tss32 && (cpu_.cr0 & cr0::pg)) {
            if (pae_paging(cpu_))
                TRY(load_pdptes(cpu_, cpu_.cr3));
            cpu_.paging_changed();
            cpu_.flush_tlb(true);
        }
        TRY(load_ldtr(cpu_, task_.ldt, Vector::ts));
        if (!cpu_.v86()) {
            TRY(load_code());
            cpu_.segments[ss] = TRY(stack_segment(cpu_, task_.segments[2], cpu_.cpl, Vector::ts, ext_));
            cpu_.mode_changed();
            for (const unsigned i : {0u, 3u, 4u, 5u})
                TRY(load_data(segment_order[i], task_.segments[i]));
        }
        if (cpu_.rip > cpu_.segments[cs].limit)
            return cpu_.raise(Vector::gp, ext_);
        if (error_)
            TRY(cpu_.push(layout_->width, *error_));
        return {};
    }

    Faultable<> load_code() {
        const u16 selector = task_.segments[1];
        const u32 error = selector_error(selector, ext_);
        if (null_selector(selector))
            return cpu_.raise(Vector::ts, error);
        Descriptor d = TRY(read_descriptor(cpu_, selector, Vector::ts, ext_));
        const u8 rpl = selector & 3;
        if (!d.code() || (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl))
            return cpu_.raise(Vector::ts, error);
        if (!d.present())
            return cpu_.raise(Vector::np, error);
        TRY(mark_accessed(cpu_, d));
        set_code_segment(cpu_, d.cache(selector), rpl);
        return {};
    }

    Faultable<> load_data(SegmentName name, u16 selector) {
        if (null_selector(selector))
            return {};
        const u32 error = selector_error(selector, ext_);
        Descriptor d = TRY(read_descriptor(cpu_, selector, Vector::ts, ext_));
        const bool outer = d.dpl() < (selector & 3) || d.dpl() < cpu_.cpl;
        if (!d.segment() || !d.readable() || (!d.conforming() && outer))
            return cpu_.raise(Vector::ts, error);
        if (!d.present())
            return cpu_.raise(Vector::np, error);
        TRY(mark_accessed(cpu_, d));
        cpu_.segments[name] = d.cache(selector);
        cpu_.segment_changed(name);
        return {};
    }

    Cpu& cpu_;
    u16 selector_;
    TaskSwitch cause_;
    u64 return_rip_;
    const u32* error_;
    u32 ext_;
    Descriptor new_;
    const Layout* layout_ = nullptr;
    NewTask task_;
};

} // namespace

Faultable<> task_switch(Cpu& cpu, u16 selector, TaskSwitch cause, u64 return_rip, const u32* error, u32 ext) {
    return Switch(cpu, selector, cause, return_rip, error, ext).run();
}

} // namespace vitrine
