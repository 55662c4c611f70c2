// SPDX-License-Identifier: Apache-2.0
// For tests: a bare machine with descriptor tables: a selector for each kind of segment, a handler's address for each vector, a TSS.
#pragma once

#include "x86/bare_machine.h"
#include "x86/bits.h"

namespace vitrine {

class SystemMachine : public BareMachine {
public:
    static constexpr u64 gdt_at = 0x20000, idt_at = 0x21000, tss_at = 0x22000, idt32_at = 0x23000, tss32_at = 0x24000, handlers_at = 0x30000,
                         inner_stack = 0x180000, interrupt_stack = 0x190000, user_stack = 0x1f0000;
    // Selectors. SYSCALL enters with code64 and data; SYSRET returns to the three that begin at user_code32.
    static constexpr u16 code64 = 0x08, data = 0x10, user_code32 = 0x1b, user_data = 0x23, user_code64 = 0x2b, code32 = 0x30, code16 = 0x38,
                         data16 = 0x40, tss64 = 0x48, tss32 = 0x58, first_free = 0x60, gdt_limit = 0x1ff;

    static constexpr u64 descriptor(u64 base, u64 limit20, u64 rights) {
        return (limit20 & 0xffff) | (base & 0xff'ffff) << 16 | (rights & 0xf0ff) << 40 | (limit20 >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
    }

    explicit SystemMachine(std::string_view model_name = "max") : BareMachine(model_name) {
        set(code64, descriptor(0, 0xfffff, 0xa09b));
        set(data, descriptor(0, 0xfffff, 0xc093));
        set(user_code32, descriptor(0, 0xfffff, 0xc0fb));
        set(user_data, descriptor(0, 0xfffff, 0xc0f3));
        set(user_code64, descriptor(0, 0xfffff, 0xa0fb));
        set(code32, descriptor(0, 0xfffff, 0xc09b));
        set(code16, descriptor(0, 0xffff, 0x009b));
        set(data16, descriptor(0, 0xffff, 0x0093));
        set(tss64, descriptor(tss_at, 0x67, 0x008b));
        set(tss64 + 8, 0);
        set(tss32, descriptor(tss32_at, 0x67, 0x008b));
        for (unsigned v = 0; v < 64; ++v) {
            gate(v, code64, 0x8e);
            gate32(v, code32, 0x8e);
        }
        write<u64>(tss_at + 4, inner_stack);          // RSP0
        write<u64>(tss_at + 36 + 8, interrupt_stack); // IST2
        write<u32>(tss32_at + 4, inner_stack);
        write<u32>(tss32_at + 8, data);
        enter64(0);
    }

    void set(u16 selector, u64 value) { write<u64>(gdt_at + (selector & 0xfff8), value); }

    u64 get(u16 selector) { return read<u64>(gdt_at + (selector & 0xfff8)); }

    static constexpr u64 handler(unsigned vector) { return handlers_at + 16 * vector; }

    /// A 64-bit gate to the vector's handler.
    void gate(unsigned vector, u16 selector, u8 type, u8 ist = 0) {
        const u64 to = handler(vector);
        write<u64>(idt_at + 16 * vector, (to & 0xffff) | u64{selector} << 16 | u64{ist} << 32 | u64{type} << 40 | (to >> 16 & 0xffff) << 48);
        write<u64>(idt_at + 16 * vector + 8, 0);
    }

    void gate32(unsigned vector, u16 selector, u8 type) {
        const u64 to = handler(vector);
        write<u64>(idt32_at + 8 * vector, (to & 0xffff) | u64{selector} << 16 | u64{type} << 40 | (to >> 16 & 0xffff) << 48);
    }

    /// A call gate in two slots of the GDT (the second for 64-bit mode).
    void call_gate(u16 slot, u16 selector, u64 to, u8 type_and_dpl, u8 count = 0) {
        set(slot, (to & 0xffff) | u64{selector} << 16 | u64{count} << 32 | u64{type_and_dpl} << 40 | (to >> 16 & 0xffff) << 48);
    }

    void enter64(u8 cpl) {
        long_mode(cpl);
        tables(idt_at, tss64, tss_at);
        const u16 code = cpl == 3 ? user_code64 : code64, stack = cpl == 3 ? user_data : data;
        cpu.segments[cs].selector = code;
        for (const SegmentName s : {ss, ds, es, fs, gs})
            cpu.segments[s].selector = stack;
        cpu.gpr[rsp] = cpl == 3 ? user_stack : stack_top;
        cpu.mode_changed();
    }

    /// 32-bit protected mode without paging.
    void enter32(u8 cpl) {
        enter64(cpl);
        cpu.cr0 = cr0::pe | cr0::et | cr0::ne;
        cpu.cr4 = 0;
        cpu.efer = 0;
        tables(idt32_at, tss32, tss32_at);
        cpu.segments[cs].selector = cpl == 3 ? user_code32 : code32;
        cpu.segments[cs].rights = 0xc09b | u32{cpl} << 5;
        cpu.mode_changed();
        cpu.paging_changed();
    }

    /// Real mode; code at 1000:0000.
    void enter_real() {
        enter64(0);
        cpu.cr0 = cr0::et | cr0::ne;
        cpu.cr4 = 0;
        cpu.efer = 0;
        cpu.idtr = {.base = 0, .limit = 0x3ff};
        for (const SegmentName s : {cs, ss, ds, es, fs, gs})
            cpu.segments[s] = {.base = 0x10000, .limit = 0xffff, .rights = 0x0093, .selector = 0x1000};
        cpu.gpr[rsp] = 0x8000;
        cpu.rip = 0;
        cpu.mode_changed();
        cpu.paging_changed();
    }

    /// The vector whose handler runs next; -1 for none.
    int vector() const {
        return cpu.rip >= handlers_at && cpu.rip < handler(64) && cpu.rip % 16 == 0 ? static_cast<int>((cpu.rip - handlers_at) / 16) : -1;
    }

    /// The n-th quadword (doubleword, word) on the stack.
    u64 stack64(unsigned n) { return read<u64>(cpu.segments[ss].base * !cpu.mode64() + cpu.gpr[rsp] + 8 * n); }

    u32 stack32(unsigned n) { return read<u32>(cpu.segments[ss].base + cpu.gpr[rsp] + 4 * n); }

    u16 stack16(unsigned n) {
        return read<u16>(cpu.segments[ss].base + (cpu.gpr[rsp] & (cpu.code_mode().stack32 ? 0xffff'ffff : 0xffff)) + 2 * n);
    }

private:
    void tables(u64 idt, u16 task, u64 task_at) {
        cpu.gdtr = {.base = gdt_at, .limit = gdt_limit};
        cpu.idtr = {.base = idt, .limit = 0x3ff};
        cpu.segments[tr] = {.base = task_at, .limit = 0x67, .rights = 0x8b, .selector = task};
        cpu.segments[ldtr] = {.base = 0, .limit = 0, .rights = static_cast<u32>(rights::unusable.mask()), .selector = 0};
    }
};

} // namespace vitrine
