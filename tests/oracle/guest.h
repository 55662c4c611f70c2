// SPDX-License-Identifier: Apache-2.0
// Vitrine's side, by either engine: a bare processor in 64-bit or compatibility mode at CPL 3, with the pages of case.h.
#pragma once

#include "settings.h"

#include "jit/translator.h"
#include "x86/bare_machine.h"

namespace vitrine::oracle {

class Guest final : public Interceptor {
public:
    /// With `translated`, code is run by the translator wherever it takes it.
    /// The host, where there is one, has one page of code.
    explicit Guest(bool translated = false, unsigned code_pages = 1);

    /// For blocks: a processor in that setting with the case's registers and memory; its code is the bytes and, behind them, a jump to
    /// itself.
    void put_block(const Setting& setting, const Case& begin, std::span<const u8> bytes);
    /// Executes so many instructions, REP's iterations counted, or as far as an exception. False when the processor has stopped or waits.
    bool go(u64 count);
    /// Translates the block at rip, and with `paths` whatever is known to follow it, as if it had been run often.
    bool translate(bool paths);
    /// What the code and the data have become; as large as they are mapped.
    std::span<const u8> code_memory() { return {at(code_at), 2 * page_size}; }
    std::span<const u8> data_memory() { return {at(data_at), memory_size}; }
    BareMachine& machine() { return machine_; }
    /// The exception that ended the last go(); null if it came to its end.
    const Event* ended_by() const { return happened_ ? &event_ : nullptr; }

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

    Block* known_block();
    void put_code(u64 address, std::span<const u8> bytes, bool jump_behind);
    void take(Side& out);
    void put_segments(const Case& c);
    void put_registers(const Case& c);
    void take_registers(Registers& g);

    std::unique_ptr<BareMachine> owner_;
    BareMachine& machine_;
    std::unique_ptr<jit::Translator> translator_;
    u64 address_ = 0; ///< linear, of the code that was put
    bool happened_ = false;
    Event event_;
};

} // namespace vitrine::oracle
