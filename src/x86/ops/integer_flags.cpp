// SPDX-License-Identifier: Apache-2.0
// The flags as a whole: PUSHF and POPF in every mode (SDM volume 2, POPF, table of effects), LAHF, SAHF, CLC to STD.
#include "x86/ops/integer.h"
#include "x86/ops/stack.h"

namespace vitrine::ops {

namespace {

/// Virtual-8086 mode at IOPL below 3 has no PUSHF and POPF of its own; the extensions give it 16-bit ones over VIF.
bool virtualized(const Cpu& cpu) { return cpu.v86() && cpu.iopl() < 3; }

template <class T> Outcome pushf(Cpu& cpu, const Instruction& i) {
    u64 value = cpu.rflags() & ~(rflags::vm | rflags::rf);
    if (virtualized(cpu)) {
        if (sizeof(T) != 2 || !(cpu.cr4 & cr4::vme))
            return cpu.gp();
        value = (value & ~rflags::if_) | rflags::iopl | (value & rflags::vif ? rflags::if_ : 0);
    }
    TRY(push<T>(cpu, static_cast<T>(value)));
    return next(cpu, i);
}

/// Which flags POPF may change.
u64 changeable(const Cpu& cpu, unsigned size) {
    u64 mask = rflags::status | rflags::tf | rflags::df | rflags::nt;
    if (size > 2)
        mask |= rflags::ac | rflags::id;
    if (!cpu.v86() && cpu.cpl == 0)
        mask |= rflags::iopl;
    if (cpu.v86() ? cpu.iopl() == 3 : cpu.cpl <= cpu.iopl())
        mask |= rflags::if_;
    return mask;
}

template <class T> Outcome popf(Cpu& cpu, const Instruction&) {
    const bool over_vif = virtualized(cpu);
    if (over_vif && (sizeof(T) != 2 || !(cpu.cr4 & cr4::vme)))
        return cpu.gp();
    const T value = TRY(peek<T>(cpu));
    const u64 old = cpu.rflags();
    u64 mask = changeable(cpu, sizeof(T)), given = value;
    if (over_vif) {
        if ((given & rflags::tf) || ((old & rflags::vip) && (given & rflags::if_)))
            return cpu.gp();
        mask |= rflags::vif;
        given = (given & ~rflags::vif) | (given & rflags::if_ ? rflags::vif : 0);
    }
    drop<T>(cpu);
    cpu.set_rflags((old & ~mask & ~rflags::rf) | (given & mask)); // RF ends clear
    if ((old ^ cpu.flags) & rflags::ac)
        cpu.privilege_changed();
    cpu.events_changed();
    return Outcome::end;
}

Outcome lahf(Cpu& cpu, const Instruction& i) {
    set<u8>(cpu, u16{1}, static_cast<u8>(cpu.status >> 8));
    return next(cpu, i);
}

Outcome sahf(Cpu& cpu, const Instruction& i) {
    constexpr u16 loaded = status::sf | status::zf | status::af | status::pf | status::cf;
    const u16 ah = static_cast<u16>(get<u8>(cpu, u16{1}) << 8);
    cpu.status = static_cast<u16>((cpu.status & ~loaded) | (ah & loaded));
    return next(cpu, i);
}

Outcome clc(Cpu& cpu, const Instruction& i) {
    cpu.status &= static_cast<u16>(~status::cf);
    return next(cpu, i);
}

Outcome stc(Cpu& cpu, const Instruction& i) {
    cpu.status |= status::cf;
    return next(cpu, i);
}

Outcome cmc(Cpu& cpu, const Instruction& i) {
    cpu.status ^= status::cf;
    return next(cpu, i);
}

Outcome cld(Cpu& cpu, const Instruction& i) {
    cpu.flags &= ~rflags::df;
    return next(cpu, i);
}

Outcome std_(Cpu& cpu, const Instruction& i) {
    cpu.flags |= rflags::df;
    return next(cpu, i);
}

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded&, Instruction&) { return handler; }

} // namespace

std::span<const OpRow> flag_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_PUSHF, bind<pushf<u16>>},
        {ZYDIS_MNEMONIC_PUSHFD, bind<pushf<u32>>},
        {ZYDIS_MNEMONIC_PUSHFQ, bind<pushf<u64>>},
        {ZYDIS_MNEMONIC_POPF, bind<popf<u16>>, ends_block},
        {ZYDIS_MNEMONIC_POPFD, bind<popf<u32>>, ends_block},
        {ZYDIS_MNEMONIC_POPFQ, bind<popf<u64>>, ends_block},
        {ZYDIS_MNEMONIC_LAHF, bind<lahf>},
        {ZYDIS_MNEMONIC_SAHF, bind<sahf>},
        {ZYDIS_MNEMONIC_CLC, bind<clc>},
        {ZYDIS_MNEMONIC_STC, bind<stc>},
        {ZYDIS_MNEMONIC_CMC, bind<cmc>},
        {ZYDIS_MNEMONIC_CLD, bind<cld>},
        {ZYDIS_MNEMONIC_STD, bind<std_>},
    };
    return rows;
}

} // namespace vitrine::ops
