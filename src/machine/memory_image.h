// SPDX-License-Identifier: Apache-2.0
// RAM in a file: pieces of 4 MiB, of which only pages that are not zero are kept.
#pragma once

#include "machine/section_file.h"
#include "memory/space.h"

namespace vitrine::machine {

inline constexpr std::string_view memory_section = "memory";

/// Adds a section "memory" for each piece that is not all zero, in ascending order.
Expected<> save_memory(Space& space, SectionWriter& file);

/// Takes all sections "memory" that come next. RAM must be as new.
Expected<> load_memory(Space& space, SectionReader& file);

} // namespace vitrine::machine
