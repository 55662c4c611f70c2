// SPDX-License-Identifier: Apache-2.0
// An adapter's EEPROM: 16-bit words, made with the right checksum.
#pragma once

#include "vtc/packet.h"

#include <array>

namespace vitrine::vtc {

using Nvm = std::array<u16, 1024>;

/// Words 0 to 3Fh sum up to BABAh; words 0 to 2 are the MAC address, the first byte on the wire is the lowest.
Nvm make_nvm_82576(Mac mac);

/// Likewise, with the sections that words 3 to 0Eh point to in the sum, firmware section and SFP+ initialisation list.
Nvm make_nvm_82599(Mac mac);

} // namespace vitrine::vtc
