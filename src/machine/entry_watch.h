// SPDX-License-Identifier: Apache-2.0
// Who changed an entry of the remapping unit's tables: the machine's watch over paging structures, in the unit's words.
#pragma once

#include "vtd/entry_watch.h"
#include "x86/table_watch.h"

#include <memory>

namespace vitrine::machine {

/// Null for null.
std::unique_ptr<vtd::EntryWatch> make_entry_watch(TableWatch* tables);

} // namespace vitrine::machine
