// SPDX-License-Identifier: Apache-2.0
// What --device i82576 and --device i82599 plug in: an adapter behind a root port of its own, on its network.
#pragma once

#include "base/error.h"
#include "machine/config.h"

namespace vitrine::machine {

class Board;

Expected<> plug_i82576(const DeviceConfig& device, Board& board);
Expected<> plug_i82599(const DeviceConfig& device, Board& board);

} // namespace vitrine::machine
