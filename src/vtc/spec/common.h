// SPDX-License-Identifier: Apache-2.0
// Bits that both chips have in the same places. (82576 and 82599 datasheets, Programming Interface.)
#pragma once

#include "words/integers.h"

namespace vitrine::vtc {

inline constexpr u32 ctrl_reset = 1u << 26;        ///< CTRL.RST, and that of a virtual function
inline constexpr u32 ctrl_ext_pfrstd = 1u << 14;   ///< the physical function's reset is done
inline constexpr u32 stamp_valid = 1, stamp_enabled = 0x10; ///< TSYNCRXCTL, TSYNCTXCTL
inline constexpr u32 nvm_start = 1, nvm_done = 2;  ///< EERD
inline constexpr u32 rah_valid = 1u << 31;         ///< a receive address counts
inline constexpr u32 ivar_valid = 0x80;            ///< a cause has a vector
inline constexpr u32 vlvf_valid = 1u << 31, vlvf_vlan = 0xfff;

} // namespace vitrine::vtc
