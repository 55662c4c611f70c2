// SPDX-License-Identifier: Apache-2.0
// Vitrine's side, by either engine: a bare processor in 64-bit or compatibility mode at CPL 3, with the pages of case.h.
#pragma once

#include "case.h"

#include "jit/translator.h"
#include "x86/bare_machine.h"

namespace vitrine::oracle {

class Guest final : public Interceptor {
public:
    /// With `translated`, code is run by the translator wherever it takes it.
    explicit Guest(bool translated = false);

    /// A run of instructions from the case's address on, of which at most `count` are executed; `begin` is what the case says of
    /// registers and memory. False as for run().
    bool run_block(const Case& begin, std::span<const u8> bytes, u64 count, Side& out, std::string& why);
    u64 retired() const { return machine_.cpu.retired; }
    const jit::Translator* translator() const { return translator_.get(); }

    /// False when the instruction is not implemented; `why` then says it.
    bool run(const Case& c, Side& out, std::string& why);

    const CpuModel& model() const { return machine_.model; }

private:
    Outcome instruction(Cpu&, Intercept, const Instruction&, u64) override { return Outcome::next; }

    bool event(Cpu& cpu, const Event& event, const Event* during) override;

    void recorded(Cpu&, const Event*) override {}

    bool boundary(Cpu&, Intercept, u64) override { return false; }

    Faultable<bool> apic_access(Cpu&, Linear, Physical, void*, unsigned, ApicUse) override { return false; }

    u8 acknowledge_virtual(Cpu&) override { return 0; }

    u8* at(u64 physical) { return machine_.space->host(Physical{physical}); }

    Block* translate();
    void put_code(u64 address, std::span<const u8> bytes, bool jump_behind);
    void take(Side& out);
    void put_segments(const Case& c);
    void put_registers(const Case& c);
    void take_registers(Registers& g);

    std::unique_ptr<BareMachine> owner_;
    BareMachine& machine_;
    std::unique_ptr<jit::Translator> translator_;
    bool happened_ = false;
    Event event_;
};

} // namespace vitrine::oracle
