// SPDX-License-Identifier: Apache-2.0
// Port input and output: IN, OUT, INS, OUTS, with the permission bit map of the TSS (SDM volume 1, Input/Output).
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

/// IOPL decides, else the TSS's bit map; virtual-8086 mode always asks the bit map.
Faultable<> check_permission(Cpu& cpu, u16 port, unsigned size) {
    if (!cpu.protected_mode() || (!cpu.v86() && cpu.cpl <= cpu.iopl()))
        return {};
    const Segment& task = cpu.segments[tr];
    const u8 type = task.type();
    constexpr u32 io_map_base = 0x66;
    if (!task.usable() || (type != 9 && type != 11) || io_map_base + 1 > task.limit)
        return cpu.gp();
    const u16 base = TRY(cpu.load_system<u16>(Linear{task.base + io_map_base}));
    // Two bytes are read, so that a port's bits may straddle; both must lie within the limit.
    const u64 at = u64{base} + port / 8;
    if (at + 1 > task.limit)
        return cpu.gp();
    const u16 map = TRY(cpu.load_system<u16>(Linear{task.base + at}));
    if ((map >> (port % 8)) & low_mask(size))
        return cpu.gp();
    return {};
}

/// Exit Qualification for I/O Instructions.
u64 qualification(u16 port, unsigned size, bool in, bool string, bool rep, bool immediate) {
    return (size - 1) | u64{in} << 3 | u64{string} << 4 | u64{rep} << 5 | u64{immediate} << 6 | u64{port} << 16;
}

u64 read_port(Cpu& cpu, u16 port, unsigned size) {
    Access access{.offset = port, .size = size, .write = false, .requester = cpu.requester()};
    cpu.space().port(port, access);
    return access.value & low_mask(8 * size);
}

void write_port(Cpu& cpu, u16 port, unsigned size, u64 value) {
    Access access{.offset = port, .size = size, .write = true, .value = value & low_mask(8 * size), .requester = cpu.requester()};
    cpu.space().port(port, access);
}

/// `third` is 1 for the forms with an immediate port number.
u16 port_of(const Cpu& cpu, const Instruction& i) {
    return static_cast<u16>(i.third ? i.immediate & 0xff : cpu.gpr[rdx]);
}

Outcome in(Cpu& cpu, const Instruction& i) {
    const u16 port = port_of(cpu, i);
    const unsigned size = i.operand_size;
    TRY(check_permission(cpu, port, size));
    INTERCEPT(cpu, Intercept::io, i, qualification(port, size, true, false, false, i.third));
    const u64 value = read_port(cpu, port, size);
    if (size == 1)
        set<u8>(cpu, rax, static_cast<u8>(value));
    else
        set_sized(cpu, 8 * rax, size, value);
    return next(cpu, i);
}

Outcome out(Cpu& cpu, const Instruction& i) {
    const u16 port = port_of(cpu, i);
    const unsigned size = i.operand_size;
    TRY(check_permission(cpu, port, size));
    INTERCEPT(cpu, Intercept::io, i, qualification(port, size, false, false, false, i.third));
    write_port(cpu, port, size, cpu.gpr[rax]);
    return Outcome::end;
}

// ---- strings: one iteration at a time, so that interrupts and time come between them --------------------------------------

u64 counter(const Cpu& cpu, const Instruction& i) { return cpu.gpr[rcx] & i.address_mask; }

/// Index and count registers are as wide as addresses; 32-bit ones clear the upper half.
void set_address_register(Cpu& cpu, const Instruction& i, Gpr r, u64 value) { set_sized(cpu, 8 * r, i.address_size, value); }

Outcome iterated(Cpu& cpu, const Instruction& i, Gpr index) {
    const u64 step = i.operand_size;
    const u64 moved = cpu.flags & rflags::df ? cpu.gpr[index] - step : cpu.gpr[index] + step;
    set_address_register(cpu, i, index, moved);
    if (!i.rep)
        return Outcome::end;
    set_address_register(cpu, i, rcx, cpu.gpr[rcx] - 1);
    return counter(cpu, i) == 0 ? Outcome::end : Outcome::repeat;
}

Outcome ins(Cpu& cpu, const Instruction& i) {
    const unsigned size = i.operand_size;
    const u16 port = static_cast<u16>(cpu.gpr[rdx]);
    if (i.rep && counter(cpu, i) == 0)
        return next(cpu, i);
    TRY(check_permission(cpu, port, size));
    INTERCEPT(cpu, Intercept::io, i, qualification(port, size, true, true, i.rep, false));
    const Linear at = TRY(cpu.segmented(es, cpu.gpr[rdi] & i.address_mask, size, Use::write));
    // Before the device is read, for what it gives cannot be put back.
    TRY(cpu.probe(at, size, Use::write));
    const u64 value = read_port(cpu, port, size);
    TRY(cpu.store_bytes(at, &value, size));
    return iterated(cpu, i, rdi);
}

Outcome outs(Cpu& cpu, const Instruction& i) {
    const unsigned size = i.operand_size;
    const u16 port = static_cast<u16>(cpu.gpr[rdx]);
    if (i.rep && counter(cpu, i) == 0)
        return next(cpu, i);
    TRY(check_permission(cpu, port, size));
    INTERCEPT(cpu, Intercept::io, i, qualification(port, size, false, true, i.rep, false));
    const Linear at = TRY(cpu.segmented(static_cast<SegmentName>(i.segment), cpu.gpr[rsi] & i.address_mask, size, Use::read));
    u64 value = 0;
    TRY(cpu.load_bytes(at, &value, size));
    write_port(cpu, port, size, value);
    return iterated(cpu, i, rsi);
}

/// The accumulator's width is the operand's; the port is the other operand.
Handler bind_in(const Decoded& d, Instruction& o) {
    o.operand_size = static_cast<u8>(d.operand(0).size / 8);
    o.third = d.is_immediate(1);
    return in;
}

Handler bind_out(const Decoded& d, Instruction& o) {
    o.operand_size = static_cast<u8>(d.operand(1).size / 8);
    o.third = d.is_immediate(0);
    return out;
}

template <Handler handler, u8 size> Handler bind_string(const Decoded&, Instruction& o) {
    o.operand_size = size;
    return handler;
}

} // namespace

std::span<const OpRow> io_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_IN, bind_in},
        {ZYDIS_MNEMONIC_OUT, bind_out, ends_block},
        {ZYDIS_MNEMONIC_INSB, bind_string<ins, 1>, ends_block},
        {ZYDIS_MNEMONIC_INSW, bind_string<ins, 2>, ends_block},
        {ZYDIS_MNEMONIC_INSD, bind_string<ins, 4>, ends_block},
        {ZYDIS_MNEMONIC_OUTSB, bind_string<outs, 1>, ends_block},
        {ZYDIS_MNEMONIC_OUTSW, bind_string<outs, 2>, ends_block},
        {ZYDIS_MNEMONIC_OUTSD, bind_string<outs, 4>, ends_block},
    };
    return rows;
}

} // namespace vitrine::ops
