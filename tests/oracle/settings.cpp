// SPDX-License-Identifier: Apache-2.0
// Each setting changes only what tells it from 64-bit mode at CPL 3, which it comes from; segments are the case's.
#include "settings.h"

namespace vitrine::oracle {

namespace {

void level(BareMachine& m, u8 cpl) {
    m.cpu.cpl = cpl;
    m.cpu.cr0 |= cr0::pe | cr0::pg;
    m.cpu.efer |= efer::lme | efer::lma;
}

void program(BareMachine& m) { level(m, 3); }

void kernel(BareMachine& m) { level(m, 0); }

/// PAE paging with the directory that long mode uses.
void legacy(BareMachine& m) {
    level(m, 3);
    m.cpu.efer &= ~(efer::lme | efer::lma);
    m.cpu.pdpte = {(tables_at + 0x2000) | 1, 0, 0, 0};
}

void real(BareMachine& m) {
    level(m, 0);
    m.cpu.efer &= ~(efer::lme | efer::lma);
    m.cpu.cr0 &= ~(cr0::pe | cr0::pg);
}

// clang-format off
constexpr Setting rows[] = {
    {"64-bit mode, CPL 3",            64, 40, true,  true,  program},
    {"64-bit mode, CPL 0",            64,  8, false, true,  kernel},
    {"32-bit code of long mode",      32, 16, true,  true,  program},
    {"32-bit code without long mode", 32,  8, true,  true,  legacy},
    {"16-bit code of long mode",      16,  8, true,  true,  program},
    {"16-bit code without long mode", 16,  6, true,  true,  legacy},
    {"virtual-8086 mode",             16,  6, false, true,  legacy},
    {"real mode",                     16,  8, false, false, real},
};
// clang-format on

} // namespace

std::span<const Setting> settings() { return rows; }

} // namespace vitrine::oracle
