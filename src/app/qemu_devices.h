// SPDX-License-Identifier: Apache-2.0
// QEMU's options that plug something in: -device, -netdev, -global.
#pragma once

#include "app/qemu_parsing.h"
#include "base/error.h"

namespace vitrine::app {

Expected<> device_option(Parsing& p, const std::string& v);
Expected<> netdev_option(Parsing& p, const std::string& v);
Expected<> global_option(Parsing& p, const std::string& v);

/// What -global says, to devices that do not say otherwise themselves.
Expected<> apply_globals(Parsing& p);

} // namespace vitrine::app
