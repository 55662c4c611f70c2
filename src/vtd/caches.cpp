// SPDX-License-Identifier: Apache-2.0
// The state of cached entries; what a stranger wrote is made harmless.
#include "vtd/caches.h"

namespace vitrine::vtd {

void Cached::state(Visitor& v) {
    v.field("key", key);
    v.field("valid", valid);
    v.field("fault", fault);
    v.field("filled", filled);
    if (v.loading() && fault != FaultReason::none && !find_fault(static_cast<u8>(fault))) {
        fault = FaultReason::none;
        v.refuse("a cached entry of the remapping unit has an unknown fault reason");
    }
}

void CachedContext::state(Visitor& v) {
    Cached::state(v);
    v.field("low", low);
    v.field("high", high);
    v.field("silenced", silenced);
    if (v.loading() && valid && fault == FaultReason::none && (context_high.width(high) < 1 || context_high.width(high) > 2)) {
        valid = false;
        v.refuse("a cached context entry has an impossible width");
    }
}

void CachedPage::state(Visitor& v) {
    Cached::state(v);
    v.field("page", page);
    v.field("size", size_log2);
    v.field("readable", readable);
    v.field("writable", writable);
    if (v.loading() && (size_log2 < 12 || size_log2 > 39)) {
        size_log2 = 12;
        valid = false;
        v.refuse("a page in the IOTLB has an impossible size");
    }
}

void CachedTable::state(Visitor& v) {
    Cached::state(v);
    v.field("table", table);
    v.field("level", level);
    v.field("readable", readable);
    v.field("writable", writable);
    if (v.loading() && (level < 1 || level > 3)) {
        level = 1;
        valid = false;
        v.refuse("a cached second-stage table has an impossible level");
    }
}

void CachedInterrupt::state(Visitor& v) {
    Cached::state(v);
    v.field("low", low);
    v.field("high", high);
    v.field("silenced", silenced);
}

} // namespace vitrine::vtd
