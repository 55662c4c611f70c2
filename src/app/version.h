// SPDX-License-Identifier: Apache-2.0
// The version that both programs tell.
#pragma once

namespace vitrine::app {

inline constexpr char version[] = VITRINE_VERSION;

} // namespace vitrine::app
