// SPDX-License-Identifier: Apache-2.0
// One record of a recording's log: what came in, what the state was, or how the run ended, and at which instant. Each record's
// checksum goes on from the one before it, so that none can be changed, left out or moved unnoticed.
//
//    0  u32 what it is                  16  u64 instructions executed
//    4  u32 bytes behind this header    24  u64 XXH3 of the bytes before and the bytes behind, seeded with the
//    8  u64 virtual nanoseconds             checksum of the record before
#pragma once

#include "base/error.h"
#include "machine/ending.h"
#include "machine/hash128.h"
#include "machine/inputs.h"
#include "words/integers.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vitrine::machine {

enum class RecordKind : u32 { input = 1, check = 2, end = 3 };

struct LogRecord {
    RecordKind kind = RecordKind::input;
    u64 instant = 0, instructions = 0;
    u32 port = 0;          ///< input
    std::vector<u8> bytes; ///< input
    Hash128 hash;          ///< check, end
    Ending ending;         ///< end

    static constexpr std::size_t header_size = 32;
    static constexpr u32 most_bytes = 1 << 20;
};

/// The record as it stands in the file. `chain` is the checksum of the one before and becomes this one's.
std::vector<u8> encode(const LogRecord& record, u64& chain);

/// The record at the front of `log`, which loses it; nothing when it is cut off or damaged.
std::optional<LogRecord> decode(std::span<const u8>& log, u64& chain);

} // namespace vitrine::machine
