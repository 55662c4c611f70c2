// SPDX-License-Identifier: Apache-2.0
// The fault reasons as an enumeration and as rows; freestanding.
#pragma once

#include "words/integers.h"

namespace vitrine::vtd {

enum class FaultReason : u8 {
    none = 0,
#define FAULT(id, code, kind, silenced, meaning, cause) id = code,
#include "vtd/spec/faults.def"
#undef FAULT
};

struct FaultRow {
    FaultReason reason;
    const char* id;
    bool interrupt; ///< of an interrupt request; else of a memory request
    bool qualified; ///< FPD of the context or interrupt entry silences it
    const char* meaning;
    const char* cause;
};

inline constexpr FaultRow fault_rows[] = {
#define dma false
#define interrupt true
#define yes true
#define no false
#define FAULT(id, code, kind, silenced, meaning, cause) {FaultReason::id, #id, kind, silenced, meaning, cause},
#include "vtd/spec/faults.def"
#undef FAULT
#undef dma
#undef interrupt
#undef yes
#undef no
};

/// Null for a code that there is not.
constexpr const FaultRow* find_fault(u8 code) {
    for (const FaultRow& row : fault_rows)
        if (static_cast<u8>(row.reason) == code)
            return &row;
    return nullptr;
}

constexpr const FaultRow& row_of(FaultReason reason) { return *find_fault(static_cast<u8>(reason)); }

/// What stopped the invalidation queue: IQERCD.IQEI.
enum class QueueErrorReason : u8 {
    none = 0,
    tail_invalid = 1,
    fetch_failed = 2,
    type_invalid = 3,
    reserved_bits = 4,
    width_invalid = 5,
    tail_unaligned = 6,
};

inline constexpr const char* queue_error_names[] = {"none",
                                                    "the tail lies beyond the queue",
                                                    "a descriptor cannot be read",
                                                    "a descriptor's type is not known",
                                                    "reserved bits are set in a descriptor",
                                                    "descriptors of 256 bits, which are for scalable mode",
                                                    "the tail is not aligned"};

} // namespace vitrine::vtd
