// SPDX-License-Identifier: Apache-2.0
// The end of the road for bugs of ours.
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace vitrine {

namespace {

thread_local std::string (*describe_context)(void*) = nullptr;
thread_local void* bug_context = nullptr;

} // namespace

void set_bug_context(std::string (*describe)(void*), void* context) {
    describe_context = describe;
    bug_context = context;
}

void bug(std::string_view condition, const char* file, int line) {
    std::fprintf(stderr, "vitrine: a bug of ours: '%.*s' does not hold at %s:%d\n", static_cast<int>(condition.size()),
                 condition.data(), file, line);
    if (auto* describe = std::exchange(describe_context, nullptr))
        std::fprintf(stderr, "vitrine: %s\n", describe(bug_context).c_str());
    std::fflush(nullptr);
    std::quick_exit(static_cast<int>(Status::bug)); // gives the terminal back, and destroys nothing
}

} // namespace vitrine
