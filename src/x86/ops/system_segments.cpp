// SPDX-License-Identifier: Apache-2.0
// Segment registers: MOV, PUSH, POP, LDS to LSS, and the bases of FS and GS.
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

SegmentName segment_of(ZydisRegister r) { return static_cast<SegmentName>(r - ZYDIS_REGISTER_ES); }

static_assert(ZYDIS_REGISTER_CS - ZYDIS_REGISTER_ES == cs && ZYDIS_REGISTER_SS - ZYDIS_REGISTER_ES == ss &&
              ZYDIS_REGISTER_DS - ZYDIS_REGISTER_ES == ds && ZYDIS_REGISTER_FS - ZYDIS_REGISTER_ES == fs &&
              ZYDIS_REGISTER_GS - ZYDIS_REGISTER_ES == gs);

/// `third` is the segment register. Loading SS holds events back until the next instruction has completed.
Outcome loaded(Cpu& cpu, const Instruction& i) {
    if (i.third != ss)
        return next(cpu, i);
    cpu.mov_ss_shadow = true;
    cpu.events_changed();
    return Outcome::end;
}

Outcome mov_to_segment(Cpu& cpu, const Instruction& i) {
    TRY(load_segment(cpu, static_cast<SegmentName>(i.third), get<u16>(cpu, i.reg)));
    return loaded(cpu, i);
}

Outcome mov_to_segment_memory(Cpu& cpu, const Instruction& i) {
    const u16 selector = TRY((load_operand<u16, AnyAddress>(cpu, i)));
    TRY(load_segment(cpu, static_cast<SegmentName>(i.third), selector));
    return loaded(cpu, i);
}

Outcome mov_from_segment(Cpu& cpu, const Instruction& i) {
    set_sized(cpu, i.reg, i.operand_size, cpu.segments[i.third].selector);
    return next(cpu, i);
}

Outcome mov_from_segment_memory(Cpu& cpu, const Instruction& i) {
    TRY((store_operand<u16, AnyAddress>(cpu, i, cpu.segments[i.third].selector)));
    return next(cpu, i);
}

Outcome push_segment(Cpu& cpu, const Instruction& i) {
    const u16 selector = cpu.segments[i.third].selector;
    if (i.operand_size != 4) {
        TRY(cpu.push(i.operand_size, selector));
        return next(cpu, i);
    }
    // Four bytes of stack, of which only two are written.
    const u64 mask = low_mask(8 * cpu.stack_size());
    const u64 top = (cpu.gpr[rsp] - 4) & mask;
    const Linear at = TRY(cpu.segmented(ss, top, 2, Use::write));
    TRY(cpu.store<u16>(at, selector));
    cpu.set_rsp(top);
    return next(cpu, i);
}

Outcome pop_segment(Cpu& cpu, const Instruction& i) {
    const u16 selector = static_cast<u16>(TRY(cpu.peek(i.operand_size)));
    // RSP moves at the width of the old stack segment.
    const u64 mask = low_mask(8 * cpu.stack_size()), kept = cpu.stack_size() == 2 ? ~mask : 0;
    TRY(load_segment(cpu, static_cast<SegmentName>(i.third), selector));
    cpu.gpr[rsp] = (cpu.gpr[rsp] & kept) | ((cpu.gpr[rsp] + i.operand_size) & mask);
    return loaded(cpu, i);
}

/// LDS, LES, LFS, LGS, LSS: a far pointer from memory. No shadow, not even for SS.
template <SegmentName name> Outcome load_far_pointer(Cpu& cpu, const Instruction& i) {
    const unsigned size = i.operand_size;
    const Linear at = TRY(cpu.address(i, size + 2, Use::read));
    u8 bytes[10]{};
    TRY(cpu.load_bytes(at, bytes, size + 2));
    u64 offset = 0;
    u16 selector;
    std::memcpy(&offset, bytes, size);
    std::memcpy(&selector, bytes + size, 2);
    TRY(load_segment(cpu, name, selector));
    set_sized(cpu, i.reg, size, offset);
    return name == ss ? Outcome::end : next(cpu, i);
}

template <SegmentName name> Handler bind_far_pointer(const Decoded& d, Instruction& out) {
    out.operand_size = static_cast<u8>(d.operand(0).size / 8);
    return load_far_pointer<name>;
}

template <SegmentName name> Outcome read_base(Cpu& cpu, const Instruction& i) {
    if (!(cpu.cr4 & cr4::fsgsbase) || !cpu.mode64())
        return cpu.ud();
    set_sized(cpu, i.reg, i.operand_size, cpu.segments[name].base);
    return next(cpu, i);
}

template <SegmentName name> Outcome write_base(Cpu& cpu, const Instruction& i) {
    if (!(cpu.cr4 & cr4::fsgsbase) || !cpu.mode64())
        return cpu.ud();
    const u64 value = i.operand_size == 8 ? get<u64>(cpu, i.reg) : get<u32>(cpu, i.reg);
    if (!canonical_base(cpu, value))
        return cpu.gp();
    cpu.segments[name].base = value;
    cpu.segment_changed(name);
    return next(cpu, i);
}

template <Handler handler> Handler bind_base(const Decoded& d, Instruction& out) {
    out.operand_size = static_cast<u8>(d.operand(0).size / 8);
    return handler;
}

Outcome swapgs(Cpu& cpu, const Instruction& i) {
    if (!cpu.mode64())
        return cpu.ud();
    if (!privileged(cpu))
        return cpu.gp();
    std::swap(cpu.segments[gs].base, cpu.msr.kernel_gs_base);
    cpu.segment_changed(gs);
    return next(cpu, i);
}

} // namespace

Handler bind_segment_form(const Decoded& d, Instruction& out) {
    switch (d.info.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        if (is_segment_register(d, 0)) {
            out.third = segment_of(d.operand(0).reg.value);
            if (d.is_memory(1))
                return mov_to_segment_memory;
            out.reg = gpr_offset(d.operand(1).reg.value);
            return mov_to_segment;
        }
        if (is_segment_register(d, 1)) {
            out.third = segment_of(d.operand(1).reg.value);
            if (d.is_memory(0))
                return mov_from_segment_memory;
            out.reg = gpr_offset(d.operand(0).reg.value);
            out.operand_size = static_cast<u8>(d.operand(0).size / 8);
            return mov_from_segment;
        }
        return nullptr;
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
        if (!is_segment_register(d, 0))
            return nullptr;
        out.third = segment_of(d.operand(0).reg.value);
        out.operand_size = d.info.operand_width / 8;
        return d.info.mnemonic == ZYDIS_MNEMONIC_PUSH ? push_segment : pop_segment;
    default: return nullptr;
    }
}

std::span<const OpRow> segment_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_LDS, bind_far_pointer<ds>},
        {ZYDIS_MNEMONIC_LES, bind_far_pointer<es>},
        {ZYDIS_MNEMONIC_LFS, bind_far_pointer<fs>},
        {ZYDIS_MNEMONIC_LGS, bind_far_pointer<gs>},
        {ZYDIS_MNEMONIC_LSS, bind_far_pointer<ss>, ends_block},
        {ZYDIS_MNEMONIC_RDFSBASE, bind_base<read_base<fs>>},
        {ZYDIS_MNEMONIC_RDGSBASE, bind_base<read_base<gs>>},
        {ZYDIS_MNEMONIC_WRFSBASE, bind_base<write_base<fs>>},
        {ZYDIS_MNEMONIC_WRGSBASE, bind_base<write_base<gs>>},
        {ZYDIS_MNEMONIC_SWAPGS, bind_to<swapgs>},
    };
    return rows;
}

} // namespace vitrine::ops
