// SPDX-License-Identifier: Apache-2.0
// The monitor's commands about VT-d.
#include "debug/monitor.h"

#include "machine/board.h"

#include <fmt/format.h>

#include <charconv>

namespace vitrine::debug {

namespace {

const MonitorReply no_iommu{"this machine has no remapping unit: start it with `--iommu on`\n"};

/// "01:00.0", or a number.
std::optional<u16> requester_of(std::string_view text) {
    unsigned parts[3] = {};
    const char* at = text.data();
    const char* const end = at + text.size();
    for (unsigned n = 0; n < 3; ++n) {
        const auto [next, error] = std::from_chars(at, end, parts[n], 16);
        if (error != std::errc{})
            return std::nullopt;
        at = next;
        if (n < 2 && (at == end || *at++ != (n == 0 ? ':' : '.')))
            return std::nullopt;
    }
    if (at != end || parts[0] > 255 || parts[1] > 31 || parts[2] > 7)
        return std::nullopt;
    return static_cast<u16>(parts[0] << 8 | parts[1] << 3 | parts[2]);
}

} // namespace

MonitorReply Monitor::iommu(const Words& words) {
    vtd::Unit* unit = machine_.board().iommu();
    if (!unit)
        return no_iommu;
    if (words.size() == 1)
        return {unit->describe()};
    static constexpr std::string_view usage = "usage: iommu [walk BDF ADDRESS], such as iommu walk 01:00.0 0xfffff000\n";
    if (words.size() != 4 || words[1] != "walk")
        return {std::string(usage)};
    const auto requester = requester_of(words[2]);
    const auto address = value(words[3]);
    return requester && address ? MonitorReply{unit->describe_walk(*requester, *address)} : MonitorReply{std::string(usage)};
}

MonitorReply Monitor::irte(const Words& words) {
    vtd::Unit* unit = machine_.board().iommu();
    if (!unit)
        return no_iommu;
    const auto index = value(words[1]);
    return index && *index < 0x10000 ? MonitorReply{unit->describe_interrupt(static_cast<u32>(*index))}
                                     : MonitorReply{"irte: INDEX is a number from 0 to 65535\n"};
}

} // namespace vitrine::debug
