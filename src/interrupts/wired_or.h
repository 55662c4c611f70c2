// SPDX-License-Identifier: Apache-2.0
// Several devices on one line: it is high as long as any of them holds it high.
#pragma once

#include "base/visitor.h"
#include "interrupts/line.h"

#include <utility>
#include <vector>

namespace vitrine {

/// The object must outlive the Lines that it hands out, and must not move.
class WiredOr {
public:
    WiredOr() = default;

    explicit WiredOr(Line output) : output_(std::move(output)) {}

    WiredOr(const WiredOr&) = delete;
    WiredOr& operator=(const WiredOr&) = delete;

    void connect(Line output) { output_ = std::move(output); }

    /// A new input, low at first. Inputs are known by the order of their creation.
    Line input() {
        const std::size_t n = inputs_.size();
        inputs_.push_back(0);
        return Line([this, n](bool level) { set(n, level); });
    }

    bool level() const { return high_ != 0; }

    void state(Visitor& v) {
        const u64 n = v.count("inputs", inputs_.size(), inputs_.size());
        if (n != inputs_.size())
            return v.refuse("a line has another number of devices on it");
        v.bytes("levels", inputs_);
        if (v.loading()) {
            high_ = 0;
            for (u8& level : inputs_)
                high_ += level = level != 0;
        }
    }

private:
    void set(std::size_t n, bool level) {
        if (inputs_[n] == static_cast<u8>(level))
            return;
        inputs_[n] = level;
        high_ += level ? 1 : -1;
        // The other inputs all low is what makes this one's change the line's change.
        if (high_ == (level ? 1 : 0))
            output_.set(level);
    }

    Line output_;
    std::vector<u8> inputs_;
    int high_ = 0;
};

} // namespace vitrine
