// SPDX-License-Identifier: Apache-2.0
// Sums over a report's data.
#include "report/model.h"

namespace vitrine::report {

u64 Guest::all_exits() const {
    u64 n = 0;
    for (const auto& [reason, sum] : exits)
        n += sum.exits;
    return n;
}

u64 Guest::count(vtx::ExitReason reason) const {
    const auto found = exits.find(reason);
    return found == exits.end() ? 0 : found->second.exits;
}

Spent Guest::in_guest() const {
    Spent all = unfinished;
    for (const auto& [reason, sum] : exits)
        all.add(sum.guest);
    return all;
}

Spent Guest::in_vmm() const {
    Spent all;
    for (const auto& [reason, sum] : exits)
        all.add(sum.vmm);
    return all;
}

std::string_view text_of(JourneyEnd end) {
    static constexpr std::string_view texts[] = {
        "under way when the run ended",
        "lost",
        "no interrupt: the driver polls, or has masked it",
        "its interrupt was taken by the VMM, or by the system without one",
        "its interrupt reached the guest",
    };
    return texts[static_cast<unsigned>(end)];
}

} // namespace vitrine::report
