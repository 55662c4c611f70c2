// SPDX-License-Identifier: Apache-2.0
// Breakpoints and watchpoints: look-ups that the processor makes while a debugger is there.
#include "debug/breakpoints.h"

#include <algorithm>

namespace vitrine::debug {

bool Breakpoints::unwatch(Watch kind, u64 linear, u64 length) {
    return std::erase_if(watches_, [&](const Range& r) { return r.kind == kind && r.start == linear && r.length == length; }) != 0;
}

void Breakpoints::clear() {
    code_.clear();
    watches_.clear();
    hit_.reset();
}

bool Breakpoints::breakpoint(Cpu& cpu, Linear rip) {
    if (!code_.contains(rip.value))
        return false;
    hit_ = Hit{.cpu = &cpu, .address = rip.value};
    return true;
}

bool Breakpoints::watches(Linear page) {
    return std::any_of(watches_.begin(), watches_.end(), [&](const Range& r) {
        return r.start < page.value + page_size && page.value < r.start + r.length;
    });
}

bool Breakpoints::access(Cpu& cpu, Linear at, unsigned size, bool write) {
    for (const Range& r : watches_) {
        if (r.start >= at.value + size || at.value >= r.start + r.length)
            continue;
        if (r.kind == Watch::access || (r.kind == Watch::write) == write) {
            hit_ = Hit{.cpu = &cpu, .watch = true, .kind = r.kind, .address = r.start};
            return true;
        }
    }
    return false;
}

} // namespace vitrine::debug
