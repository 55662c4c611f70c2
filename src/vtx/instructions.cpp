// SPDX-License-Identifier: Apache-2.0
// VMX instructions: checks in the manual's order, and how they succeed and fail (SDM volume 3, VMX Instruction Reference).
#include "vtx/instruction_information.h"
#include "vtx/spec/operand_rules.h"
#include "vtx/unit.h"
#include "x86/model.h"

#include <iterator>

namespace vitrine::vtx {

namespace {

/// Where real, virtual-8086 and compatibility mode do not know VMX instructions.
bool mode_allows(const Cpu& cpu) {
    return cpu.protected_mode() && !cpu.v86() && !(cpu.long_mode() && !cpu.mode64());
}

u64 register_value(const Cpu& cpu, u16 offset) {
    const u64 value = cpu.gpr[offset / 8u];
    return cpu.mode64() ? value : value & low_mask(32);
}

template <std::size_t N> bool holds(const OperandRule (&rules)[N], const InvalidateOperand& operand, Glass& glass) {
    for (const OperandRule& rule : rules)
        if (!rule.must(operand)) {
            glass.odd(Topic::vmx, "invalidation.refused", {{"rule", rule.id}, {"type", operand.type}, {"low", operand.low}, {"high", operand.high}});
            return false;
        }
    return true;
}

} // namespace

Outcome Unit::succeed(const Instruction&) {
    cpu_.status = 0x0200;
    return Outcome::end;
}

Outcome Unit::fail_invalid(const Instruction&) {
    cpu_.status = 0x0300; // CF
    return Outcome::end;
}

/// VMfailValid with a current VMCS, else VMfailInvalid. In VMX non-root operation (a VMREAD or VMWRITE of the shadow VMCS) too the
/// error goes to the current VMCS, the one that the guest runs under.
Outcome Unit::fail(const Instruction& i, VmError error) {
    cpu_.glass().tell(Topic::vmx, "instruction.failed", {{"cpu", cpu_.index()}, {"rip", cpu_.rip_of(i)}, {"error", static_cast<u64>(error)}, {"why", text_of(error)}});
    if (!vmcs_.valid())
        return fail_invalid(i);
    vmcs_.set(F::vm_instruction_error, static_cast<u64>(error));
    cpu_.status = 0x4200; // ZF
    return Outcome::end;
}

Outcome Unit::execute(Cpu& cpu, const Instruction& i, VmxInstruction which) {
    using enum VmxInstruction;
    if (which == vmxon) {
        if (!mode_allows(cpu) || !(cpu.cr4 & cr4::vmxe))
            return cpu.ud();
    } else if (!operation_) {
        return cpu.ud();
    }
    if (which == vmfunc)
        return vmfunc_allowed() ? vmfunc_(i) : cpu.ud();
    if (which == vmcall && non_root_)
        return exit_from(i, which);
    if (!mode_allows(cpu))
        return cpu.ud();
    if ((which == invept && !vtx::ept_vpid.invept(capabilities_.ept_vpid)) || (which == invvpid && !vtx::ept_vpid.invvpid(capabilities_.ept_vpid)))
        return cpu.ud();
    if (non_root_) {
        const bool shadowed = (which == vmread && shadows(i, F::vmread_bitmap)) || (which == vmwrite && shadows(i, F::vmwrite_bitmap));
        if (!shadowed)
            return exit_from(i, which);
    }
    if (which == vmxon && !operation_)
        return vmxon_(i);
    if (cpu.cpl != 0)
        return cpu.gp();
    switch (which) {
    case vmxon: return fail(i, VmError::vmxon_in_root);
    case vmxoff: return vmxoff_(i);
    case vmclear: return vmclear_(i);
    case vmptrld: return vmptrld_(i);
    case vmptrst: return vmptrst_(i);
    case vmread: return vmread_(i);
    case vmwrite: return vmwrite_(i);
    case vmlaunch: return enter(i, true);
    case vmresume: return enter(i, false);
    case vmcall: return fail(i, VmError::vmcall_in_root);
    case vmfunc: break;
    case invept: return invept_(i);
    case invvpid: return invvpid_(i);
    }
    return cpu.ud();
}

/// The 64-bit memory operand of VMXON, VMCLEAR and VMPTRLD.
Faultable<u64> Unit::pointer_operand(const Instruction& i) { return cpu_.load<u64>(TRY(cpu_.address(i, 8, Use::read))); }

bool Unit::valid_region(u64 pointer) const { return is_aligned(pointer, page_size) && !(pointer >> cpu_.model().physical_bits); }

Outcome Unit::vmxon_(const Instruction& i) {
    constexpr u64 locked = bit(0), outside_smx = bit(2);
    const u64 control = cpu_.msr.feature_control;
    if (cpu_.cpl != 0 || (cpu_.cr0 & cr0_fixed0) != cr0_fixed0 || !(control & locked) || !(control & outside_smx))
        return cpu_.gp();
    const u64 pointer = TRY(pointer_operand(i));
    if (!valid_region(pointer) || cpu_.space().read<u32>(Physical{pointer}, cpu_.requester()) != vmcs_revision)
        return fail_invalid(i);
    vmcs_.drop();
    vmxon_pointer_ = pointer;
    operation_ = true;
    statistics_.vmxon(cpu_.retired_by_now());
    cpu_.cr0_required = cr0_fixed0;
    cpu_.cr4_required = cr4_fixed0;
    cpu_.init_blocked = true;
    cpu_.glass().tell(Topic::vmx, "vmxon", {{"cpu", cpu_.index()}, {"region", pointer}, {"rip", cpu_.rip_of(i)}});
    return succeed(i);
}

Outcome Unit::vmxoff_(const Instruction& i) {
    vmcs_.forget(cpu_);
    operation_ = false;
    statistics_.left(cpu_.retired_by_now());
    vmxon_pointer_ = Vmcs::no_pointer;
    cpu_.cr0_required = cpu_.cr4_required = 0;
    cpu_.init_blocked = false;
    cpu_.events_changed();
    cpu_.glass().tell(Topic::vmx, "vmxoff", {{"cpu", cpu_.index()}, {"rip", cpu_.rip_of(i)}});
    return succeed(i);
}

Outcome Unit::vmclear_(const Instruction& i) {
    const u64 pointer = TRY(pointer_operand(i));
    if (!valid_region(pointer))
        return fail(i, VmError::vmclear_invalid_address);
    if (pointer == vmxon_pointer_)
        return fail(i, VmError::vmclear_vmxon_pointer);
    vmcs_.clear(cpu_, pointer);
    cpu_.glass().tell(Topic::vmx, "vmclear", {{"cpu", cpu_.index()}, {"vmcs", pointer}});
    return succeed(i);
}

Outcome Unit::vmptrld_(const Instruction& i) {
    const u64 pointer = TRY(pointer_operand(i));
    if (!valid_region(pointer))
        return fail(i, VmError::vmptrld_invalid_address);
    if (pointer == vmxon_pointer_)
        return fail(i, VmError::vmptrld_vmxon_pointer);
    const u32 revision = cpu_.space().read<u32>(Physical{pointer}, cpu_.requester());
    const bool may_shadow = vtx::secondary.vmcs_shadowing(capabilities_.secondary) != 0;
    if ((revision & ~Vmcs::shadow_flag) != vmcs_revision || ((revision & Vmcs::shadow_flag) && !may_shadow))
        return fail(i, VmError::vmptrld_wrong_revision);
    vmcs_.load(cpu_, pointer);
    return succeed(i);
}

Outcome Unit::vmptrst_(const Instruction& i) {
    const Linear at = TRY(cpu_.address(i, 8, Use::write));
    TRY(cpu_.store<u64>(at, vmcs_.pointer()));
    return succeed(i);
}

/// In VMX non-root operation: whether the access goes to the shadow VMCS instead of exiting.
bool Unit::shadows(const Instruction& i, F which) const {
    const u64 encoding = register_value(cpu_, i.reg);
    return vtx::secondary.vmcs_shadowing(secondary_controls()) && !(encoding >> 15) && !bitmap(which, encoding);
}

namespace {

/// A field as VMREAD shows it: the high half alone, or outside 64-bit mode the low half alone.
u64 visible_part(u64 value, u64 encoding, bool wide) {
    if (encoding & 1)
        return value >> 32;
    return wide ? value : value & low_mask(32);
}

u64 merged_part(u64 old, u64 value, u64 encoding, unsigned width, bool wide) {
    if (encoding & 1)
        return (old & low_mask(32)) | value << 32;
    // Outside 64-bit mode a 64-bit field keeps its high half; natural-width ones are zero-extended.
    if (!wide && width == 64 && bits(encoding, 14, 13) == 1)
        return (old & ~low_mask(32)) | (value & low_mask(32));
    return value;
}

} // namespace

Outcome Unit::vmread_(const Instruction& i) {
    const bool wide = cpu_.mode64();
    const u64 encoding = register_value(cpu_, i.reg);
    const u64 link = vmcs_[F::vmcs_link_pointer];
    if (non_root_ ? link == Vmcs::no_pointer : !vmcs_.valid())
        return fail_invalid(i);
    const F field = field_map.find(encoding);
    if (field == F::count)
        return fail(i, VmError::unsupported_field);
    const u64 value = visible_part(non_root_ ? Vmcs::read_region(cpu_, link, field) : vmcs_[field], encoding, wide);
    if (i.third != no_register) {
        cpu_.gpr[i.third / 8u] = value;
    } else {
        const Linear at = TRY(cpu_.address(i, wide ? 8 : 4, Use::write));
        if (wide)
            TRY(cpu_.store<u64>(at, value));
        else
            TRY(cpu_.store<u32>(at, static_cast<u32>(value)));
    }
    cpu_.status = 0x0200;
    return next(cpu_, i);
}

Outcome Unit::vmwrite_(const Instruction& i) {
    const bool wide = cpu_.mode64();
    const u64 link = vmcs_[F::vmcs_link_pointer];
    if (non_root_ ? link == Vmcs::no_pointer : !vmcs_.valid())
        return fail_invalid(i);
    u64 value;
    if (i.third != no_register) {
        value = register_value(cpu_, i.third);
    } else {
        const Linear at = TRY(cpu_.address(i, wide ? 8 : 4, Use::read));
        value = wide ? TRY(cpu_.load<u64>(at)) : u64{TRY(cpu_.load<u32>(at))};
    }
    const u64 encoding = register_value(cpu_, i.reg);
    const F field = field_map.find(encoding);
    if (field == F::count)
        return fail(i, VmError::unsupported_field);
    const FieldEncoding e = row(field).encoding;
    if (e.area() == FieldArea::read_only && !vtx::misc.writes_read_only(capabilities_.misc))
        return fail(i, VmError::read_only_field);
    const u64 old = non_root_ ? Vmcs::read_region(cpu_, link, field) : vmcs_[field];
    value = merged_part(old, value, encoding, e.width(), wide);
    if (non_root_)
        Vmcs::write_region(cpu_, link, field, value);
    else
        vmcs_.write(field, value, cpu_.rip_of(i), entries_);
    cpu_.status = 0x0200;
    return next(cpu_, i);
}

bool Unit::vmfunc_allowed() const { return non_root_ && vtx::secondary.enable_vm_functions(secondary_controls()); }

/// EPTP switching is the only VM function there is.
Outcome Unit::vmfunc_(const Instruction& i) {
    const u32 function = static_cast<u32>(cpu_.gpr[rax]), index = static_cast<u32>(cpu_.gpr[rcx]);
    constexpr u32 list_entries = 512;
    if (function != 0 || !(vmcs_[F::vm_function_controls] & 1) || index >= list_entries)
        return exit_from(i, VmxInstruction::vmfunc);
    const u64 eptp = cpu_.space().read<u64>(Physical{vmcs_[F::eptp_list_address] + 8 * index}, cpu_.requester());
    const InvalidateOperand operand{.type = 1, .low = eptp, .ept_vpid = capabilities_.ept_vpid, .physical_bits = cpu_.model().physical_bits};
    if (!invept_rules[1].must(operand))
        return exit_from(i, VmxInstruction::vmfunc);
    vmcs_.set(F::eptp, eptp);
    if (vtx::secondary.ept_violation_ve(secondary_controls()))
        vmcs_.set(F::eptp_index, index);
    ept_.select(eptp, secondary_controls());
    cpu_.paging_changed();
    return Outcome::end;
}

Outcome Unit::invept_(const Instruction& i) {
    u64 descriptor[2];
    TRY(cpu_.load_bytes(TRY(cpu_.address(i, 16, Use::read)), descriptor, 16));
    const InvalidateOperand operand{.type = register_value(cpu_, i.reg), .low = descriptor[0], .high = descriptor[1], .ept_vpid = capabilities_.ept_vpid,
                                    .physical_bits = cpu_.model().physical_bits};
    if (!holds(invept_rules, operand, cpu_.glass()))
        return fail(i, VmError::invalid_operand);
    const u64 table = operand.low & ~0xfffull;
    cpu_.tlb().flush_roots([&](u64 root) { return operand.type == 2 || (root & ~0xfffull) == table; });
    return succeed(i);
}

Outcome Unit::invvpid_(const Instruction& i) {
    u64 descriptor[2];
    TRY(cpu_.load_bytes(TRY(cpu_.address(i, 16, Use::read)), descriptor, 16));
    const InvalidateOperand operand{.type = register_value(cpu_, i.reg), .low = descriptor[0], .high = descriptor[1], .ept_vpid = capabilities_.ept_vpid,
                                    .physical_bits = cpu_.model().physical_bits, .linear_bits = cpu_.cr4 & cr4::la57 ? 57u : 48u};
    if (!holds(invvpid_rules, operand, cpu_.glass()))
        return fail(i, VmError::invalid_operand);
    const u16 vpid = static_cast<u16>(operand.low);
    if (operand.type == 0)
        cpu_.tlb().invalidate(operand.high, vpid);
    else
        cpu_.tlb().flush_if([&](const TlbKey& k) { return operand.type == 2 ? k.vpid != 0 : k.vpid == vpid; }, operand.type == 3);
    return succeed(i);
}

Outcome Unit::exit_from(const Instruction& i, VmxInstruction which) {
    using enum VmxInstruction;
    static constexpr ExitReason reasons[] = {ExitReason::vmxon,  ExitReason::vmxoff,   ExitReason::vmclear,  ExitReason::vmptrld, ExitReason::vmptrst,
                                             ExitReason::vmread, ExitReason::vmwrite,  ExitReason::vmlaunch, ExitReason::vmresume, ExitReason::vmcall,
                                             ExitReason::vmfunc, ExitReason::invept,   ExitReason::invvpid};
    const ExitReason reason = reasons[static_cast<unsigned>(which)];
    switch (which) {
    case vmxon:
    case vmclear:
    case vmptrld:
    case vmptrst: return leave(i, reason, displacement(cpu_, i), memory_information(i));
    case vmread:
    case vmwrite: {
        const u32 registers = u32{i.reg / 8u} << 28;
        if (i.third != no_register)
            return leave(i, reason, 0, registers | 1u << 10 | u32{i.third / 8u} << 3);
        return leave(i, reason, displacement(cpu_, i), memory_information(i) | registers);
    }
    case invept:
    case invvpid: return leave(i, reason, displacement(cpu_, i), memory_information(i) | u32{i.reg / 8u} << 28);
    default: return leave(i, reason);
    }
}

} // namespace vitrine::vtx
