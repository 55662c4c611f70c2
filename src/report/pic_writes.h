// SPDX-License-Identifier: Apache-2.0
// Which register of an 8259 pair a byte written to its ports means: the chips tell ICWs from OCWs by what came before.
// (Intel 8259A data sheet.)
#pragma once

#include "words/integers.h"

#include <array>
#include <optional>
#include <string_view>

namespace vitrine::report {

class PicWrites {
public:
    /// Nothing when the port is not one of theirs.
    std::optional<std::string_view> write(u16 port, u8 value);

private:
    struct Chip {
        u8 expects = 0; ///< the next ICW; 0: the initialisation is over
        bool single = false, icw4 = false;
    };

    std::array<Chip, 2> chips_; ///< master, slave
};

} // namespace vitrine::report
