// SPDX-License-Identifier: Apache-2.0
// What a device is to the bus: it answers accesses relative to its regions, resets, and shows its state.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"

#include <string>
#include <string_view>

namespace vitrine {

/// Who asks: a processor, or a device by its bus, device and function number.
struct Requester {
    u16 id = processor; ///< bus 15:8, device 7:3, function 2:0
    u16 cpu = 0;        ///< which processor, when `id` is `processor`
    static constexpr u16 processor = 0xffff;

    static constexpr Requester function(u16 bdf) { return {bdf, 0}; }

    static constexpr Requester from_cpu(u16 index) { return {processor, index}; }

    constexpr bool is_processor() const { return id == processor; }

    constexpr bool operator==(const Requester&) const = default;
};

/// One access as a device sees it. The bus has checked bounds and size before.
struct Access {
    u64 offset = 0;    ///< from the start of the region
    unsigned size = 1; ///< 1, 2, 4 or 8 bytes
    bool write = false;
    u64 value = 0; ///< written, or to be filled in
    Requester requester{};

    /// Writes `v` of a register that begins at `reg` as far as this access covers it; for narrow reads of wide registers.
    void answer(u64 v, u64 reg) { value = (v >> (8 * (offset - reg))) & low_mask(8 * size); }
};

/// Which resets a device is told of.
enum class Reset : u8 {
    cold, ///< power on
    warm, ///< RESET# of the platform
    init, ///< INIT of a processor; devices ignore it
};

class Device;

/// A range of memory or port addresses that belongs to a device. Where it lies is the bus's business and may change.
struct Region {
    Device* device = nullptr;
    std::string name;
    u64 size = 0;
    u32 index = 0;         ///< the device's own number for it
    unsigned min_size = 1; ///< narrowest and widest access that the device takes; the bus splits or widens nothing:
    unsigned max_size = 8; ///< another size is told and reads as all ones
    bool unaligned = false;
    u64 base = 0;         ///< set by the bus
    bool mapped = false;  ///< set by the bus
};

class Device {
public:
    virtual ~Device() = default;
    virtual std::string_view name() const = 0;
    virtual void reset(Reset kind) = 0;
    virtual void access(Region& region, Access& access) = 0;
    virtual void state(Visitor& visitor) = 0;
};

} // namespace vitrine
