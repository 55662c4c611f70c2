// SPDX-License-Identifier: Apache-2.0
// Registers of the high precision event timer block. IA-PC HPET specification 1.0a; freestanding.
#pragma once

#include "words/bits.h"

namespace vitrine::hpet {

inline constexpr unsigned timers = 3;
inline constexpr u64 period_ns = 10;
inline constexpr u32 period_fs = 10'000'000;
inline constexpr u64 default_base = 0xfed0'0000;
inline constexpr u64 region_size = 0x400;

/// Global system interrupts that a timer may be routed to: 20 to 23.
inline constexpr u32 routes = 0x00f0'0000;
inline constexpr unsigned first_route = 20, route_count = 4;

enum Offset : u16 {
    capabilities = 0x000,
    configuration = 0x010,
    interrupt_status = 0x020,
    main_counter = 0x0f0,
    first_timer = 0x100, ///< then each 20h: configuration, comparator, FSB route
};

/// Revision 1, three timers, 64-bit counter, legacy replacement, vendor 8086h, period.
inline constexpr u64 capabilities_value =
    u64{period_fs} << 32 | 0x8086'0000 | 1 << 15 | 1 << 13 | (timers - 1) << 8 | 1;

struct Configuration {
    Field enable{0, rw, "ENABLE_CNF", "overall enable"};
    Field legacy{1, rw, "LEG_RT_CNF", "legacy replacement route"};
} inline constexpr config;

struct TimerConfiguration {
    Field level{1, rw, "INT_TYPE_CNF", "level triggered"};
    Field enable{2, rw, "INT_ENB_CNF", "interrupt enable"};
    Field periodic{3, rw, "TYPE_CNF", "periodic"};
    Field periodic_capable{4, ro, "PER_INT_CAP", "can be periodic"};
    Field is_64_bit{5, ro, "SIZE_CAP", "64 bits wide"};
    Field value_set{6, wo, "VAL_SET_CNF", "next comparator write sets the accumulator"};
    Field mode_32{8, rw, "32MODE_CNF", "forced to 32 bits"};
    Field route{9, 13, rw, "INT_ROUTE_CNF", "interrupt route"};
    Field fsb_enable{14, rw, "FSB_EN_CNF", "message enable"};
    Field fsb_capable{15, ro, "FSB_INT_DEL_CAP", "can send messages"};
    Field route_capable{32, 63, ro, "INT_ROUTE_CAP", "possible routes"};
} inline constexpr timer;

} // namespace vitrine::hpet
