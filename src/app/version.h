// SPDX-License-Identifier: Apache-2.0
// The version that both programs tell.
#pragma once

namespace vitrine::app {

extern const char* const version;

} // namespace vitrine::app
