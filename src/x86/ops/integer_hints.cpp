// SPDX-License-Identifier: Apache-2.0
// Instructions without a result: no-operations and hints, fences, cache-line flushes, and the ones that are undefined on purpose.
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

namespace vitrine::ops {

namespace {

/// Hints do not touch their operand. Fences order nothing, for everything happens in order here.
Outcome nothing(Cpu& cpu, const Instruction& i) { return next(cpu, i); }

/// The caches are transparent; what remains is the access, which counts as a load of one byte.
Outcome flush_line(Cpu& cpu, const Instruction& i) {
    const Linear a = TRY(cpu.address(i, 1, Use::read));
    TRY(cpu.probe(a, 1, Use::read));
    return next(cpu, i);
}

Outcome undefined(Cpu& cpu, const Instruction&) { return cpu.ud(); }

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded&, Instruction&) { return handler; }

} // namespace

std::span<const OpRow> hint_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_NOP, bind<nothing>},
        {ZYDIS_MNEMONIC_ENDBR32, bind<nothing>},
        {ZYDIS_MNEMONIC_ENDBR64, bind<nothing>},
        {ZYDIS_MNEMONIC_CLDEMOTE, bind<nothing>},
        // Without MPX and CET these are no-operations.
        {ZYDIS_MNEMONIC_BNDMK, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDCL, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDCU, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDCN, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDMOV, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDLDX, bind<nothing>},
        {ZYDIS_MNEMONIC_BNDSTX, bind<nothing>},
        {ZYDIS_MNEMONIC_RDSSPD, bind<nothing>},
        {ZYDIS_MNEMONIC_RDSSPQ, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCH, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHW, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHWT1, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHNTA, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHT0, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHT1, bind<nothing>},
        {ZYDIS_MNEMONIC_PREFETCHT2, bind<nothing>},
        {ZYDIS_MNEMONIC_LFENCE, bind<nothing>},
        {ZYDIS_MNEMONIC_MFENCE, bind<nothing>},
        {ZYDIS_MNEMONIC_SFENCE, bind<nothing>},
        {ZYDIS_MNEMONIC_CLFLUSH, bind<flush_line>},
        {ZYDIS_MNEMONIC_CLFLUSHOPT, bind<flush_line>},
        {ZYDIS_MNEMONIC_CLWB, bind<flush_line>},
        {ZYDIS_MNEMONIC_UD0, bind<undefined>, ends_block},
        {ZYDIS_MNEMONIC_UD1, bind<undefined>, ends_block},
        {ZYDIS_MNEMONIC_UD2, bind<undefined>, ends_block},
    };
    return rows;
}

} // namespace vitrine::ops
