// SPDX-License-Identifier: Apache-2.0
// Fuzzes the network adapters: drivers of either chip and of its virtual functions, a network, and a hypervisor that remaps their DMA.
#include "choices.h"
#include "machine/remapped_board.h"
#include "vtc/hostile_driver.h"

#include <cstdio>
#include <cstdlib>

namespace {

using namespace vitrine;

template <class Chip, class Board> void drive(FuzzedDataProvider& input, Choices& choices) {
    vtc::HostileDriver<Chip, Board> driver(choices);
    while (input.remaining_bytes() > 0) {
        driver.act();
        if (const std::string wrong = driver.check(); !wrong.empty()) {
            std::fprintf(stderr, "%s\n", wrong.c_str());
            std::abort();
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    FuzzedDataProvider input(data, size);
    FuzzedChoices choices(input);
    constexpr void (*drivers[])(FuzzedDataProvider&, Choices&) = {
        drive<vtc::I82576, pci::TestBoard>,
        drive<vtc::I82599, pci::TestBoard>,
        drive<vtc::I82576, machine::RemappedBoard>,
        drive<vtc::I82599, machine::RemappedBoard>,
    };
    drivers[choices.below(std::size(drivers))](input, choices);
    return 0;
}
