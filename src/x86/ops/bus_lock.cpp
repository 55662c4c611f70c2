// SPDX-License-Identifier: Apache-2.0
// Instructions that lock the bus while they read and write memory. Nobody else writes meanwhile, so LOCK itself does
// nothing; but where the operand crosses a cache line (a split lock), or is a device's, a processor has to lock the bus
// for everybody: that can raise #AC (MSR_TEST_CTRL), and can be followed by a VM exit ("bus-lock detection"). What PAT
// and MTRRs say of RAM does not count here.
#include "x86/ops/bus_lock.h"

#include "x86/cpu.h"

namespace vitrine::ops {

namespace {

constexpr u64 line = 64;

Handler handler_of(const Instruction& i) {
    return reinterpret_cast<Handler>(reinterpret_cast<u64>(i.extra));
}

/// What the whole instruction does, from its operand's address on.
Outcome lock_bus(Cpu& cpu, const Instruction& i, Linear at) {
    const unsigned size = i.third;
    const bool split = at.value % line + size > line;
    if (split && (cpu.msr.test_ctrl & test_ctrl::split_lock_ac)) {
        TRY(cpu.probe(at, size, Use::write)); // a page fault comes first
        return cpu.raise(Vector::ac, 0);
    }
    if (cpu.intercepted(Intercept::bus_lock)) {
        // Nothing may fault any more when the exit that follows the instruction is asked for.
        TRY(cpu.probe(at, size, Use::write));
        const auto in_ram = [&] { return cpu.modify<u8>(at) || cpu.space().host(cpu.examine(at).page); };
        if (split || !in_ram())
            (void)cpu.interceptor->instruction(cpu, Intercept::bus_lock, i, 0);
    }
    return handler_of(i)(cpu, i);
}

bool watched(const Cpu& cpu) {
    return (cpu.msr.test_ctrl & test_ctrl::split_lock_ac) || cpu.intercepted(Intercept::bus_lock);
}

Outcome locked(Cpu& cpu, const Instruction& i) {
    if (!watched(cpu)) [[likely]]
        return handler_of(i)(cpu, i);
    const Linear at = TRY(cpu.address(i, i.third, Use::write));
    return lock_bus(cpu, i, at);
}

/// CMPXCHG16B: an operand that is not aligned is #GP, and an aligned one crosses nothing.
Outcome locked_aligned(Cpu& cpu, const Instruction& i) {
    if (!watched(cpu)) [[likely]]
        return handler_of(i)(cpu, i);
    const Linear at = TRY(cpu.address(i, i.third, Use::write));
    return at.value % i.third ? handler_of(i)(cpu, i) : lock_bus(cpu, i, at);
}

/// BTS and its kin with a register: it counts bits from the operand's address.
Outcome locked_bit(Cpu& cpu, const Instruction& i) {
    if (!watched(cpu)) [[likely]]
        return handler_of(i)(cpu, i);
    const u64 value = cpu.gpr[i.reg / 8u];
    const i64 n = i.third == 8   ? static_cast<i64>(value)
                  : i.third == 4 ? static_cast<i32>(value)
                                 : static_cast<i16>(value);
    Instruction operand = i;
    operand.displacement += (n >> (i.third == 8 ? 6 : i.third == 4 ? 5 : 4)) * i.third;
    const Linear at = TRY(cpu.address(operand, i.third, Use::write));
    return lock_bus(cpu, i, at);
}

bool bit_test(u16 mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_BTS || mnemonic == ZYDIS_MNEMONIC_BTR || mnemonic == ZYDIS_MNEMONIC_BTC;
}

} // namespace

Handler bind_lock(const Decoded& d, Instruction& out, Handler handler) {
    unsigned memory = 0;
    while (memory < d.visible() && !d.is_memory(memory))
        ++memory;
    if (memory == d.visible())
        return handler;
    out.extra = reinterpret_cast<const void*>(handler);
    out.third = static_cast<u16>(d.operand(memory).size / 8);
    if (bit_test(out.mnemonic) && d.is_register(1))
        return locked_bit;
    return out.third > 8 ? locked_aligned : locked;
}

} // namespace vitrine::ops
