// SPDX-License-Identifier: Apache-2.0
// 32- and 16-bit code on a host that runs 64-bit programs: the instruction of 64-bit mode that computes the same from the same
// registers, its memory operand given as a plain address. What segmentation adds is worked out here.
#pragma once

#include "case.h"

#include <optional>

namespace vitrine::oracle {

/// The case for the host, or nothing: stack, branches, and what 64-bit mode does not have or does another way.
bool translate(const Case& c, Case& out);

/// The exception that a segment's limit or type raises before anything else can.
std::optional<Ending> segment_fault(const Case& c);

} // namespace vitrine::oracle
