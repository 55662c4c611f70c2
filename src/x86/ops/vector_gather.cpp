// SPDX-License-Identifier: Apache-2.0
// Gathers and scatters, element by element from the lowest: a fault leaves the elements before it done and their mask bits clear.
#include "x86/ops/vector.h"

#include "x86/ops.h"

#include <bit>

namespace vitrine {

namespace {

template <class Index, class Data, bool evex, bool store> Outcome run_indexed(Cpu& cpu, const Instruction& i) {
    constexpr Use use = store ? Use::write : Use::read;
    const unsigned count = i.operand_size;
    u8* const data = cpu.fpu.zmm[i.reg].data();
    const u8* const index = cpu.fpu.zmm[i.rm].data();
    u8* const mask = cpu.fpu.zmm[i.condition].data(); // VEX
    u64& k = cpu.fpu.k[i.condition & 7];              // EVEX
    const auto active = [&](unsigned n) { return evex ? k >> n & 1 : mask[(n + 1) * sizeof(Data) - 1] >> 7; };
    const auto done = [&](unsigned n) {
        if constexpr (evex)
            k &= ~bit(n);
        else
            std::memset(mask + n * sizeof(Data), 0, sizeof(Data));
    };
    // The mask of a VEX gather becomes all ones or all zeros in each element of the vector's length before the first access.
    if constexpr (!evex) {
        const unsigned length = i.third >> 4;
        for (unsigned n = 0; n < length / sizeof(Data); ++n)
            std::memset(mask + n * sizeof(Data), active(n) ? 0xff : 0, sizeof(Data));
        clear_upper(cpu, i.condition, length);
    }
    for (unsigned n = 0; n < count; ++n) {
        if (!active(n))
            continue;
        Index at;
        std::memcpy(&at, index + n * sizeof(Index), sizeof(Index));
        const u64 offset = (cpu.offset_of(i) + (static_cast<u64>(static_cast<i64>(at)) << (i.third & 15))) & i.address_mask;
        const Linear a = TRY(cpu.segmented(static_cast<SegmentName>(i.segment), offset, sizeof(Data), use));
        Data value;
        if constexpr (store) {
            std::memcpy(&value, data + n * sizeof(Data), sizeof(Data));
            TRY(cpu.store<Data>(a, value));
        } else {
            value = TRY(cpu.load<Data>(a));
            std::memcpy(data + n * sizeof(Data), &value, sizeof(Data));
        }
        done(n);
    }
    if constexpr (evex)
        k = 0;
    else
        std::memset(mask, 0, 64);
    if constexpr (!store)
        clear_upper(cpu, i.reg, count * sizeof(Data));
    return next(cpu, i);
}

template <bool evex, bool store> Handler choose(bool index64, bool data64) {
    if (index64)
        return data64 ? run_indexed<i64, u64, evex, store> : run_indexed<i64, u32, evex, store>;
    return data64 ? run_indexed<i32, u64, evex, store> : run_indexed<i32, u32, evex, store>;
}

bool has_64_bit_index(ZydisMnemonic m) {
    switch (m) {
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VSCATTERQPS:
    case ZYDIS_MNEMONIC_VSCATTERQPD:
    case ZYDIS_MNEMONIC_VPSCATTERQD:
    case ZYDIS_MNEMONIC_VPSCATTERQQ: return true;
    default: return false;
    }
}

template <bool store> Handler bind_indexed(const Decoded& d, Instruction& out) {
    const VectorForm form(d);
    if (const Handler h = refused(d.mode, form.unit))
        return h;
    const bool evex = form.unit == FpuUnit::avx512;
    const ZydisDecodedOperandMem& mem = form.memory->mem;
    const bool index64 = has_64_bit_index(d.info.mnemonic), data64 = form.memory->element_size == 64;
    const unsigned mask_operand = evex ? 1 : 2, data_operand = store ? 2 : 0;
    out.reg = static_cast<u8>(register_number(d.operand(data_operand)));
    out.rm = static_cast<u8>(ZydisRegisterGetId(mem.index));
    out.condition = static_cast<u8>(register_number(d.operand(mask_operand)));
    out.index = zero_register;
    // Scale, and the vector length in bytes.
    out.third = static_cast<u16>(std::countr_zero(static_cast<unsigned>(mem.scale)) | d.info.avx.vector_length / 8 << 4);
    out.operand_size = static_cast<u8>(d.info.avx.vector_length / (index64 || data64 ? 64 : 32));
    return evex ? choose<true, store>(index64, data64) : choose<false, store>(index64, data64);
}

} // namespace

Handler bind_gather(const Decoded& d, Instruction& out) { return bind_indexed<false>(d, out); }

Handler bind_scatter(const Decoded& d, Instruction& out) { return bind_indexed<true>(d, out); }

} // namespace vitrine
