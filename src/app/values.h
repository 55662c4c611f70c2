// SPDX-License-Identifier: Apache-2.0
// What the command line's values mean: sizes, counts, times, dates, and lists with commas. Errors say what would be right.
#pragma once

#include "base/error.h"
#include "words/integers.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrine::app {

/// "512M", "2G", "65536K", "1T": powers of 1024. A plain number is bytes.
Expected<u64> parse_size(std::string_view option, std::string_view text);

/// A number from `least` to `most`, decimal or 0x….
Expected<u64> parse_number(std::string_view option, std::string_view text, u64 least, u64 most);

/// Seconds with up to nine decimals, to nanoseconds.
Expected<u64> parse_seconds(std::string_view option, std::string_view text);

/// "now", "2026-01-31", "2026-01-31T23:59:59" (UTC) or "@SECONDS"; to seconds since 1970.
Expected<i64> parse_date(std::string_view option, std::string_view text);

/// Splits at commas.
std::vector<std::string> split(std::string_view text, char at = ',');

/// Reads a whole file. The error names `option` and the file.
Expected<std::vector<u8>> read_file(std::string_view option, const std::string& path);

} // namespace vitrine::app
