// SPDX-License-Identifier: Apache-2.0
// Memory types as good firmware leaves them: RAM write-back, device windows uncached.
#pragma once

#include "firmware/board.h"
#include "firmware/boot_state.h"

namespace vitrine::firmware {

/// MTRRs for every processor; at most eight variable ranges.
std::vector<MsrValue> memory_types(const Board& board);

} // namespace vitrine::firmware
