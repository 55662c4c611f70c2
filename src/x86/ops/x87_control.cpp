// SPDX-License-Identifier: Apache-2.0
// x87 control instructions: those that do not update the last-instruction pointer, in all sizes of the environment image
// (SDM volume 1, Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE). FCS and FDS are deprecated: always 0.
#include "x86/ops/x87.h"

namespace vitrine {

namespace {

/// What FNSTENV of the host (64-bit mode, 28 bytes) writes: the words' upper halves are all ones.
struct HostEnvironment {
    u32 fcw, fsw, ftw, fip, fop_fcs, fdp, fds;
};

static_assert(sizeof(HostEnvironment) == 28);

struct HostSave {
    HostEnvironment environment;
    u8 registers[80];
};

static_assert(sizeof(HostSave) == 108);

/// The environment image as the mode and operand size lay it out. Returns its size.
unsigned to_image(const Cpu& cpu, const HostEnvironment& e, bool wide, u8* image) {
    const bool linear = !cpu.protected_mode() || cpu.v86(); // real-address and virtual-8086 mode
    const u32 fip = static_cast<u32>(cpu.fpu.fip), fdp = static_cast<u32>(cpu.fpu.fdp), fop = cpu.fpu.fop & 0x7ffu;
    if (wide) {
        constexpr u32 ones = 0xffff'0000;
        u32 words[7] = {e.fcw | ones, e.fsw | ones, e.ftw | ones, fip, fop << 16, fdp, ones};
        if (linear) {
            words[3] = ones | (fip & 0xffff);
            words[4] = (fip >> 16) << 12 | fop;
            words[5] = ones | (fdp & 0xffff);
            words[6] = (fdp >> 16) << 12;
        }
        std::memcpy(image, words, sizeof words);
        return sizeof words;
    }
    u16 words[7] = {static_cast<u16>(e.fcw), static_cast<u16>(e.fsw), static_cast<u16>(e.ftw), static_cast<u16>(fip), 0,
                    static_cast<u16>(fdp),   0};
    if (linear) {
        words[4] = static_cast<u16>((fip >> 16 & 15) << 12 | fop);
        words[6] = static_cast<u16>((fdp >> 16 & 15) << 12);
    }
    std::memcpy(image, words, sizeof words);
    return sizeof words;
}

/// The reverse: what the host is to load, and the pointers.
HostEnvironment from_image(Cpu& cpu, const u8* image, bool wide) {
    const bool linear = !cpu.protected_mode() || cpu.v86();
    FpuState& fpu = cpu.fpu;
    HostEnvironment e{};
    if (wide) {
        u32 w[7];
        std::memcpy(w, image, sizeof w);
        e.fcw = w[0] & 0xffff;
        e.fsw = w[1] & 0xffff;
        e.ftw = w[2] & 0xffff;
        fpu.fip = linear ? (w[3] & 0xffff) | (w[4] >> 12 & 0xffff) << 16 : w[3];
        fpu.fdp = linear ? (w[5] & 0xffff) | (w[6] >> 12 & 0xffff) << 16 : w[5];
        fpu.fop = static_cast<u16>((linear ? w[4] : w[4] >> 16) & 0x7ff);
    } else {
        u16 w[7];
        std::memcpy(w, image, sizeof w);
        e.fcw = w[0];
        e.fsw = w[1];
        e.ftw = w[2];
        fpu.fip = linear ? w[3] | (w[4] & 0xf000u) << 4 : w[3];
        fpu.fdp = linear ? w[5] | (w[6] & 0xf000u) << 4 : w[5];
        fpu.fop = linear ? w[4] & 0x7ff : 0;
    }
    fpu.last_valid = false;
    return e;
}

/// Images as the instruction's operand size says: 14 and 94 bytes, or 28 and 108.
bool wide(const Instruction& i) { return i.third != 0; }

Outcome run_fninit(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    asm volatile("fninit");
    control_changed(cpu);
    cpu.fpu.fip = cpu.fpu.fdp = 0;
    cpu.fpu.fop = 0;
    cpu.fpu.last_valid = false;
    return next(cpu, i);
}

Outcome run_fnclex(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    settle_pointers(cpu);
    cpu.fpu.last_valid = false;
    asm volatile("fnclex");
    control_changed(cpu);
    return next(cpu, i);
}

Outcome run_fnstcw(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    u16 value;
    asm volatile("fnstcw %0" : "=m"(value));
    TRY(cpu.store<u16>(TRY(cpu.address(i, 2, Use::write)), value));
    return next(cpu, i);
}

Outcome run_fldcw(Cpu& cpu, const Instruction& i) {
    TRY(enter_x87(cpu));
    const u16 value = TRY(cpu.load<u16>(TRY(cpu.address(i, 2, Use::read))));
    cpu.fpu.last_valid = false;
    asm volatile("fldcw %0" : : "m"(value));
    control_changed(cpu);
    return next(cpu, i);
}

Outcome run_fnstsw_ax(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    cpu.reg<u16>(0) = x87_status();
    return next(cpu, i);
}

Outcome run_fnstsw(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    TRY(cpu.store<u16>(TRY(cpu.address(i, 2, Use::write)), x87_status()));
    return next(cpu, i);
}

Outcome run_fwait(Cpu& cpu, const Instruction& i) {
    if ((cpu.cr0 & (cr0::mp | cr0::ts)) == (cr0::mp | cr0::ts))
        return cpu.raise(Vector::nm);
    TRY(enter_x87(cpu));
    return next(cpu, i);
}

Outcome run_nop(Cpu& cpu, const Instruction& i) { return next(cpu, i); }

Outcome run_fnstenv(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    const unsigned size = wide(i) ? 28 : 14;
    const Linear a = TRY(cpu.address(i, size, Use::write));
    TRY(cpu.probe(a, size, Use::write));
    settle_pointers(cpu);
    cpu.fpu.last_valid = false;
    HostEnvironment e;
    asm volatile("fnstenv %0" : "=m"(e)); // masks all exceptions too
    control_changed(cpu);
    u8 image[28];
    to_image(cpu, e, wide(i), image);
    TRY(cpu.store_bytes(a, image, size));
    return next(cpu, i);
}

Outcome run_fldenv(Cpu& cpu, const Instruction& i) {
    TRY(enter_x87(cpu));
    u8 image[28];
    const unsigned size = wide(i) ? 28 : 14;
    TRY(cpu.load_bytes(TRY(cpu.address(i, size, Use::read)), image, size));
    const HostEnvironment e = from_image(cpu, image, wide(i));
    asm volatile("fldenv %0" : : "m"(e));
    control_changed(cpu);
    return next(cpu, i);
}

Outcome run_fnsave(Cpu& cpu, const Instruction& i) {
    enter_x87_no_wait(cpu);
    const unsigned size = wide(i) ? 108 : 94;
    const Linear a = TRY(cpu.address(i, size, Use::write));
    TRY(cpu.probe(a, size, Use::write));
    settle_pointers(cpu);
    HostSave s;
    asm volatile("fnsave %0" : "=m"(s)); // leaves what FNINIT leaves
    control_changed(cpu);
    u8 image[108];
    const unsigned head = to_image(cpu, s.environment, wide(i), image);
    std::memcpy(image + head, s.registers, sizeof s.registers);
    cpu.fpu.fip = cpu.fpu.fdp = 0;
    cpu.fpu.fop = 0;
    cpu.fpu.last_valid = false;
    TRY(cpu.store_bytes(a, image, size));
    return next(cpu, i);
}

Outcome run_frstor(Cpu& cpu, const Instruction& i) {
    TRY(enter_x87(cpu));
    u8 image[108];
    const unsigned size = wide(i) ? 108 : 94;
    TRY(cpu.load_bytes(TRY(cpu.address(i, size, Use::read)), image, size));
    HostSave s;
    s.environment = from_image(cpu, image, wide(i));
    std::memcpy(s.registers, image + size - sizeof s.registers, sizeof s.registers);
    asm volatile("frstor %0" : : "m"(s));
    control_changed(cpu);
    return next(cpu, i);
}

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded& d, Instruction& out) {
    if (const Handler h = refused(d.mode, FpuUnit::x87))
        return h;
    out.third = d.info.operand_width != 16;
    return handler;
}

Handler bind_fnstsw(const Decoded& d, Instruction&) {
    if (const Handler h = refused(d.mode, FpuUnit::x87))
        return h;
    return d.is_memory(0) ? run_fnstsw : run_fnstsw_ax;
}

Handler bind_fwait(const Decoded&, Instruction&) { return run_fwait; }

constexpr OpRow rows[] = {
    {ZYDIS_MNEMONIC_FNINIT, bind<run_fninit>},
    {ZYDIS_MNEMONIC_FNCLEX, bind<run_fnclex>},
    {ZYDIS_MNEMONIC_FNSTCW, bind<run_fnstcw>},
    {ZYDIS_MNEMONIC_FLDCW, bind<run_fldcw>},
    {ZYDIS_MNEMONIC_FNSTSW, bind_fnstsw},
    {ZYDIS_MNEMONIC_FNSTENV, bind<run_fnstenv>},
    {ZYDIS_MNEMONIC_FLDENV, bind<run_fldenv>},
    {ZYDIS_MNEMONIC_FNSAVE, bind<run_fnsave>},
    {ZYDIS_MNEMONIC_FRSTOR, bind<run_frstor>},
    {ZYDIS_MNEMONIC_FWAIT, bind_fwait},
    {ZYDIS_MNEMONIC_FENI8087_NOP, bind<run_nop>},
    {ZYDIS_MNEMONIC_FDISI8087_NOP, bind<run_nop>},
    {ZYDIS_MNEMONIC_FSETPM287_NOP, bind<run_nop>},
};

} // namespace

std::span<const OpRow> x87_control_rows() { return rows; }

} // namespace vitrine
