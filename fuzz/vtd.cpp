// SPDX-License-Identifier: Apache-2.0
// Fuzzes the remapping unit: a driver's registers, tables and queue, devices' DMA and interrupts, and state that somebody wrote.
#include "vtd/test_driver.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <vector>

namespace vitrine::vtd {

namespace {

constexpr u64 ram = 4_MiB;

/// Mostly in RAM and with bits that mean something, sometimes anything.
u64 word(FuzzedDataProvider& input) {
    switch (input.ConsumeIntegralInRange<unsigned>(0, 3)) {
    case 0:
        return input.ConsumeIntegral<u64>();
    case 1:
        return input.ConsumeIntegralInRange<u64>(0, ram / page_size - 1) * page_size | input.ConsumeIntegral<u8>();
    case 2:
        return input.ConsumeIntegralInRange<u64>(0, 63);
    default:
        return Driver::tables | input.ConsumeIntegral<u8>();
    }
}

u16 source(FuzzedDataProvider& input) { return input.ConsumeBool() ? Driver::device : input.ConsumeIntegral<u16>(); }

void act(FuzzedDataProvider& input, Driver& d) {
    u64 value = 0;
    switch (input.ConsumeIntegralInRange<unsigned>(0, 9)) {
    case 0:
        return d.reg64(input.ConsumeIntegralInRange<u64>(0, 0x50) * 8, word(input));
    case 1:
        return d.reg32(input.ConsumeIntegralInRange<u64>(0, region_size / 4 - 1) * 4, input.ConsumeIntegral<u32>());
    case 2:
        (void)d.reg64(input.ConsumeIntegralInRange<u64>(0, 0x50) * 8);
        return;
    case 3:
        (void)d.write(word(input), input.ConsumeIntegral<u64>(), source(input));
        return;
    case 4:
        (void)d.read(word(input), value, source(input));
        return;
    case 5:
        return d.interrupt(0xfee0'0000 | (input.ConsumeIntegral<u32>() & 0xf'fffc), input.ConsumeIntegral<u32>(), source(input));
    case 6:
        d.put(word(input), word(input));
        return d.ring();
    case 7:
        return d.mem(input.ConsumeIntegralInRange<u64>(0, ram / 8 - 1) * 8, word(input));
    case 8: { // tables of the device and entries of its interrupts
        const u64 at = input.ConsumeBool() ? Driver::contexts + 16 * (Driver::device & 0xff) : Driver::irt + 16 * input.ConsumeIntegralInRange<u64>(0, 300);
        d.mem(at, word(input));
        return d.mem(at + 8, word(input));
    }
    default:
        return d.command(bit(input.ConsumeIntegralInRange<unsigned>(22, 31)));
    }
}

} // namespace

} // namespace vitrine::vtd

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace vitrine;
    using namespace vitrine::vtd;
    FuzzedDataProvider input(data, size);
    Driver d({.extended_interrupt_mode = input.ConsumeBool(), .caching_mode = input.ConsumeBool(), .address_bits = input.ConsumeBool() ? 48u : 39u}, nullptr, ram);
    d.attach(Driver::domain, 3);
    if (input.ConsumeIntegralInRange<unsigned>(0, 9) == 0) {
        // State with a few bytes exchanged: refused, or a unit that can be used.
        testing_support::Saver saver;
        d.unit.state(saver);
        for (unsigned n = input.ConsumeIntegralInRange<unsigned>(0, 20); n > 0; --n)
            saver.data[input.ConsumeIntegralInRange<std::size_t>(0, saver.data.size() - 1)] = input.ConsumeIntegral<u8>();
        testing_support::Loader loader(saver.data);
        d.unit.state(loader);
    } else if (input.ConsumeBool()) {
        d.start_translation();
        d.start_remapping();
        d.start_queue();
    }
    while (input.remaining_bytes() > 0)
        act(input, d);
    (void)d.unit.describe();
    (void)d.unit.describe_walk(Driver::device, 0x7000);
    (void)d.unit.describe_interrupt(3);
    return 0;
}
