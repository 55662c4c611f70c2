// SPDX-License-Identifier: Apache-2.0
// VMX instructions: bound here, executed by the processor's VMX unit; without one they are undefined.
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

template <VmxInstruction which> Outcome vmx(Cpu& cpu, const Instruction& i) {
    if (!cpu.vmx)
        return cpu.ud();
    return cpu.vmx->execute(cpu, i, which);
}

/// `reg` is the register operand (the field's encoding, or the type), `third` the other register operand, or no_register.
template <VmxInstruction which> Handler bind_vmx(const Decoded& d, Instruction& out) {
    const unsigned encoding = which == VmxInstruction::vmread ? 1 : 0;
    const unsigned other = 1 - encoding;
    out.third = no_register;
    if (d.is_register(encoding) && d.visible() > encoding)
        out.reg = gpr_offset(d.operand(encoding).reg.value);
    if (d.visible() > 1 && d.is_register(other))
        out.third = gpr_offset(d.operand(other).reg.value);
    out.operand_size = d.mode.bits == 64 ? 8 : 4;
    return vmx<which>;
}

} // namespace

std::span<const OpRow> vmx_rows() {
    using enum VmxInstruction;
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_VMXON, bind_vmx<vmxon>, ends_block},
        {ZYDIS_MNEMONIC_VMXOFF, bind_vmx<vmxoff>, ends_block},
        {ZYDIS_MNEMONIC_VMCLEAR, bind_vmx<vmclear>, ends_block},
        {ZYDIS_MNEMONIC_VMPTRLD, bind_vmx<vmptrld>, ends_block},
        {ZYDIS_MNEMONIC_VMPTRST, bind_vmx<vmptrst>},
        {ZYDIS_MNEMONIC_VMREAD, bind_vmx<vmread>},
        {ZYDIS_MNEMONIC_VMWRITE, bind_vmx<vmwrite>},
        {ZYDIS_MNEMONIC_VMLAUNCH, bind_vmx<vmlaunch>, ends_block},
        {ZYDIS_MNEMONIC_VMRESUME, bind_vmx<vmresume>, ends_block},
        {ZYDIS_MNEMONIC_VMCALL, bind_vmx<vmcall>, ends_block},
        {ZYDIS_MNEMONIC_VMFUNC, bind_vmx<vmfunc>, ends_block},
        {ZYDIS_MNEMONIC_INVEPT, bind_vmx<invept>, ends_block},
        {ZYDIS_MNEMONIC_INVVPID, bind_vmx<invvpid>, ends_block},
    };
    return rows;
}

} // namespace vitrine::ops
