// SPDX-License-Identifier: Apache-2.0
// Sums of VM exits.
#include "vtx/exit_statistics.h"

#include <algorithm>

namespace vitrine::vtx {

std::vector<ExitStatistics::Row> ExitStatistics::rows(By by, u64 vmcs) const {
    std::unordered_map<Key, Sum, Hash> sums;
    for (const auto& [key, sum] : sums_) {
        if (vmcs && key.vmcs != vmcs)
            continue;
        Key k;
        switch (by) {
        case By::reason: k.reason = key.reason; break;
        case By::vmcs: k.vmcs = key.vmcs; break;
        case By::rip: k.reason = key.reason, k.rip = key.rip; break;
        }
        sums[k].add(sum);
    }
    std::vector<Row> rows;
    for (const auto& [key, sum] : sums)
        rows.push_back({key, sum});
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        if (a.sum.exits != b.sum.exits)
            return a.sum.exits > b.sum.exits;
        return a.key.reason != b.key.reason ? a.key.reason < b.key.reason : a.key.vmcs != b.key.vmcs ? a.key.vmcs < b.key.vmcs : a.key.rip < b.key.rip;
    });
    return rows;
}

} // namespace vitrine::vtx
