// SPDX-License-Identifier: Apache-2.0
// What most rooms include from outside, compiled once for the release build. The other builds do without, so that a file that
// forgets to include what it uses is found there.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>
