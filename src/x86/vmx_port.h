// SPDX-License-Identifier: Apache-2.0
// Seam: what a processor asks of its VMX unit; owned by x86, implemented by vtx. Without one, VMX instructions are undefined.
#pragma once

#include "words/integers.h"
#include "x86/outcome.h"

namespace vitrine {

class Cpu;
struct Instruction;

enum class VmxInstruction : u8 {
    vmxon, vmxoff, vmclear, vmptrld, vmptrst, vmread, vmwrite, vmlaunch, vmresume, vmcall, vmfunc, invept, invvpid,
};

class VmxPort {
public:
    virtual ~VmxPort() = default;

    /// Executes the instruction: all checks, exits included, are the unit's. A register operand of VMREAD and VMWRITE other than
    /// the field's encoding is told by Instruction::third.
    virtual Outcome execute(Cpu& cpu, const Instruction& insn, VmxInstruction which) = 0;

    /// RDMSR of 480h to 4ffh. False: #GP.
    virtual bool read_msr(u32 msr, u64& value) const = 0;

    /// The processor was reset (INIT included): VMX operation ends.
    virtual void reset() = 0;
};

} // namespace vitrine
