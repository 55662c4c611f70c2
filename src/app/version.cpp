// SPDX-License-Identifier: Apache-2.0
// The version, which the build gives to this file alone.
#include "app/version.h"

namespace vitrine::app {

const char* const version = VITRINE_VERSION;

} // namespace vitrine::app
