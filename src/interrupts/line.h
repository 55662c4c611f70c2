// SPDX-License-Identifier: Apache-2.0
// A wire from a device to the interrupt controllers: a level that a device sets and clears.
#pragma once

#include "words/integers.h"

#include <functional>

namespace vitrine {

/// One input of the platform (a global system interrupt). Devices hold lines by value and set levels; who listens
/// decides what an edge is.
class Line {
public:
    using Listener = std::function<void(bool level)>;

    Line() = default;

    explicit Line(Listener listener) : listener_(std::move(listener)) {}

    void set(bool level) {
        if (listener_)
            listener_(level);
    }

    void pulse() {
        set(true);
        set(false);
    }

private:
    Listener listener_;
};

} // namespace vitrine
