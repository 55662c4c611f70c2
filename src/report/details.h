// SPDX-License-Identifier: Apache-2.0
// One event of the glass as it was told, with its details by name.
#pragma once

#include "glass/glass.h"

#include <initializer_list>
#include <string_view>

namespace vitrine::report {

struct Told {
    const Place& place;
    std::string_view event;
    std::initializer_list<Detail> details;

    /// 0 when the event has no such detail.
    u64 number(std::string_view name) const {
        const Detail* d = find(name);
        return d ? d->number : 0;
    }

    std::string_view text(std::string_view name) const {
        const Detail* d = find(name);
        return d ? d->text : std::string_view();
    }

private:
    const Detail* find(std::string_view name) const {
        for (const Detail& d : details)
            if (d.name == name)
                return &d;
        return nullptr;
    }
};

} // namespace vitrine::report
