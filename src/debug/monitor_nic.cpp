// SPDX-License-Identifier: Apache-2.0
// The monitor's command about network adapters: link, switch, pools, virtual functions.
#include "debug/monitor.h"

#include "machine/board.h"

#include <charconv>

namespace vitrine::debug {

MonitorReply Monitor::nic(const Words& words) {
    const auto& adapters = machine_.board().adapters();
    if (adapters.empty())
        return {"there is no network adapter: start the machine with `--device i82576` or `--device i82599`\n"};
    const std::string_view what = words.size() > 1 ? words[1] : "";
    MonitorReply reply;
    for (const vtc::Adapter* adapter : adapters) {
        if (what.empty()) {
            reply.text += adapter->describe();
        } else if (what == "switch") {
            reply.text += adapter->describe_switch();
        } else if (what == "pools") {
            reply.text += adapter->describe_pools();
        } else if (what == "vf" && words.size() == 3) {
            unsigned n = 0;
            const auto [end, error] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), n);
            if (error != std::errc{} || end != words[2].data() + words[2].size())
                return {"nic vf: the virtual function must be a number\n"};
            reply.text += adapter->describe_vf(n);
        } else {
            return {"usage: nic [switch|pools|vf N]\n"};
        }
    }
    return reply;
}

} // namespace vitrine::debug
