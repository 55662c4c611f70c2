// SPDX-License-Identifier: Apache-2.0
// x87 arithmetic: the guest's registers stay in the host's x87 while its processor runs; each instruction is a thunk. The pointers to
// the last instruction and operand are kept in software, so that they are the guest's, and the same on every host.
#include "x86/ops/x87.h"

#include "x86/ops.h"

#include <algorithm>
#include <vector>

namespace vitrine {

namespace {

enum class Memory { none, load, store };

/// Exceptions that, unmasked, keep a store from being done: the operand is invalid or does not fit.
constexpr u16 blocks_store = 0x01 | 0x08 | 0x10;

u16 x87_control() {
    u16 control;
    asm volatile("fnstcw %0" : "=m"(control));
    return control;
}

template <Memory memory> Outcome run_x87(Cpu& cpu, const Instruction& i) {
    TRY(enter_x87(cpu));
    FpuState& fpu = cpu.fpu;
    const auto point = [&] {
        fpu.fip = cpu.rip_of(i);
        fpu.last_opcode = i.third;
        fpu.last_valid = true;
        if constexpr (memory != Memory::none)
            fpu.last_operand = cpu.offset_of(i);
    };
    if constexpr (memory == Memory::none) {
        point();
        run_thunk(cpu, i, nullptr);
    } else {
        constexpr Use use = memory == Memory::load ? Use::read : Use::write;
        const unsigned size = i.operand_size;
        const Linear a = TRY(cpu.address(i, size, use));
        u8* const direct = TRY(cpu.direct(a, size, use));
        alignas(16) u8 bounce[16];
        if (direct) [[likely]] {
            point();
            run_thunk(cpu, i, direct);
        } else if constexpr (memory == Memory::load) {
            TRY(cpu.load_bytes(a, bounce, size));
            point();
            run_thunk(cpu, i, bounce);
        } else {
            TRY(cpu.probe(a, size, use));
            point();
            run_thunk(cpu, i, bounce);
            if (!(x87_status() & ~x87_control() & blocks_store))
                TRY(cpu.store_bytes(a, bounce, size));
        }
    }
    return next(cpu, i);
}

Handler bind_x87(const Decoded& d, Instruction& out) {
    if (const Handler h = refused(d.mode, FpuUnit::x87))
        return h;
    const ZydisDecodedOperand* memory = nullptr;
    for (unsigned n = 0; n < d.info.operand_count; ++n)
        if (d.is_memory(n))
            memory = &d.operands[n];
    const auto flag = [](u32 f) { return (f & static_cast<u32>(rflags::status)) != 0; };
    const ZydisAccessedFlags* flags = d.info.cpu_flags;
    ThunkKind kind{.x87 = true};
    if (flags) {
        kind.flags_out = flag(flags->modified | flags->set_0 | flags->set_1 | flags->undefined);
        kind.flags_in = kind.flags_out || flag(flags->tested);
    }
    out.extra = reinterpret_cast<const void*>(d.thunks->get(d, kind));
    // FOP: the low three bits of the first byte and the second one.
    out.third = static_cast<u16>((d.info.opcode & 7) << 8 | d.bytes[d.info.raw.modrm.offset]);
    if (!out.extra)
        return nullptr;
    if (!memory)
        return run_x87<Memory::none>;
    out.operand_size = static_cast<u8>(memory->size / 8);
    return memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? run_x87<Memory::store> : run_x87<Memory::load>;
}

constexpr OpRow arithmetic_rows[] = {
#define X87(id) {ZYDIS_MNEMONIC_##id, bind_x87},
#include "x86/ops/x87.def"
#undef X87
};

} // namespace

// ---- residence ------------------------------------------------------------------------------------------------------

void load_x87(Cpu& cpu) {
    alignas(16) u8 image[fxsave::size]{};
    std::memcpy(image, cpu.fpu.x87.data(), cpu.fpu.x87.size());
    asm volatile("stmxcsr %0" : "=m"(*reinterpret_cast<u32*>(image + fxsave::mxcsr)));
    asm volatile("fxrstor64 %0"
                 :
                 : "m"(image)
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
                   "xmm13", "xmm14", "xmm15");
    cpu.x87_in_host = true;
    cpu.fpu.forget_last();
    control_changed(cpu);
}

void Cpu::save_x87() {
    if (!x87_in_host)
        return;
    settle_pointers(*this);
    alignas(16) u8 image[fxsave::size];
    asm volatile("fxsave64 %0\n\tfninit" : "=m"(image));
    x87_in_host = x87_quiet = false;
    fpu.forget_last();
    fpu.x87.fill(0);
    std::memcpy(fpu.x87.data(), image, 5); // control, status, abridged tags
    for (unsigned n = 0; n < 8; ++n)
        std::memcpy(fpu.x87.data() + fxsave::st + 16 * n, image + fxsave::st + 16 * n, 10);
}

void Cpu::drop_x87() {
    if (x87_in_host)
        asm volatile("fninit");
    x87_in_host = x87_quiet = false;
    fpu.forget_last();
}

void control_changed(Cpu& cpu) {
    constexpr u16 all_masked = 0x3f;
    cpu.x87_quiet = (x87_control() & all_masked) == all_masked && !(x87_status() & x87_es);
}

void settle_pointers(Cpu& cpu) {
    FpuState& fpu = cpu.fpu;
    if (!fpu.last_valid || !(x87_status() & x87_es))
        return;
    if ((fpu.last_opcode & 0xff) < 0xc0) // a ModRM byte that names memory
        fpu.fdp = fpu.last_operand;
    fpu.fop = fpu.last_opcode & 0x7ff;
    fpu.last_valid = false;
}

Faultable<> pending_x87_exception(Cpu& cpu) {
    settle_pointers(cpu);
    if (cpu.cr0 & cr0::ne)
        return cpu.raise(Vector::mf);
    // The DOS way: FERR# to the 8259, which answers through port F0h. Nothing is connected to FERR#; the exception is dropped.
    cpu.glass().odd(Topic::cpu, "x87.ferr-ignored", {{"rip", cpu.rip}, {"status", x87_status()}});
    asm volatile("fnclex");
    control_changed(cpu);
    return {};
}

std::span<const OpRow> x87_rows() {
    static const std::vector<OpRow> rows = [] {
        std::vector<OpRow> all;
        for (const std::span<const OpRow> part : {std::span<const OpRow>(arithmetic_rows), x87_control_rows(), fxsave_rows(), xsave_rows()})
            all.insert(all.end(), part.begin(), part.end());
        return all;
    }();
    return rows;
}

} // namespace vitrine
