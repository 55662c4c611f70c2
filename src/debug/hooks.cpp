// SPDX-License-Identifier: Apache-2.0
// Hands a processor's questions to everybody who has breakpoints.
#include "debug/hooks.h"

#include "vtx/unit.h"

#include <algorithm>

namespace vitrine::debug {

Hooks::Hooks(machine::Machine& m) : machine_(m) {
    for (unsigned n = 0; n < m.cpus(); ++n)
        cpus_.push_back(std::make_unique<OfCpu>(*this, n));
}

Hooks::~Hooks() {
    all_.clear();
    update();
}

void Hooks::remove(Breakpoints& b) {
    std::erase(all_, &b);
    update();
}

void Hooks::update() {
    const bool none = std::ranges::all_of(all_, [](const Breakpoints* b) { return b->empty(); });
    for (unsigned n = 0; n < machine_.cpus(); ++n)
        machine_.cpu(n).set_hooks(none ? nullptr : cpus_[n].get());
}

u64 Hooks::level_of(machine::Machine& m, unsigned cpu) {
    vtx::Unit* unit = m.vmx(cpu);
    return unit && unit->in_non_root() ? unit->vmcs().pointer() : 0;
}

u64 Hooks::OfCpu::next_breakpoint(Linear from, u64 bytes) {
    const u64 level = level_of(hooks_.machine_, cpu_);
    u64 nearest = bytes;
    for (const Breakpoints* b : hooks_.all_)
        nearest = std::min(nearest, b->next(level, from.value, bytes));
    return nearest;
}

bool Hooks::OfCpu::watches(Linear page) {
    return std::ranges::any_of(hooks_.all_, [&](const Breakpoints* b) { return b->watches(page); });
}

bool Hooks::OfCpu::access(Cpu&, Linear at, unsigned size, bool write) {
    return std::ranges::any_of(hooks_.all_, [&](Breakpoints* b) { return b->access(at, size, write); });
}

} // namespace vitrine::debug
