// SPDX-License-Identifier: Apache-2.0
// For tests: small programs in the interpreter and in the translator, slice by slice, compared after each one.
#pragma once

#include "jit/translator.h"
#include "x86/bare_machine.h"

#include <gtest/gtest.h>

#include <functional>

namespace vitrine::jit {

using Program = std::function<void(asmjit::x86::Assembler&)>;

struct Machine : BareMachine {
    explicit Machine(bool translated, u64 size = least_code_cache) {
        if (!translated)
            return;
        translator = std::make_unique<Translator>(size);
        translator->prove_blocks();
        code.connect(translator.get());
        cpu.connect(*translator);
    }

    /// Compatibility mode with flat segments, but FS and GS.
    void compatibility_mode() {
        cpu.segments[cs].rights = (cpu.segments[cs].rights & ~0x2000u) | 0x4000;
        cpu.segments[fs].base = 0x8000;
        cpu.segments[gs].base = data_at;
        cpu.mode_changed();
    }

    void load(const Program& program) {
        asmjit::CodeHolder holder;
        const auto arch = cpu.mode64() ? asmjit::Arch::kX64 : asmjit::Arch::kX86;
        ASSERT_EQ(holder.init(asmjit::Environment(arch), code_at), asmjit::kErrorOk);
        asmjit::x86::Assembler a(&holder);
        program(a);
        ASSERT_EQ(holder.flatten(), asmjit::kErrorOk);
        ASSERT_EQ(holder.resolveUnresolvedLinks(), asmjit::kErrorOk);
        ASSERT_EQ(holder.relocateToBase(code_at), asmjit::kErrorOk);
        std::vector<u8> bytes(holder.codeSize());
        holder.copyFlattenedData(bytes.data(), bytes.size());
        put(code_at, bytes);
    }

    std::unique_ptr<Translator> translator;
};

/// Runs the program on both in slices of `slice`, and compares after each one. `prepare` sees both machines before they
/// begin.
inline void compare(const Program& program, u64 slice, u64 slices, const std::function<void(Machine&)>& prepare = {}) {
    Machine interpreted(false), translated(true);
    for (Machine* m : {&interpreted, &translated}) {
        if (prepare)
            prepare(*m);
        m->load(program);
    }
    for (u64 n = 0; n < slices; ++n) {
        const RunEnd a = interpreted.run(slice), b = translated.run(slice);
        ASSERT_EQ(a, b) << "slice " << n << ": " << interpreted.cpu.stop_reason().text << " / "
                        << translated.cpu.stop_reason().text;
        ASSERT_EQ(interpreted.cpu.rip, translated.cpu.rip) << "slice " << n << " of " << slice;
        for (unsigned r = 0; r < 16; ++r)
            ASSERT_EQ(interpreted.cpu.gpr[r], translated.cpu.gpr[r])
                << "register " << r << " after slice " << n << " of " << slice;
        ASSERT_EQ(interpreted.cpu.rflags(), translated.cpu.rflags()) << "slice " << n << " of " << slice;
        ASSERT_EQ(interpreted.cpu.retired, translated.cpu.retired);
        ASSERT_EQ(interpreted.cpu.cr2, translated.cpu.cr2);
        ASSERT_EQ(interpreted.clock.now(), translated.clock.now());
        const FpuState &x = interpreted.cpu.fpu, &y = translated.cpu.fpu;
        ASSERT_EQ(x.x87, y.x87) << "slice " << n << " of " << slice;
        ASSERT_EQ(x.fip, y.fip) << "slice " << n << " of " << slice;
        ASSERT_EQ(x.fdp, y.fdp);
        ASSERT_EQ(x.fop, y.fop);
        ASSERT_EQ(x.last_operand, y.last_operand);
        ASSERT_EQ(x.zmm, y.zmm);
        ASSERT_EQ(x.mxcsr, y.mxcsr) << "slice " << n << " of " << slice;
        if (a == RunEnd::stopped)
            break;
    }
    EXPECT_EQ(std::memcmp(interpreted.space->ram(), translated.space->ram(), 16_MiB), 0);
    if (slice * slices > 1'000'000) {
        EXPECT_GT(translated.translator->stats().blocks, 0u);
    }
}

} // namespace vitrine::jit
