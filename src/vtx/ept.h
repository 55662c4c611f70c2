// SPDX-License-Identifier: Apache-2.0
// Extended page tables: walks, violations and misconfigurations, accessed and dirty flags, the page-modification log.
#pragma once

#include "vtx/spec/controls.h"
#include "x86/cpu.h"
#include "x86/second_level.h"

namespace vitrine::vtx {

class Unit;

/// EPT of the current VMCS, while VMX non-root operation uses it.
class Ept final : public SecondLevel {
public:
    explicit Ept(Unit& unit) : unit_(unit) {}

    /// VM entry and EPTP switching, with the secondary controls.
    void select(u64 eptp, u64 controls) {
        eptp_ = eptp;
        log_ = secondary.enable_pml(controls) != 0;
        mode_based_ = secondary.mode_based_execute_control(controls) != 0;
        by_sub_page_ = secondary.sub_page_write_permission(controls) != 0;
    }

    /// Bit 7 is reserved in the EPTP: translations made by other rules stay apart by it.
    u64 root() const override { return eptp_ | (mode_based_ ? 0x80 : 0); }

    void look(Cpu& cpu, GuestPhysical address, const SecondLevelStart& start, SecondLevelLook& found) override;
    bool examine(Cpu& cpu, GuestPhysical address, Physical& at) override;
    Faultable<SecondLevelPage> translate(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) override;

    void state(Visitor& v);

private:
    Fault violation(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access, bool read, bool write, u64 rights, u64 entry);
    Fault misconfiguration(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access);

    unsigned levels() const;
    Faultable<bool> sub_page_allows(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access);
    u64 rights_mask() const;
    bool misconfigured(Cpu& cpu, u64 entry, unsigned level) const;

    Unit& unit_;
    u64 eptp_ = 0;
    bool log_ = false;
    bool mode_based_ = false;  ///< execute permission by the linear address's privilege
    bool by_sub_page_ = false; ///< pages may be written in parts: such a translation is never writable, each write asks
};

} // namespace vitrine::vtx
