// SPDX-License-Identifier: Apache-2.0
// Extended page tables: walks, violations and misconfigurations, accessed and dirty flags, the page-modification log.
#pragma once

#include "x86/cpu.h"
#include "x86/second_level.h"

namespace vitrine::vtx {

class Unit;

/// EPT of the current VMCS, while VMX non-root operation uses it.
class Ept final : public SecondLevel {
public:
    explicit Ept(Unit& unit) : unit_(unit) {}

    /// VM entry and EPTP switching.
    void select(u64 eptp, bool log) {
        eptp_ = eptp;
        log_ = log;
    }

    u64 root() const override { return eptp_; }

    Faultable<SecondLevelPage> translate(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) override;

    void state(Visitor& v);

private:
    Fault violation(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access, bool read, bool write, u64 rights);
    Fault misconfiguration(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access);

    Unit& unit_;
    u64 eptp_ = 0;
    bool log_ = false;
};

} // namespace vitrine::vtx
