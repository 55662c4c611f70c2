// SPDX-License-Identifier: Apache-2.0
// The 82599's SFP+ cage: which module is in it, and what the EEPROM says is to be done for such a one.
#pragma once

namespace vitrine::pane {

struct Port;

/// Says what it finds; the link comes, or it does not.
void sfp_start(Port& port);

} // namespace vitrine::pane
