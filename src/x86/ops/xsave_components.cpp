// SPDX-License-Identifier: Apache-2.0
// State components one by one (SDM volume 1, XSAVE-Managed State).
#include "x86/ops/xsave.h"

#include "x86/ops/fpu_rules.h"

#include <algorithm>
#include <cstring>

namespace vitrine {

namespace {

/// Vector registers that the mode can name among the first sixteen.
unsigned visible_registers(const Cpu& cpu) { return cpu.mode64() ? 16 : 8; }

/// Where a vector component keeps its part of a register.
struct Slice {
    unsigned first, from, size; ///< first register, first byte of it, bytes
};

Slice slice_of(unsigned component) {
    switch (component) {
    case 2: return {0, 16, 16};
    case 6: return {0, 32, 32};
    default: return {16, 0, 64}; // 7
    }
}

unsigned count_of(const Cpu& cpu, unsigned component) {
    return component == 7 ? cpu.mode64() ? 16 : 0 : visible_registers(cpu);
}

bool used(const Cpu& cpu, const Slice& s, unsigned count) {
    for (unsigned n = s.first; n < s.first + count; ++n)
        for (unsigned b = s.from; b < s.from + s.size; ++b)
            if (cpu.fpu.zmm[n][b])
                return true;
    return false;
}

} // namespace

u64 xinuse(const Cpu& cpu) {
    const FpuState& f = cpu.fpu;
    u64 in_use = 0;
    if (!f.x87_initial())
        in_use |= xstate_x87;
    if (used(cpu, {0, 0, 16}, visible_registers(cpu)))
        in_use |= xstate_sse;
    for (const unsigned component : {2u, 6u, 7u})
        if (used(cpu, slice_of(component), count_of(cpu, component)))
            in_use |= bit(component);
    if (std::any_of(f.k.begin(), f.k.end(), [](u64 k) { return k != 0; }))
        in_use |= xstate_opmask;
    if (cpu.pkru)
        in_use |= xstate_pkru;
    return in_use;
}

unsigned component_size(const Cpu& cpu, unsigned component) {
    switch (component) {
    case 2:
    case 6:
    case 7: return count_of(cpu, component) * slice_of(component).size;
    case 5: return 64;
    case 9: return 8;
    default: return 0;
    }
}

void component_to(const Cpu& cpu, unsigned component, u8* to) {
    switch (component) {
    case 2:
    case 6:
    case 7: {
        const Slice s = slice_of(component);
        for (unsigned n = 0; n < count_of(cpu, component); ++n)
            std::memcpy(to + n * s.size, cpu.fpu.zmm[s.first + n].data() + s.from, s.size);
        break;
    }
    case 5: std::memcpy(to, cpu.fpu.k.data(), 64); break;
    case 9:
        std::memset(to, 0, 8);
        std::memcpy(to, &cpu.pkru, 4);
        break;
    }
}

void component_from(Cpu& cpu, unsigned component, const u8* from) {
    const auto copy = [](void* to, const u8* source, unsigned size) {
        if (source)
            std::memcpy(to, source, size);
        else
            std::memset(to, 0, size);
    };
    switch (component) {
    case 2:
    case 6:
    case 7: {
        const Slice s = slice_of(component);
        for (unsigned n = 0; n < count_of(cpu, component); ++n)
            copy(cpu.fpu.zmm[s.first + n].data() + s.from, from ? from + n * s.size : nullptr, s.size);
        break;
    }
    case 5: copy(cpu.fpu.k.data(), from, 64); break;
    case 9:
        copy(&cpu.pkru, from, 4);
        cpu.paging_changed();
        break;
    }
}

void x87_to(const Cpu& cpu, u8* image, bool wide) {
    const FpuState& f = cpu.fpu;
    std::memset(image, 0, fxsave::mxcsr);
    std::memcpy(image, f.x87.data(), 5);
    std::memcpy(image + fxsave::fop, &f.fop, 2);
    std::memcpy(image + fxsave::fip, &f.fip, wide ? 8 : 4); // FCS and FDS are deprecated: 0
    std::memcpy(image + fxsave::fdp, &f.fdp, wide ? 8 : 4);
    std::memcpy(image + fxsave::st, f.x87.data() + fxsave::st, 128);
}

void x87_from(Cpu& cpu, const u8* image, bool wide) {
    cpu.drop_x87();
    FpuState& f = cpu.fpu;
    f.x87.fill(0);
    std::memcpy(f.x87.data(), image, 5);
    f.set_word(fxsave::fcw, static_cast<u16>((f.fcw() & 0x1f7f) | 0x40)); // reserved bits as the host's FLDCW leaves them
    for (unsigned n = 0; n < 8; ++n)
        std::memcpy(f.x87.data() + fxsave::st + 16 * n, image + fxsave::st + 16 * n, 10);
    f.fop = f.fip = f.fdp = 0;
    std::memcpy(&f.fop, image + fxsave::fop, 2);
    f.fop &= 0x7ff;
    std::memcpy(&f.fip, image + fxsave::fip, wide ? 8 : 4);
    std::memcpy(&f.fdp, image + fxsave::fdp, wide ? 8 : 4);
    f.summarize_exceptions();
}

void x87_initialize(Cpu& cpu) {
    cpu.drop_x87();
    cpu.fpu.x87.fill(0);
    cpu.fpu.initialize_x87();
}

void sse_to(const Cpu& cpu, u8* image) {
    for (unsigned n = 0; n < visible_registers(cpu); ++n)
        std::memcpy(image + fxsave::xmm + 16 * n, cpu.fpu.zmm[n].data(), 16);
}

void sse_from(Cpu& cpu, const u8* image) {
    for (unsigned n = 0; n < visible_registers(cpu); ++n)
        if (image)
            std::memcpy(cpu.fpu.zmm[n].data(), image + fxsave::xmm + 16 * n, 16);
        else
            std::memset(cpu.fpu.zmm[n].data(), 0, 16);
}

} // namespace vitrine
