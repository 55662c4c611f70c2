// SPDX-License-Identifier: Apache-2.0
// Fuzzes the NVMe controller: a guest's accesses to registers, doorbells, MSI-X table, configuration space and queue
// memory, and state that somebody wrote.
#include "devices/nvme_driver.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

namespace vitrine::nvme {

namespace {

constexpr u64 ram = 1_MiB;

/// Mostly pages of RAM, sometimes anything.
u64 address(FuzzedDataProvider& input) {
    return input.ConsumeBool() ? input.ConsumeIntegralInRange<u64>(0, ram / page_size) * page_size
                               : input.ConsumeIntegral<u64>();
}

void command(FuzzedDataProvider& input, Driver& d) {
    const unsigned queue = input.ConsumeIntegralInRange<unsigned>(0, 3);
    Driver::Queue q{0x10000 + queue * 0x10000, 0, 8, input.ConsumeIntegralInRange<u32>(0, 7)};
    d.put(q, {.opcode = input.ConsumeIntegralInRange<u8>(0, 0x10),
              .flags = static_cast<u8>(input.ConsumeBool() ? 0 : input.ConsumeIntegral<u8>()),
              .cid = input.ConsumeIntegral<u16>(),
              .nsid = input.ConsumeIntegralInRange<u32>(0, 2) - 1,
              .prp1 = address(input),
              .prp2 = address(input),
              .dw10 = input.ConsumeIntegral<u32>(),
              .dw11 = input.ConsumeIntegral<u32>(),
              .dw12 = input.ConsumeIntegral<u32>(),
              .dw13 = input.ConsumeIntegral<u32>()});
    d.reg(doorbells + 8 * queue, q.tail);
}

void act(FuzzedDataProvider& input, Driver& d) {
    switch (input.ConsumeIntegralInRange<unsigned>(0, 8)) {
    case 0:
        return d.reg(input.ConsumeIntegralInRange<u64>(0, 0xfff) * 4, input.ConsumeIntegral<u32>());
    case 1:
        return d.board.write64(Driver::registers + input.ConsumeIntegralInRange<u64>(0, 0x7ff) * 8,
                               input.ConsumeIntegral<u64>());
    case 2:
        d.disk.config_write(input.ConsumeIntegralInRange<unsigned>(0, 0x3ff) * 4, 4, input.ConsumeIntegral<u32>());
        return d.map();
    case 3:
        return d.reg(doorbells + input.ConsumeIntegralInRange<u64>(0, 15) * 4,
                     input.ConsumeIntegralInRange<u32>(0, 20));
    case 4:
        return d.board.space->write<u64>(Physical{input.ConsumeIntegralInRange<u64>(0, ram / 8 - 1) * 8},
                                         address(input), Requester::from_cpu(0));
    case 5:
        return d.board.pass(input.ConsumeIntegralInRange<u64>(0, 50'000));
    case 6:
        return d.enable(input.ConsumeIntegralInRange<u32>(1, 64));
    default:
        command(input, d);
    }
}

} // namespace

} // namespace vitrine::nvme

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace vitrine;
    FuzzedDataProvider input(data, size);
    nvme::Driver d({.queues = 4}, 64_KiB, nvme::ram);
    if (input.ConsumeIntegralInRange<unsigned>(0, 9) == 0) {
        // State with a few bytes exchanged: refused, or a controller that can be used.
        std::vector<u8> state = pci::save(d.disk);
        for (unsigned n = input.ConsumeIntegralInRange<unsigned>(0, 20); n > 0; --n)
            state[input.ConsumeIntegralInRange<std::size_t>(0, state.size() - 1)] = input.ConsumeIntegral<u8>();
        static_cast<void>(pci::load(d.disk, state));
        d.map();
    } else if (input.ConsumeBool()) {
        d.start();
    }
    while (input.remaining_bytes() > 0)
        nvme::act(input, d);
    d.board.pass(100'000);
    return 0;
}
