// SPDX-License-Identifier: Apache-2.0
// Lines that MONITOR has armed: stores to their pages are seen, and those to the lines themselves trigger.
#include "x86/armed_lines.h"

#include "x86/cpu.h"

namespace vitrine {

namespace {

/// A page that is written so often while nothing is armed there is no longer watched.
constexpr unsigned patience = 64;

} // namespace

ArmedLines::ArmedLines(Space& space) : space_(space) {
    space_.set_armed_written([this](Physical p, u64 n) { written(p, n); });
}

ArmedLines::~ArmedLines() {
    space_.set_armed_written({});
}

void ArmedLines::watch(Physical line) {
    const u64 page = space_.ram_offset(line) / page_size;
    pages_[page] = 0;
    space_.set_armed_page(page, true);
}

void ArmedLines::arm(Cpu& cpu, Physical p) {
    cpu.monitor_address = align_down(p.value, line_size);
    cpu.monitor_armed = space_.host(p) != nullptr;
    if (cpu.monitor_armed)
        watch(p);
}

void ArmedLines::written(Physical address, u64 length) {
    bool in_use = false;
    for (Cpu* cpu : cpus_) {
        if (!cpu->monitor_armed || Physical{cpu->monitor_address}.page() != address.page())
            continue;
        const u64 line = cpu->monitor_address;
        if (address.value >= line + line_size || address.value + length <= line) {
            in_use = true;
            continue;
        }
        cpu->monitor_armed = false;
        if (cpu->activity != Activity::mwait)
            continue;
        cpu->wake_up();
        if (woken_)
            woken_(cpu->index());
    }
    const auto found = pages_.find(space_.ram_offset(address) / page_size);
    if (in_use || found == pages_.end() || ++found->second < patience)
        return;
    const u64 page = found->first;
    pages_.erase(found);
    space_.set_armed_page(page, false);
}

void ArmedLines::forget() {
    for (const auto& [page, stores] : pages_)
        space_.set_armed_page(page, false);
    pages_.clear();
}

void ArmedLines::rearm() {
    for (Cpu* cpu : cpus_)
        if (cpu->monitor_armed)
            arm(*cpu, Physical{cpu->monitor_address});
}

} // namespace vitrine
