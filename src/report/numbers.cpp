// SPDX-License-Identifier: Apache-2.0
// Numbers for people.
#include "report/tables.h"

#include <fmt/format.h>

namespace vitrine::report {

std::string grouped(u64 n) {
    std::string text = fmt::format("{}", n);
    for (std::size_t at = text.size(); at > 3; at -= 3)
        text.insert(at - 3, 1, ',');
    return text;
}

std::string time_text(u64 ns) {
    const double t = static_cast<double>(ns);
    if (ns < 1000)
        return fmt::format("{} ns", ns);
    if (ns < 1'000'000)
        return fmt::format("{:.3f} µs", t / 1e3);
    if (ns < 1'000'000'000)
        return fmt::format("{:.3f} ms", t / 1e6);
    return fmt::format("{:.3f} s", t / 1e9);
}

std::string percent(double share) {
    return fmt::format("{:.1f}%", 100 * share);
}

Cell Cell::count(std::string figure, u64 n, double share) {
    return {grouped(n), std::move(figure), n, share};
}

Cell Cell::time(std::string figure, u64 ns) {
    return {time_text(ns), std::move(figure), ns, -1};
}

} // namespace vitrine::report
