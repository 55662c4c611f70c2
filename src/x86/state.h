// SPDX-License-Identifier: Apache-2.0
// The architectural registers of one processor, in the order in which the engines like them.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"
#include "x86/bits.h"
#include "x86/fpu_state.h"
#include "x86/msr_state.h"

#include <array>

namespace vitrine {

enum Gpr : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

/// Two more slots of the register array, so that effective addresses need no branch.
inline constexpr u8 zero_register = 16;  ///< always 0: "no base", "no index"
inline constexpr u8 block_register = 17; ///< rip of the block's first instruction: base of RIP-relative operands

enum SegmentName : u8 { es, cs, ss, ds, fs, gs, ldtr, tr, segment_count };

struct Segment {
    u64 base = 0;
    u32 limit = 0;  ///< in bytes, granularity applied
    u32 rights = 0; ///< as in the VMCS, unusable bit included
    u16 selector = 0;

    bool usable() const { return !rights::unusable(rights); }

    u8 dpl() const { return static_cast<u8>(rights::dpl(rights)); }

    u8 type() const { return static_cast<u8>(rights::type(rights)); }

    void state(Visitor& v);
};

struct TableRegister {
    u64 base = 0;
    u16 limit = 0xffff;

    void state(Visitor& v);
};

/// What the processor is doing between instructions (the VMCS's activity states, and MWAIT).
enum class Activity : u8 { active = 0, hlt = 1, shutdown = 2, wait_for_sipi = 3, mwait = 4 };

struct State {
    std::array<u64, 18> gpr{};
    u64 rip = 0; ///< exact at block borders and after faults; inside a block see Cpu::rip_of
    /// Status flags as LAHF and SETO leave them: SF ZF AF PF CF in bits 15:8 (AH), OF in bits 7:0 (AL, 0 or 1).
    u16 status = 0x0200;
    u64 flags = 2; ///< RFLAGS without the six status bits; use Cpu::rflags() and set_rflags()
    std::array<Segment, segment_count> segments{};
    TableRegister gdtr, idtr;
    u64 cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, xcr0 = 1;
    std::array<u64, 4> pdpte{}; ///< PAE: registers, loaded at MOV CR3 and its kin
    std::array<u64, 4> dr{};
    u64 dr6 = dr6::always, dr7 = dr7::always;
    u8 cpl = 0;
    Activity activity = Activity::active;
    bool sti_shadow = false;    ///< blocking by STI: until the next instruction has completed
    bool mov_ss_shadow = false; ///< blocking by MOV SS
    bool nmi_blocked = false;
    bool nmi_pending = false, smi_pending = false, init_pending = false;
    u16 sipi_pending = 0;  ///< 100h + vector when one is pending
    u64 pending_debug = 0; ///< DR6 bits of a #DB trap due at the next boundary
    u64 tsc_offset = 0;    ///< TSC = virtual time + offset
    u64 retired = 0;       ///< architecturally retired instructions (a REP counts once)
    u64 monitor_address = 0;
    bool monitor_armed = false;
    u32 pkru = 0;
    std::array<u64, 4> random{}; ///< RDRAND and RDSEED
    MsrState msr;
    FpuState fpu;

    void state(Visitor& v);
};

} // namespace vitrine
