// SPDX-License-Identifier: Apache-2.0
// Ways into and out of the system: INT, SYSCALL, SYSENTER and their returns, and the binding of far transfers.
#include "x86/model.h"
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

// ---- software interrupts --------------------------------------------------------------------------------------------

Fault software(Cpu& cpu, const Instruction& i, u8 vector, EventKind kind) {
    return cpu.raise_event({.vector = static_cast<Vector>(vector), .kind = kind, .instruction_length = i.length});
}

/// CR4.VME: the bit map below the TSS's I/O map says which vectors stay in virtual-8086 mode (bit clear).
Faultable<bool> redirected(Cpu& cpu, u8 vector) {
    const Segment& task = cpu.segments[tr];
    const u16 io_map = TRY(cpu.load_system<u16>(Linear{task.base + 0x66}));
    const u64 at = u64{io_map} - 32 + vector / 8;
    if (io_map < 32 || at > task.limit)
        return cpu.gp();
    const u8 byte = TRY(cpu.load_system<u8>(Linear{task.base + at}));
    return !((byte >> (vector % 8)) & 1);
}

/// An interrupt of the 8086 program goes to its own vector table.
Faultable<> to_8086_handler(Cpu& cpu, const Instruction& i, u8 vector) {
    const u32 entry = TRY(cpu.load<u32>(Linear{vector * 4u}));
    u64 saved = cpu.rflags();
    const bool over_vif = cpu.iopl() < 3;
    if (over_vif)
        saved = (saved & ~rflags::if_) | rflags::iopl | (saved & rflags::vif ? rflags::if_ : 0);
    Transition old(cpu);
    for (const u64 value : {saved, u64{cpu.segments[cs].selector}, cpu.next_rip(i)})
        if (!cpu.push(2, value))
            return old.undo();
    cpu.segments[cs] = real_segment(cpu, cs, static_cast<u16>(entry >> 16));
    cpu.rip = entry & 0xffff;
    cpu.flags &= ~(rflags::tf | rflags::nt | (over_vif ? rflags::vif : rflags::if_));
    cpu.mode_changed();
    return {};
}

Outcome int_n(Cpu& cpu, const Instruction& i) {
    const u8 vector = static_cast<u8>(i.immediate);
    if (cpu.v86()) {
        if (cpu.cr4 & cr4::vme) {
            if (TRY(redirected(cpu, vector))) {
                TRY(to_8086_handler(cpu, i, vector));
                return Outcome::branch;
            }
        }
        if (cpu.iopl() < 3)
            return cpu.gp();
    }
    return software(cpu, i, vector, EventKind::software_interrupt);
}

Outcome int3(Cpu& cpu, const Instruction& i) { return software(cpu, i, 3, EventKind::software_exception); }

Outcome int1(Cpu& cpu, const Instruction& i) { return software(cpu, i, 1, EventKind::privileged_software_exception); }

Outcome into(Cpu& cpu, const Instruction& i) {
    if (cpu.status & 1)
        return software(cpu, i, 4, EventKind::software_exception);
    return next(cpu, i);
}

// ---- SYSCALL and SYSENTER -------------------------------------------------------------------------------------------

/// Flat segments as these instructions make them, whatever the descriptors say.
Segment flat_code(u64 selector, u8 cpl, bool long_code) {
    const u32 rights = 0x809b | u32{cpl} << 5 | (long_code ? 1u << 13 : 1u << 14);
    return {.base = 0, .limit = 0xffff'ffff, .rights = rights, .selector = static_cast<u16>((selector & 0xfffc) | cpl)};
}

Segment flat_stack(u64 selector, u8 cpl) {
    return {.base = 0, .limit = 0xffff'ffff, .rights = 0xc093 | u32{cpl} << 5, .selector = static_cast<u16>((selector & 0xfffc) | cpl)};
}

void enter_flat(Cpu& cpu, u64 code, u64 stack, u8 cpl, bool long_code) {
    cpu.segments[ss] = flat_stack(stack, cpl);
    set_code_segment(cpu, flat_code(code, cpl, long_code), cpl);
}

/// Intel has these in 64-bit mode only, AMD in every protected one.
bool syscall_enabled(const Cpu& cpu) {
    return (cpu.efer & efer::sce) &&
           (cpu.mode64() || (cpu.model().vendor == Vendor::amd && cpu.protected_mode() && !cpu.v86()));
}

/// AMD's legacy mode: EIP comes from STAR, and flags are not saved.
Outcome legacy_syscall(Cpu& cpu, const Instruction& i) {
    cpu.gpr[rcx] = cpu.next_rip(i);
    cpu.flags &= ~(rflags::if_ | rflags::rf);
    const u64 code = bits(cpu.msr.star, 47, 32) & 0xfffc;
    enter_flat(cpu, code, code + 8, 0, false);
    cpu.rip = cpu.msr.star & 0xffff'ffff;
    return Outcome::branch;
}

Outcome legacy_sysret(Cpu& cpu) {
    const u64 selector = bits(cpu.msr.star, 63, 48);
    const u64 target = cpu.gpr[rcx] & 0xffff'ffff;
    cpu.flags |= rflags::if_;
    enter_flat(cpu, selector, selector + 8, 3, false);
    cpu.rip = target;
    return Outcome::branch;
}

Outcome syscall(Cpu& cpu, const Instruction& i) {
    if (!syscall_enabled(cpu))
        return cpu.ud();
    if (!cpu.long_mode())
        return legacy_syscall(cpu, i);
    const u64 target = cpu.mode64() ? cpu.msr.lstar : cpu.msr.cstar;
    const u64 flags = cpu.rflags() & ~rflags::rf;
    cpu.gpr[rcx] = cpu.next_rip(i);
    cpu.gpr[r11] = flags;
    cpu.set_rflags(flags & ~cpu.msr.fmask);
    if ((flags & rflags::tf) && !(cpu.flags & rflags::tf))
        cpu.no_single_step();
    const u64 code = bits(cpu.msr.star, 47, 32);
    enter_flat(cpu, code & 0xfffc, (code & 0xfffc) + 8, 0, true);
    cpu.rip = target;
    return Outcome::branch;
}

Outcome sysret(Cpu& cpu, const Instruction& i) {
    if (!syscall_enabled(cpu))
        return cpu.ud();
    if (!privileged(cpu))
        return cpu.gp();
    if (!cpu.long_mode())
        return legacy_sysret(cpu);
    const bool to_64 = i.operand_size == 8;
    if (to_64 && !canonical_address(cpu, cpu.gpr[rcx]))
        return cpu.gp();
    constexpr u64 loaded = 0x3c'7fd7;
    const u64 target = to_64 ? cpu.gpr[rcx] : cpu.gpr[rcx] & 0xffff'ffff;
    const u64 selector = bits(cpu.msr.star, 63, 48);
    cpu.set_rflags(cpu.gpr[r11] & loaded);
    enter_flat(cpu, selector + (to_64 ? 16 : 0), selector + 8, 3, to_64);
    cpu.rip = target;
    // Unlike IRET, SYSRET that sets TF is followed by its trap at once.
    if (cpu.flags & rflags::tf)
        cpu.pending_debug |= dr6::bs;
    return Outcome::branch;
}

Outcome sysenter(Cpu& cpu, const Instruction&) {
    const u64 selector = cpu.msr.sysenter_cs & 0xfffc;
    if (!cpu.protected_mode() || selector == 0)
        return cpu.gp();
    const bool to_64 = cpu.long_mode();
    cpu.flags &= ~(rflags::vm | rflags::if_ | rflags::rf);
    enter_flat(cpu, selector, selector + 8, 0, to_64);
    cpu.gpr[rsp] = to_64 ? cpu.msr.sysenter_esp : cpu.msr.sysenter_esp & 0xffff'ffff;
    cpu.rip = to_64 ? cpu.msr.sysenter_eip : cpu.msr.sysenter_eip & 0xffff'ffff;
    return Outcome::branch;
}

Outcome sysexit(Cpu& cpu, const Instruction& i) {
    const u64 selector = cpu.msr.sysenter_cs & 0xfffc;
    if (!cpu.protected_mode() || selector == 0 || !privileged(cpu))
        return cpu.gp();
    const bool to_64 = i.operand_size == 8;
    if (to_64 && (!canonical_address(cpu, cpu.gpr[rdx]) || !canonical_address(cpu, cpu.gpr[rcx])))
        return cpu.gp();
    const u64 mask = to_64 ? ~0ull : 0xffff'ffff;
    enter_flat(cpu, selector + (to_64 ? 32 : 16), selector + (to_64 ? 40 : 24), 3, to_64);
    cpu.gpr[rsp] = cpu.gpr[rcx] & mask;
    cpu.rip = cpu.gpr[rdx] & mask;
    return Outcome::branch;
}

// ---- binding --------------------------------------------------------------------------------------------------------

template <Handler handler> Handler bind_sized(const Decoded& d, Instruction& out) {
    // SYSRET and SYSEXIT go to 64-bit code with REX.W only, whatever the decoder takes the operand size to be.
    out.operand_size = d.info.raw.rex.W ? 8 : 4;
    return handler;
}

template <u8 size> Handler bind_iret(const Decoded&, Instruction& out) {
    out.operand_size = size;
    return far::iret;
}

} // namespace

Handler bind_far_form(const Decoded& d, Instruction& out) {
    if (d.info.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR)
        return nullptr;
    out.operand_size = d.info.operand_width / 8;
    const bool pointer = d.info.operand_count > 0 && d.operand(0).type == ZYDIS_OPERAND_TYPE_POINTER;
    if (pointer) {
        out.third = d.operand(0).ptr.segment;
        out.immediate = d.operand(0).ptr.offset;
    }
    switch (d.info.mnemonic) {
    case ZYDIS_MNEMONIC_JMP: return pointer ? far::jump_pointer : far::jump_memory;
    case ZYDIS_MNEMONIC_CALL: return pointer ? far::call_pointer : far::call_memory;
    case ZYDIS_MNEMONIC_RET:
        out.immediate = d.is_immediate(0) ? d.operand(0).imm.value.u : 0;
        return far::ret;
    default: return nullptr;
    }
}

std::span<const OpRow> transfer_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_INT, bind_to<int_n>, ends_block},
        {ZYDIS_MNEMONIC_INT1, bind_to<int1>, ends_block},
        {ZYDIS_MNEMONIC_INT3, bind_to<int3>, ends_block},
        {ZYDIS_MNEMONIC_INTO, bind_to<into>},
        {ZYDIS_MNEMONIC_IRET, bind_iret<2>, ends_block},
        {ZYDIS_MNEMONIC_IRETD, bind_iret<4>, ends_block},
        {ZYDIS_MNEMONIC_IRETQ, bind_iret<8>, ends_block},
        {ZYDIS_MNEMONIC_SYSCALL, bind_to<syscall>, ends_block},
        {ZYDIS_MNEMONIC_SYSRET, bind_sized<sysret>, ends_block},
        {ZYDIS_MNEMONIC_SYSENTER, bind_to<sysenter>, ends_block},
        {ZYDIS_MNEMONIC_SYSEXIT, bind_sized<sysexit>, ends_block},
    };
    return rows;
}

} // namespace vitrine::ops
