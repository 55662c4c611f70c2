// SPDX-License-Identifier: Apache-2.0
// A capability structure of a function: where it lies, and what happens when software writes to it.
#pragma once

#include "base/device.h"
#include "base/visitor.h"

namespace vitrine::pci {

class ConfigSpace;
class Function;

class Capability {
public:
    Capability(Function& function, unsigned offset, unsigned length)
        : function_(function), offset_(offset), length_(length) {}

    virtual ~Capability() = default;
    Capability(const Capability&) = delete;
    Capability& operator=(const Capability&) = delete;

    unsigned offset() const { return offset_; }

    unsigned length() const { return length_; }

    /// Software wrote `value`, already shifted to its lanes of the aligned dword at `dword`; masks have been applied.
    /// `lanes` are the bits that the write covered. Called only when the write touches this capability.
    virtual void written(unsigned dword, u32 value, u32 lanes) {
        static_cast<void>(dword), static_cast<void>(value), static_cast<void>(lanes);
    }

    /// The function was reset; its configuration space has its reset values again.
    virtual void reset() {}

    /// State outside the configuration space.
    virtual void state(Visitor& v) { static_cast<void>(v); }

protected:
    ConfigSpace& config() const;

    Function& function_;

private:
    unsigned offset_, length_;
};

} // namespace vitrine::pci
