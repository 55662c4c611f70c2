// SPDX-License-Identifier: Apache-2.0
// What the port does with pause frames: it waits as they say, and sends its own when a packet buffer is nearly full.
#include "vtc/adapter.h"

namespace vitrine::vtc {

bool Adapter::take_control_frame(const Packet& p) {
    const FlowRules& rules = flow_rules_now();
    const auto pause = Pause::in(p);
    const bool heeded = pause && (pause->priorities ? rules.heeds_priorities : rules.heeds_link);
    if (heeded) {
        flow_.heed(*pause, classes_now(), clock_.now(), pause_quantum());
        chip_counts_pause(false, *pause);
        explain("paused", p, Detail{"of", pause->priorities ? "priorities" : "link"}, Detail{"which", pause->which}, Detail{"quanta", pause->quanta[0]});
        kick_transmit();
    }
    if (rules.passes_control && (!pause || rules.keeps_pause))
        return false;
    ++port_.rx_control;
    return true;
}

/// After a buffer's level has changed.
void Adapter::watch_level(unsigned traffic_class) {
    const auto pause = flow_.level(traffic_class, buffers_[traffic_class].bytes, flow_rules_now(), classes_now(), clock_.now(), pause_quantum());
    if (const u64 due = flow_.refresh_due(); due != flow_timer_.due())
        due == never ? flow_timer_.cancel() : flow_timer_.arm(due);
    if (!pause || !is_link_up())
        return;
    const std::vector<u8> frame = pause->frame(options_.mac);
    const Packet p(frame);
    explain("pauses", p, Detail{"class", traffic_class}, Detail{"quanta", pause->quanta[0]});
    chip_counts_pause(true, *pause);
    count_sent(p);
    ++port_.tx_control;
    if (options_.capture)
        options_.capture->passed(clock_.now(), frame);
    if (wire_)
        wire_->receive(frame);
}

void Adapter::refresh_pauses() {
    for (unsigned n = 0; n < most_classes; ++n)
        watch_level(n);
}

} // namespace vitrine::vtc
