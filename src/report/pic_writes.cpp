// SPDX-License-Identifier: Apache-2.0
// The 8259's sequence of initialisation words.
#include "report/pic_writes.h"

namespace vitrine::report {

namespace {

enum Register : u8 { icw1, icw2, icw3, icw4, ocw1, ocw2, ocw3 };

constexpr std::string_view names[2][7] = {
    {"master ICW1", "master ICW2", "master ICW3", "master ICW4", "master OCW1", "master OCW2", "master OCW3"},
    {"slave ICW1", "slave ICW2", "slave ICW3", "slave ICW4", "slave OCW1", "slave OCW2", "slave OCW3"},
};

} // namespace

std::optional<std::string_view> PicWrites::write(u16 port, u8 value) {
    if ((port & ~1) != 0x20 && (port & ~1) != 0xa0)
        return std::nullopt;
    const unsigned n = port >= 0xa0;
    Chip& chip = chips_[n];
    const auto is = [n](Register r) { return names[n][r]; };
    if (!(port & 1)) {
        if (!(value & 0x10))
            return is(value & 0x08 ? ocw3 : ocw2);
        chip = {.expects = 2, .single = (value & 2) != 0, .icw4 = (value & 1) != 0};
        return is(icw1);
    }
    const u8 after3 = chip.icw4 ? 4 : 0;
    switch (chip.expects) {
    case 2:
        chip.expects = chip.single ? after3 : 3;
        return is(icw2);
    case 3:
        chip.expects = after3;
        return is(icw3);
    case 4:
        chip.expects = 0;
        return is(icw4);
    default:
        return is(ocw1);
    }
}

} // namespace vitrine::report
