// SPDX-License-Identifier: Apache-2.0
// State components of the XSAVE family: which are in use, and how each moves between the registers and its area.
#pragma once

#include "x86/cpu.h"

namespace vitrine {

inline constexpr u64 xstate_x87 = bit(0), xstate_sse = bit(1), xstate_avx = bit(2), xstate_opmask = bit(5),
                     xstate_zmm_hi256 = bit(6), xstate_hi16_zmm = bit(7), xstate_pkru = bit(9),
                     xstate_avx512 = xstate_opmask | xstate_zmm_hi256 | xstate_hi16_zmm;

/// XINUSE: a component that holds its initial configuration is not in use. A function of the registers alone, never of history.
/// The x87 must be home (Cpu::save_x87).
u64 xinuse(const Cpu& cpu);

/// Bytes of the component that the present mode can see, starting at the component's offset.
unsigned component_size(const Cpu& cpu, unsigned component);

/// Copies a component beyond the legacy region to or from its area; null `from`: initial configuration.
void component_to(const Cpu& cpu, unsigned component, u8* to);
void component_from(Cpu& cpu, unsigned component, const u8* from);

/// The legacy region (FXSAVE's image): bytes 0 to 23 and 32 to 159; 160 on.
void x87_to(const Cpu& cpu, u8* image, bool wide);
void x87_from(Cpu& cpu, const u8* image, bool wide);
void x87_initialize(Cpu& cpu);
void sse_to(const Cpu& cpu, u8* image);
void sse_from(Cpu& cpu, const u8* image); ///< null: zeros

} // namespace vitrine
