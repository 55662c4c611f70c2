// SPDX-License-Identifier: Apache-2.0
// A look at a level that does not run: while a guest does, at the hypervisor as its VM exit will load it; at a guest as
// its last VM exit saved it. The processor's registers are exchanged for those of the VMCS while the look lasts, so
// whatever shows a processor shows it.
#pragma once

#include "vtx/ept.h"
#include "x86/cpu.h"

#include <string>

namespace vitrine::vtx {

class Unit;

class OtherLevel {
public:
    /// `vmcs`: whose guest; 0: the hypervisor (VMX root operation). Where that level runs, and where nothing is known
    /// of it, nothing is exchanged.
    OtherLevel(Unit& unit, Cpu& cpu, u64 vmcs);
    ~OtherLevel();
    OtherLevel(const OtherLevel&) = delete;
    OtherLevel& operator=(const OtherLevel&) = delete;

    /// False: the processor shows its own registers, for they are the level's (or it is outside VMX operation).
    bool exchanged() const { return exchanged_; }

    /// Where the values come from; empty when nothing is exchanged.
    const std::string& label() const { return label_; }

    /// Which of the general registers a VMCS has.
    static bool has(Gpr r) { return r == rsp; }

private:
    Cpu& cpu_;
    Ept ept_;
    State saved_;
    SecondLevel* saved_second_;
    bool exchanged_ = false;
    std::string label_;
};

} // namespace vitrine::vtx
