// SPDX-License-Identifier: Apache-2.0
// Breakpoints and watchpoints: look-ups that the processor makes while a debugger is there.
#include "debug/breakpoints.h"

#include <algorithm>

namespace vitrine::debug {

void Breakpoints::remove(Kind kind, u64 linear, Level level) {
    const auto found = code_.find({linear, level});
    if (found == code_.end())
        return;
    found->second &= static_cast<u8>(~mask(kind));
    if (found->second == 0)
        code_.erase(found);
}

std::optional<Breakpoints::Kind> Breakpoints::at(u64 linear) const {
    const auto found = code_.find({linear, {}});
    if (found == code_.end())
        return std::nullopt;
    return found->second & mask(Kind::software) ? Kind::software : Kind::hardware;
}

std::vector<Breakpoints::Place> Breakpoints::places() const {
    std::vector<Place> all;
    for (const auto& [place, kinds] : code_)
        all.push_back(place);
    return all;
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

u64 Breakpoints::next(u64 level, u64 from, u64 bytes) const {
    for (auto next = code_.lower_bound({from, {}}); next != code_.end() && next->first.linear - from < bytes; ++next)
        if (!next->first.level || *next->first.level == level)
            return next->first.linear - from;
    return bytes;
}

bool Breakpoints::watches(Linear page) const {
    return std::any_of(watches_.begin(), watches_.end(),
                       [&](const Range& r) { return r.overlaps(page.value, page_size); });
}

bool Breakpoints::access(Linear at, unsigned size, bool write) {
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
