// SPDX-License-Identifier: Apache-2.0
// All rules of VM entry in the order in which they are checked: controls, host state, guest state.
#pragma once

#include "vtx/spec/entry_rules_controls.h"
#include "vtx/spec/entry_rules_guest.h"
#include "vtx/spec/entry_rules_host.h"

namespace vitrine::vtx {

/// The first broken rule of a table; null when all hold.
template <std::size_t N> const Rule* first_broken(const Rule (&rules)[N], const View& v) {
    for (const Rule& rule : rules)
        if (rule.broken(v))
            return &rule;
    return nullptr;
}

/// Calls `f` with every rule of every table.
template <class Function> constexpr void for_each_rule(Function f) {
    for (const Rule& rule : control_rules)
        f(rule);
    for (const Rule& rule : host_rules)
        f(rule);
    for (const Rule& rule : guest_rules)
        f(rule);
}

} // namespace vitrine::vtx
