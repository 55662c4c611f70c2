// SPDX-License-Identifier: Apache-2.0
// Breakpoints and watchpoints: look-ups that the processor makes while a debugger is there.
#include "debug/breakpoints.h"

#include <algorithm>

namespace vitrine::debug {

void Breakpoints::remove(Kind kind, u64 linear) {
    const auto found = code_.find(linear);
    if (found == code_.end())
        return;
    found->second &= static_cast<u8>(~mask(kind));
    if (found->second == 0)
        code_.erase(found);
}

std::optional<Breakpoints::Kind> Breakpoints::at(u64 linear) const {
    const auto found = code_.find(linear);
    if (found == code_.end())
        return std::nullopt;
    return found->second & mask(Kind::software) ? Kind::software : Kind::hardware;
}

bool Breakpoints::unwatch(Watch kind, u64 linear, u64 length) {
    const auto same = [&](const Range& r) { return r.kind == kind && r.start == linear && r.length == length; };
    const auto found = std::find_if(watches_.begin(), watches_.end(), same); // one of several that are alike
    if (found == watches_.end())
        return false;
    watches_.erase(found);
    return true;
}

void Breakpoints::clear() {
    code_.clear();
    watches_.clear();
    hit_.reset();
}

u64 Breakpoints::next_breakpoint(Linear from, u64 bytes) {
    const auto next = code_.lower_bound(from.value);
    return next == code_.end() ? bytes : std::min(bytes, next->first - from.value);
}

bool Breakpoints::watches(Linear page) {
    return std::any_of(watches_.begin(), watches_.end(),
                       [&](const Range& r) { return r.overlaps(page.value, page_size); });
}

bool Breakpoints::access(Cpu&, Linear at, unsigned size, bool write) {
    for (const Range& r : watches_) {
        if (!r.overlaps(at.value, size))
            continue;
        if (r.kind == Watch::access || (r.kind == Watch::write) == write) {
            hit_ = Hit{.kind = r.kind, .address = std::max(r.start, at.value)};
            return true;
        }
    }
    return false;
}

} // namespace vitrine::debug
