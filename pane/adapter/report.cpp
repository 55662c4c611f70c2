// SPDX-License-Identifier: Apache-2.0
// The adapter's figures: what Pane has counted of a pool, and what a virtual function's own registers say.
#include "pane/adapter/adapter.h"
#include "pane/adapter/port.h"
#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

u64 statistic(const Function& f, const VfStatistic& s) {
    const auto word = [&](u32 offset) { return u64{*reinterpret_cast<volatile u32*>(f.bars[0].address + offset)}; };
    return word(s.low) | (s.high ? word(s.high) << 32 : 0);
}

void report_pool(const Guest& g, const Pool& p) {
    say("[{}] VMDq pool {}, {}: from the guest {} ({} bytes), to it {} ({} bytes), interrupts {}, ring full {}, "
        "damaged {}",
        g.config.name, p.number, MacName(p.address), p.sent, p.sent_bytes, p.received, p.received_bytes, p.interrupts,
        p.waits, p.damaged);
}

void report_virtual_function(const Guest& g, const VirtualFunction& v, unsigned number) {
    const Chip& c = *adapter_port.chip;
    const Function& f = *v.function;
    say("[{}] VF {} at {}, {}: mailbox messages {}, refused {}, resets {}, silenced {}, spoofed {}", g.config.name,
        number, FunctionName(f.id), MacName(v.address), v.messages, v.refused, v.resets, v.silences, v.spoofed);
    say("[{}] VF {} {} {}, {} {}, {} {}, {} {}, {} {}", g.config.name, number, c.vf_received.name,
        statistic(f, c.vf_received), c.vf_received_bytes.name, statistic(f, c.vf_received_bytes), c.vf_sent.name,
        statistic(f, c.vf_sent), c.vf_sent_bytes.name, statistic(f, c.vf_sent_bytes), c.vf_multicast.name,
        statistic(f, c.vf_multicast));
}

} // namespace

void adapter_report(const Guest& g) {
    const Port& p = adapter_port;
    for (unsigned n = 0; n < p.pool_count; ++n)
        if (p.pools[n].guest_number == g.number)
            report_pool(g, p.pools[n]);
    for (unsigned n = 0; n < p.virtual_function_count; ++n)
        if (p.virtual_functions[n].function->owner == &g)
            report_virtual_function(g, p.virtual_functions[n], n);
}

void adapter_report() {
    Port& p = adapter_port;
    if (!p.chip)
        return;
    p.spoofed += p.read(p.chip->spoof_counter);
    p.missed += p.read(p.chip->missed_counter);
    say("adapter {}: link {}, changes {}, interrupts for mailboxes and link {}, deafened {}, frames refused as spoofed "
        "{}, missed "
        "{}",
        FunctionName(p.function->id), p.link ? "up" : "down", p.link_changes, p.interrupts, p.deafened, p.spoofed,
        p.missed);
}

} // namespace vitrine::pane
