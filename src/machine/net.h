// SPDX-License-Identifier: Apache-2.0
// What --net names: the kinds of network, their reading, and the opening of what is outside.
#pragma once

#include "base/error.h"
#include "host/network.h"
#include "machine/config.h"

#include <memory>
#include <string>
#include <string_view>

namespace vitrine::machine {

/// "ID,kind=KIND[,key=value…]" as the command line has it.
Expected<NetConfig> parse_net(std::string_view text);

/// The same again.
std::string text_of(const NetConfig& net);

/// What is outside; null for the kinds that have nothing there.
Expected<std::unique_ptr<host::Network>> open_network(const NetConfig& net);

} // namespace vitrine::machine
