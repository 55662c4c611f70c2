// SPDX-License-Identifier: Apache-2.0
// One type for each kind of address, so that they cannot be mixed up; freestanding.
#pragma once

#include "words/bits.h"

#include <compare>

namespace vitrine {

/// An address of the kind that `Tag` names. Arithmetic stays in the kind; `value` is the way out.
template <class Tag> struct Address {
    u64 value = 0;

    constexpr Address() = default;

    constexpr explicit Address(u64 v) : value(v) {}

    constexpr auto operator<=>(const Address&) const = default;

    constexpr Address operator+(u64 n) const { return Address{value + n}; }

    constexpr Address operator-(u64 n) const { return Address{value - n}; }

    constexpr u64 operator-(Address other) const { return value - other.value; }

    constexpr Address page() const { return Address{value & ~0xfffull}; }

    constexpr u64 page_offset() const { return value & 0xfff; }
};

using Linear = Address<struct LinearTag>;               ///< after segmentation
using GuestPhysical = Address<struct GuestPhysicalTag>; ///< after the guest's page tables; input of EPT
using Physical = Address<struct PhysicalTag>;           ///< the machine's own: input of the memory space
using DeviceAddress = Address<struct DeviceTag>;        ///< what a device puts on the bus; input of DMA remapping

inline constexpr u64 page_size = 4096;

} // namespace vitrine
