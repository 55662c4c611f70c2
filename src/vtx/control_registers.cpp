// SPDX-License-Identifier: Apache-2.0
// Control registers in VMX non-root operation: guest/host masks, read shadows, CR3 targets, the TPR shadow.
#include "vtx/unit.h"
#include "x86/control.h"
#include "x86/ops/system.h"

namespace vitrine::vtx {

namespace {

/// Exit Qualification for Control-Register Accesses.
struct CrAccess {
    Field number{3, 0, ro, "register", "number of the control register"};
    Field type{5, 4, ro, "type", "0 = MOV to, 1 = MOV from, 2 = CLTS, 3 = LMSW"};
    Field memory{6, ro, "memory", "LMSW from memory"};
    Field gpr{11, 8, ro, "general register", ""};
    Field source{31, 16, ro, "LMSW source data", ""};
} constexpr access_fields;

} // namespace

Outcome Unit::cr_access(const Instruction& i, u64 qualification) {
    switch (access_fields.type(qualification)) {
    case 0: return mov_to_cr(i, qualification);
    case 1: return i.mnemonic == ZYDIS_MNEMONIC_SMSW ? smsw(i) : mov_from_cr(i, qualification);
    case 2:
        // CLTS: the host's TS exits when it looks set, and cannot be cleared when it does not.
        if (!(vmcs_[F::cr0_mask] & cr0::ts))
            return Outcome::next;
        return vmcs_[F::cr0_read_shadow] & cr0::ts ? leave(i, ExitReason::cr_access, qualification) : Outcome::end;
    default: return lmsw(i, qualification);
    }
}

Outcome Unit::mov_to_cr(const Instruction& i, u64 qualification) {
    const u64 value = cpu_.mode64() ? cpu_.gpr[i.reg / 8u] : cpu_.gpr[i.reg / 8u] & low_mask(32);
    const auto masked = [&](u64 mask, u64 shadow) { return ((value ^ shadow) & mask) != 0; };
    switch (i.third) {
    case 0: {
        const u64 mask = vmcs_[F::cr0_mask];
        if (masked(mask, vmcs_[F::cr0_read_shadow]))
            return leave(i, ExitReason::cr_access, qualification);
        if (value >> 32)
            return cpu_.gp();
        TRY(write_cr0(cpu_, (value & ~mask) | (cpu_.cr0 & mask)));
        break;
    }
    case 3:
        if (on(vtx::primary.cr3_load_exiting, F::primary)) {
            bool target = false;
            for (unsigned n = 0; n < vmcs_[F::cr3_target_count]; ++n)
                target |= vmcs_[after(F::cr3_target_0, n)] == value;
            if (!target)
                return leave(i, ExitReason::cr_access, qualification);
        }
        return Outcome::next;
    case 4: {
        const u64 mask = vmcs_[F::cr4_mask];
        if (masked(mask, vmcs_[F::cr4_read_shadow]))
            return leave(i, ExitReason::cr_access, qualification);
        TRY(write_cr4(cpu_, (value & ~mask) | (cpu_.cr4 & mask)));
        break;
    }
    case 8:
        if (on(vtx::primary.cr8_load_exiting, F::primary))
            return leave(i, ExitReason::cr_access, qualification);
        if (!on(vtx::primary.use_tpr_shadow, F::primary))
            return Outcome::next;
        if (value > 15)
            return cpu_.gp();
        set_virtual_register(0x80, static_cast<u32>(value << 4));
        virtualize_tpr();
        break;
    default: return Outcome::next;
    }
    cpu_.events_changed();
    return Outcome::end;
}

Outcome Unit::mov_from_cr(const Instruction& i, u64 qualification) {
    const auto seen = [](u64 value, u64 mask, u64 shadow) { return (value & ~mask) | (shadow & mask); };
    u64 value = 0;
    switch (i.third) {
    case 0: value = seen(cpu_.cr0, vmcs_[F::cr0_mask], vmcs_[F::cr0_read_shadow]); break;
    case 3:
        if (on(vtx::primary.cr3_store_exiting, F::primary))
            return leave(i, ExitReason::cr_access, qualification);
        return Outcome::next;
    case 4: value = seen(cpu_.cr4, vmcs_[F::cr4_mask], vmcs_[F::cr4_read_shadow]); break;
    case 8:
        if (on(vtx::primary.cr8_store_exiting, F::primary))
            return leave(i, ExitReason::cr_access, qualification);
        if (!on(vtx::primary.use_tpr_shadow, F::primary))
            return Outcome::next;
        value = vtpr() >> 4;
        break;
    default: return Outcome::next;
    }
    ops::set_sized(cpu_, i.reg, cpu_.mode64() ? 8 : 4, value);
    return Outcome::end;
}

/// PE can only be set; MP, EM and TS are written.
Outcome Unit::lmsw(const Instruction& i, u64 qualification) {
    const u64 mask = vmcs_[F::cr0_mask], shadow = vmcs_[F::cr0_read_shadow], source = access_fields.source(qualification) & 15;
    const bool exits = ((source & mask & ~shadow) & cr0::pe) || ((source ^ shadow) & mask & 14);
    if (exits) {
        ExitInformation details;
        if (access_fields.memory(qualification)) {
            details.linear = TRY(cpu_.address(i, 2, Use::read)).value;
            details.has_linear = true;
        }
        return leave(i, ExitReason::cr_access, qualification, details);
    }
    const u64 open = ~mask & 15;
    const u64 written = (cpu_.cr0 & ~(open & 14)) | (source & open);
    TRY(write_cr0(cpu_, written));
    return Outcome::end;
}

Outcome Unit::smsw(const Instruction& i) {
    const u64 mask = vmcs_[F::cr0_mask];
    const u64 value = (cpu_.cr0 & ~mask) | (vmcs_[F::cr0_read_shadow] & mask);
    if (i.third == no_register) {
        TRY((ops::store_operand<u16, ops::AnyAddress>(cpu_, i, static_cast<u16>(value))));
    } else {
        ops::set_sized(cpu_, i.reg, i.operand_size, value);
    }
    return Outcome::end;
}

} // namespace vitrine::vtx
