// SPDX-License-Identifier: Apache-2.0
// All general-purpose rows in one list.
#include "x86/ops/integer.h"

#include <vector>

namespace vitrine {

std::span<const OpRow> integer_rows() {
    static const std::vector<OpRow> rows = [] {
        std::vector<OpRow> all;
        for (const auto group : {ops::move_rows(), ops::arithmetic_rows(), ops::exchange_rows(), ops::shift_rows(),
                                 ops::multiply_rows(), ops::bit_rows(), ops::decimal_rows(), ops::stack_rows(),
                                 ops::flag_rows(), ops::hint_rows()})
            all.insert(all.end(), group.begin(), group.end());
        return all;
    }();
    return rows;
}

} // namespace vitrine
