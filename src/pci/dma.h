// SPDX-License-Identifier: Apache-2.0
// Seam: direct memory access. The only way by which a device reaches memory; it always says who it is.
#pragma once

#include "base/device.h"
#include "words/addresses.h"

#include <span>

namespace vitrine {

class DmaPort {
public:
    virtual ~DmaPort() = default;
    /// Reads or writes on behalf of `requester`. False when the access was blocked or nobody answers: a read then gives
    /// all ones, a write is dropped, and the device treats it as an Unsupported Request. Implemented by plain memory,
    /// or by VT-d.
    [[nodiscard]] virtual bool read(Requester requester, DeviceAddress from, std::span<u8> data) = 0;
    [[nodiscard]] virtual bool write(Requester requester, DeviceAddress to, std::span<const u8> data) = 0;
};

} // namespace vitrine
