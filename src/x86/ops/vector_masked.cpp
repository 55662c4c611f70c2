// SPDX-License-Identifier: Apache-2.0
// Memory operands of which a mask chooses elements: EVEX writemasks, VMASKMOV, VPCOMPRESS, VPEXPAND, MASKMOVDQU. Elements that the mask
// leaves out are not accessed and cannot fault; of a store nothing is written before all of it is known to succeed.
#include "x86/ops/vector.h"

#include "x86/ops.h"

#include <bit>

namespace vitrine {

namespace {

enum class MaskFrom { opmask, vector };

/// What the binder leaves in Instruction's free fields.
struct Layout {
    unsigned element_log2; ///< bytes of an element in memory
    unsigned count;        ///< elements in memory
    unsigned governed;     ///< mask bits that matter; more than `count` when the operand is broadcast
    bool aligned = false;  ///< the whole operand must be aligned to its size
    bool whole = false;    ///< faults do not care for the mask: the whole operand is checked first

    void put(Instruction& out) const {
        out.third = static_cast<u16>(element_log2 | (governed - 1) << 4 | whole << 14 | aligned << 15);
        out.operand_size = static_cast<u8>(count << element_log2);
    }

    explicit Layout(const Instruction& i)
        : element_log2(i.third & 15u), count(unsigned{i.operand_size} >> element_log2), governed((i.third >> 4 & 0x3f) + 1u),
          aligned(i.third >> 15), whole(i.third >> 14 & 1) {}

    Layout(unsigned log2, unsigned n, unsigned bits, bool aligned_, bool whole_)
        : element_log2(log2), count(n), governed(bits), aligned(aligned_), whole(whole_) {}
};

/// Bit i: element i of memory is accessed.
template <MaskFrom from> u64 active_elements(const Cpu& cpu, const Instruction& i, const Layout& layout) {
    if constexpr (from == MaskFrom::vector) {
        u64 active = 0;
        const u8* mask = cpu.fpu.zmm[i.condition].data();
        const unsigned size = 1u << layout.element_log2;
        for (unsigned n = 0; n < layout.count; ++n)
            active |= u64{mask[(n + 1) * size - 1]} >> 7 << n;
        return active;
    } else {
        const u64 mask = cpu.fpu.k[i.condition] & low_mask(layout.governed);
        u64 active = 0;
        for (unsigned n = 0; n < layout.governed; n += layout.count)
            active |= mask >> n;
        return active & low_mask(layout.count);
    }
}

/// Calls `access(address, byte offset, bytes)` for each run of neighbouring active elements; stops at the first fault.
template <class Access>
Faultable<> for_each_run(Cpu& cpu, const Instruction& i, u64 active, unsigned log2, Use use, Access access) {
    while (active) {
        const unsigned first = static_cast<unsigned>(std::countr_zero(active));
        const unsigned n = static_cast<unsigned>(std::countr_one(active >> first));
        const unsigned at = first << log2, bytes = n << log2;
        Linear a{};
        if (i.checked)
            a = TRY(cpu.segmented(static_cast<SegmentName>(i.segment), (cpu.offset_of(i) + at) & i.address_mask, bytes, use));
        else
            a = TRY(cpu.address(i, bytes, use)) + at;
        TRY(access(a, at, bytes));
        active &= first + n >= 64 ? 0 : ~0ull << (first + n);
    }
    return {};
}

template <bool store, MaskFrom from, bool packed, bool floating> Outcome run_masked(Cpu& cpu, const Instruction& i) {
    constexpr Use use = store ? Use::write : Use::read;
    const Layout layout(i);
    u64 active = active_elements<from>(cpu, i, layout);
    if constexpr (packed)
        active = low_mask(static_cast<unsigned>(std::popcount(active)));
    alignas(64) u8 bounce[64]{};
    u32 result = thunk_done;
    const unsigned first = active ? static_cast<unsigned>(std::countr_zero(active)) : 0;
    const unsigned last = active ? 63u - static_cast<unsigned>(std::countl_zero(active)) : 0;
    u8* direct = nullptr;
    if (active && layout.aligned && (TRY(cpu.address(i, i.operand_size, use)).value & (i.operand_size - 1u)))
        return cpu.gp();
    if (layout.whole)
        TRY(cpu.probe(TRY(cpu.address(i, i.operand_size, use)), i.operand_size, use));
    if (active && !i.checked) {
        // The elements between are masked off on the host too: only the ends matter.
        const unsigned at = first << layout.element_log2, bytes = (last + 1 - first) << layout.element_log2;
        const Linear a = TRY(cpu.address(i, bytes, use)) + at;
        if (a.page_offset() + bytes <= page_size)
            direct = TRY(cpu.direct(a, bytes, use));
        if (direct)
            result = run_thunk(cpu, i, direct - at);
    }
    if (!direct) {
        if constexpr (store) {
            const auto probe = [&](Linear a, unsigned, unsigned n) { return cpu.probe(a, n, Use::write); };
            TRY(for_each_run(cpu, i, active, layout.element_log2, use, probe));
        } else {
            const auto load = [&](Linear a, unsigned at, unsigned n) { return cpu.load_bytes(a, bounce + at, n); };
            TRY(for_each_run(cpu, i, active, layout.element_log2, use, load));
        }
        result = run_thunk(cpu, i, bounce);
        if (store && result == thunk_done) {
            const auto write = [&](Linear a, unsigned at, unsigned n) { return cpu.store_bytes(a, bounce + at, n); };
            TRY(for_each_run(cpu, i, active, layout.element_log2, use, write));
        }
    }
    if constexpr (floating)
        if (result != thunk_done) [[unlikely]]
            return simd_exception(cpu);
    return next(cpu, i);
}

bool is_packed(ZydisMnemonic m) {
    switch (m) {
    case ZYDIS_MNEMONIC_VPCOMPRESSB:
    case ZYDIS_MNEMONIC_VPCOMPRESSW:
    case ZYDIS_MNEMONIC_VPCOMPRESSD:
    case ZYDIS_MNEMONIC_VPCOMPRESSQ:
    case ZYDIS_MNEMONIC_VCOMPRESSPS:
    case ZYDIS_MNEMONIC_VCOMPRESSPD:
    case ZYDIS_MNEMONIC_VPEXPANDB:
    case ZYDIS_MNEMONIC_VPEXPANDW:
    case ZYDIS_MNEMONIC_VPEXPANDD:
    case ZYDIS_MNEMONIC_VPEXPANDQ:
    case ZYDIS_MNEMONIC_VEXPANDPS:
    case ZYDIS_MNEMONIC_VEXPANDPD: return true;
    default: return false;
    }
}

/// Elements of the register for each one in memory, by Zydis' broadcast mode.
unsigned copies(ZydisBroadcastMode mode) {
    switch (mode) {
    case ZYDIS_BROADCAST_MODE_1_TO_2:
    case ZYDIS_BROADCAST_MODE_2_TO_4:
    case ZYDIS_BROADCAST_MODE_4_TO_8:
    case ZYDIS_BROADCAST_MODE_8_TO_16: return 2;
    case ZYDIS_BROADCAST_MODE_1_TO_4:
    case ZYDIS_BROADCAST_MODE_2_TO_8:
    case ZYDIS_BROADCAST_MODE_4_TO_16: return 4;
    case ZYDIS_BROADCAST_MODE_1_TO_8:
    case ZYDIS_BROADCAST_MODE_2_TO_16: return 8;
    case ZYDIS_BROADCAST_MODE_1_TO_16: return 16;
    case ZYDIS_BROADCAST_MODE_1_TO_32: return 32;
    case ZYDIS_BROADCAST_MODE_1_TO_64: return 64;
    default: return 1;
    }
}

template <MaskFrom from, bool packed> Handler choose(const VectorForm& f) {
    if (f.floating)
        return f.stores ? run_masked<true, from, packed, true> : run_masked<false, from, packed, true>;
    return f.stores ? run_masked<true, from, packed, false> : run_masked<false, from, packed, false>;
}

// ---- MASKMOVQ, MASKMOVDQU -------------------------------------------------------------------------------------------

/// MMX registers as the host holds them. Whoever asks is an MMX instruction: the top of stack becomes 0, all tags valid.
void mmx_registers(u64 (&to)[8]) {
    alignas(16) u8 image[512];
    asm volatile("movd %%mm0, %%eax\n\tfxsave64 %0" : "=m"(image)::"rax", "memory"); // a read changes no register
    for (unsigned n = 0; n < 8; ++n)
        std::memcpy(&to[n], image + 32 + 16 * n, 8);
}

template <bool mmx> Outcome run_maskmov(Cpu& cpu, const Instruction& i) {
    alignas(16) u8 data[16], mask[16];
    constexpr unsigned size = mmx ? 8 : 16;
    if constexpr (mmx) {
        TRY(enter_x87(cpu));
        u64 mm[8];
        mmx_registers(mm);
        std::memcpy(data, &mm[i.third & 7], 8);
        std::memcpy(mask, &mm[i.condition & 7], 8);
    } else {
        std::memcpy(data, cpu.fpu.zmm[i.third].data(), 16);
        std::memcpy(mask, cpu.fpu.zmm[i.condition].data(), 16);
    }
    u64 active = 0;
    for (unsigned n = 0; n < size; ++n)
        active |= u64{mask[n]} >> 7 << n;
    const auto probe = [&](Linear a, unsigned, unsigned n) { return cpu.probe(a, n, Use::write); };
    const auto store = [&](Linear a, unsigned at, unsigned n) { return cpu.store_bytes(a, data + at, n); };
    TRY(for_each_run(cpu, i, active, 0, Use::write, probe));
    TRY(for_each_run(cpu, i, active, 0, Use::write, store));
    return next(cpu, i);
}

} // namespace

Handler bind_masked_memory(const Decoded& d, const VectorForm& form, Instruction& out) {
    const Thunk thunk = thunk_of(d, form);
    if (!thunk)
        return nullptr;
    out.extra = reinterpret_cast<const void*>(thunk);
    // A dot product names small elements, but its mask governs the sums.
    unsigned element = form.memory->element_size;
    if (form.memory_size * 8u == d.info.avx.vector_length && d.is_register(0) && d.operand(0).element_size > element)
        element = d.operand(0).element_size;
    const unsigned count = form.memory_size * 8u / element;
    Layout(static_cast<unsigned>(std::countr_zero(element / 8)), count, count * copies(d.info.avx.broadcast.mode), form.aligned, !form.suppresses).put(out);
    out.condition = form.mask;
    return is_packed(d.info.mnemonic) ? choose<MaskFrom::opmask, true>(form) : choose<MaskFrom::opmask, false>(form);
}

Handler bind_masked_move(const Decoded& d, Instruction& out) {
    const VectorForm form(d);
    if (const Handler h = refused(d.mode, form.unit))
        return h;
    out.extra = reinterpret_cast<const void*>(thunk_of(d, form));
    const bool wide = d.info.mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD || d.info.mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ;
    const unsigned log2 = wide ? 3 : 2, count = form.memory_size >> log2;
    Layout(log2, count, count, false, false).put(out);
    out.condition = static_cast<u8>(register_number(d.operand(1)));
    return choose<MaskFrom::vector, false>(form);
}

Handler bind_maskmov(const Decoded& d, Instruction& out) {
    const VectorForm form(d);
    const bool mmx = d.info.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;
    if (const Handler h = refused(d.mode, mmx ? FpuUnit::mmx : form.unit))
        return h;
    // Visible operands: data, mask. The memory operand is [rDI].
    out.third = static_cast<u16>(register_number(d.operand(form.memory == &d.operands[0] ? 1 : 0)));
    out.condition = static_cast<u8>(register_number(d.operand(form.memory == &d.operands[0] ? 2 : 1)));
    out.base = rdi;
    out.index = zero_register;
    out.displacement = 0;
    return mmx ? run_maskmov<true> : run_maskmov<false>;
}

} // namespace vitrine
