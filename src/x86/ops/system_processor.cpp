// SPDX-License-Identifier: Apache-2.0
// The processor itself: interrupt flag, waiting, time, CPUID, MSRs, TLB and caches, random numbers, protection keys.
#include "x86/armed_lines.h"
#include "x86/model.h"
#include "x86/msr.h"
#include "x86/ops/system.h"
#include "x86/stale.h"

#include <bit>

namespace vitrine::ops {

namespace {

// ---- CLI, STI, CLAC, STAC -------------------------------------------------------------------------------------------

/// Who may not touch IF touches VIF instead, where CR4.VME (virtual-8086 mode) or CR4.PVI (protected mode, CPL 3) allow it.
bool may_change_if(const Cpu& cpu) { return cpu.cpl <= cpu.iopl(); }

bool may_change_vif(const Cpu& cpu) { return cpu.v86() ? cpu.cr4 & cr4::vme : (cpu.cr4 & cr4::pvi) && cpu.cpl == 3; }

Outcome cli(Cpu& cpu, const Instruction& i) {
    if (may_change_if(cpu))
        cpu.flags &= ~rflags::if_;
    else if (may_change_vif(cpu))
        cpu.flags &= ~rflags::vif;
    else
        return cpu.gp();
    return next(cpu, i);
}

Outcome sti(Cpu& cpu, const Instruction&) {
    if (may_change_if(cpu)) {
        if (!(cpu.flags & rflags::if_)) {
            cpu.flags |= rflags::if_;
            cpu.sti_shadow = true;
        }
    } else if (may_change_vif(cpu) && !(cpu.flags & rflags::vip)) {
        cpu.flags |= rflags::vif;
    } else {
        return cpu.gp();
    }
    cpu.events_changed();
    return Outcome::end;
}

template <bool on> Outcome set_ac(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.ud();
    cpu.flags = on ? cpu.flags | rflags::ac : cpu.flags & ~rflags::ac;
    cpu.privilege_changed();
    return next(cpu, i);
}

// ---- HLT, MONITOR, MWAIT, PAUSE -------------------------------------------------------------------------------------

Outcome hlt(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::hlt, i);
    cpu.activity = Activity::hlt;
    cpu.events_changed();
    return Outcome::end;
}

bool monitor_enabled(const Cpu& cpu) { return cpu.msr.misc_enable & misc_enable::monitor; }

/// RCX of MONITOR and MWAIT: optional extensions.
u64 extensions_of(const Cpu& cpu) { return cpu.gpr[rcx] & (cpu.mode64() ? ~0ull : low_mask(32)); }

Outcome monitor(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu) || !monitor_enabled(cpu))
        return cpu.ud();
    INTERCEPT(cpu, Intercept::monitor, i);
    if (extensions_of(cpu))
        return cpu.gp();
    const u64 offset = cpu.gpr[rax] & i.address_mask;
    const Linear at = TRY(cpu.segmented(static_cast<SegmentName>(i.segment), offset, 1, Use::read));
    const Physical line = TRY(cpu.locate(at, Use::read));
    cpu.armed_lines().arm(cpu, line);
    return next(cpu, i);
}

/// The hints in EAX choose among states that are all the same here.
Outcome mwait(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu) || !monitor_enabled(cpu))
        return cpu.ud();
    INTERCEPT(cpu, Intercept::mwait, i, cpu.monitor_armed);
    constexpr u64 masked_interrupts_break = bit(0);
    const u64 extensions = extensions_of(cpu);
    if (extensions & ~masked_interrupts_break)
        return cpu.gp();
    // SDM, Changes to Instruction Behavior in VMX Non-Root Operation: with what a masked interrupt would break, a guest does not begin to wait.
    const bool breaks_at_once = extensions && !(cpu.flags & rflags::if_) && (cpu.intercepted(Intercept::interrupt_window) || cpu.virtual_interrupt);
    if (!cpu.monitor_armed || breaks_at_once)
        return next(cpu, i);
    cpu.mwait_any_interrupt = extensions != 0;
    cpu.activity = Activity::mwait;
    cpu.events_changed();
    return Outcome::end;
}

Outcome pause(Cpu& cpu, const Instruction& i) {
    INTERCEPT(cpu, Intercept::pause, i);
    cpu.charge(63);
    cpu.yield_after_this();
    return Outcome::end;
}

// ---- time -----------------------------------------------------------------------------------------------------------

bool time_allowed(const Cpu& cpu) { return cpu.cpl == 0 || !(cpu.cr4 & cr4::tsd); }

void set_edx_eax(Cpu& cpu, u64 value) {
    cpu.gpr[rax] = value & low_mask(32);
    cpu.gpr[rdx] = value >> 32;
}

Outcome rdtsc(Cpu& cpu, const Instruction& i) {
    if (!time_allowed(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::rdtsc, i);
    set_edx_eax(cpu, cpu.tsc());
    return next(cpu, i);
}

Outcome rdtscp(Cpu& cpu, const Instruction& i) {
    if (!time_allowed(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::rdtscp, i);
    set_edx_eax(cpu, cpu.tsc());
    cpu.gpr[rcx] = cpu.msr.tsc_aux & low_mask(32);
    return next(cpu, i);
}

Outcome rdpid(Cpu& cpu, const Instruction& i) {
    INTERCEPT(cpu, Intercept::rdpid, i);
    set<u64>(cpu, i.reg, cpu.msr.tsc_aux & low_mask(32));
    return next(cpu, i);
}

/// There are no performance counters, so no index is valid.
Outcome rdpmc(Cpu& cpu, const Instruction& i) {
    if (cpu.cpl != 0 && !(cpu.cr4 & cr4::pce))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::rdpmc, i);
    return cpu.gp();
}

// ---- CPUID and MSRs -------------------------------------------------------------------------------------------------

Outcome cpuid(Cpu& cpu, const Instruction& i) {
    if (cpu.cpl != 0 && (cpu.msr.misc_features_enables & 1))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::cpuid, i);
    const CpuidContext context{
        .apic_id = cpu.index(),
        .cpu_count = cpu.cpu_count(),
        .apic_enabled = (cpu.apic().base() & bit(11)) != 0,
        .osxsave = (cpu.cr4 & cr4::osxsave) != 0,
        .ospke = (cpu.cr4 & cr4::pke) != 0,
        .mode64 = cpu.mode64(),
        .xcr0 = cpu.xcr0,
        .xss = cpu.msr.xss,
        .misc_enable = cpu.msr.misc_enable,
    };
    const u32 leaf = static_cast<u32>(cpu.gpr[rax]);
    const CpuidResult r = cpu.cpuid_memo().ask(cpu.model(), leaf, static_cast<u32>(cpu.gpr[rcx]), context);
    cpu.gpr[rax] = r.eax;
    cpu.gpr[rbx] = r.ebx;
    cpu.gpr[rcx] = r.ecx;
    cpu.gpr[rdx] = r.edx;
    if (leaf == 1)
        cpu.msr.bios_sign_id = u64{cpu.model().identity->microcode} << 32;
    return next(cpu, i);
}

Outcome rdmsr(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::rdmsr, i);
    set_edx_eax(cpu, TRY(read_msr(cpu, static_cast<u32>(cpu.gpr[rcx]))));
    return next(cpu, i);
}

Outcome wrmsr(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::wrmsr, i);
    TRY(write_msr(cpu, static_cast<u32>(cpu.gpr[rcx]), cpu.gpr[rdx] << 32 | (cpu.gpr[rax] & low_mask(32))));
    return Outcome::end;
}

// ---- TLB and caches -------------------------------------------------------------------------------------------------

/// The linear address without the checks of an access.
Linear unchecked_address(const Cpu& cpu, const Instruction& i) {
    const u64 offset = cpu.offset_of(i);
    if (!cpu.mode64())
        return Linear{(cpu.segments[i.segment].base + offset) & 0xffff'ffff};
    return Linear{i.segment == fs || i.segment == gs ? cpu.segments[i.segment].base + offset : offset};
}

Outcome invlpg(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    const Linear a = unchecked_address(cpu, i);
    INTERCEPT(cpu, Intercept::invlpg, i, a.value);
    if (!cpu.mode64() || canonical_address(cpu, a.value))
        cpu.invalidate_page(a);
    return Outcome::end;
}

Outcome invpcid(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::invpcid, i, static_cast<u64>(i.displacement));
    const u64 type = cpu.mode64() ? get<u64>(cpu, i.reg) : get<u32>(cpu, i.reg);
    const Linear at = TRY(cpu.address(i, 16, Use::read));
    u64 descriptor[2];
    TRY(cpu.load_bytes(at, descriptor, 16));
    const u16 pcid = descriptor[0] & 0xfff;
    const bool names_pcid = type < 2;
    if (type > 3 || (descriptor[0] >> 12) || (names_pcid && pcid && !(cpu.cr4 & cr4::pcide)) ||
        (type == 0 && !canonical_base(cpu, descriptor[1])))
        return cpu.gp();
    const TlbKey present = cpu.tlb().key();
    if (type == 0 && cpu.stale()) {
        cpu.stale()->invalidate(Linear{descriptor[1]}, pcid);
    } else if (type == 0 && pcid == present.pcid) {
        // Global translations may stay; that INVLPG drops them too is allowed.
        cpu.invalidate_page(Linear{descriptor[1]});
    } else {
        const bool keep_global = type != 2;
        cpu.tlb().flush_if(
            [&](const TlbKey& k) {
                return k.vpid == present.vpid && (!names_pcid || k.pcid == pcid);
            },
            keep_global);
    }
    return Outcome::end;
}

Outcome invd(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::invd, i);
    return next(cpu, i);
}

Outcome wbinvd(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::wbinvd, i);
    return next(cpu, i);
}

// ---- random numbers: xoshiro256**, seeded by the machine ----------------------------------------------------------------

u64 next_random(std::array<u64, 4>& s) {
    const u64 result = std::rotl(s[1] * 5, 7) * 9;
    const u64 t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = std::rotl(s[3], 45);
    return result;
}

template <Intercept kind> Outcome random_number(Cpu& cpu, const Instruction& i) {
    INTERCEPT(cpu, kind, i, i.reg / 8u);
    set_sized(cpu, i.reg, i.operand_size, next_random(cpu.random));
    cpu.status = 0x0300; // CF = 1, the others 0
    return next(cpu, i);
}

// ---- protection keys ------------------------------------------------------------------------------------------------

Outcome rdpkru(Cpu& cpu, const Instruction& i) {
    if (!(cpu.cr4 & cr4::pke))
        return cpu.ud();
    if (cpu.gpr[rcx] & low_mask(32))
        return cpu.gp();
    set_edx_eax(cpu, cpu.pkru);
    return next(cpu, i);
}

Outcome wrpkru(Cpu& cpu, const Instruction& i) {
    if (!(cpu.cr4 & cr4::pke))
        return cpu.ud();
    if ((cpu.gpr[rcx] | cpu.gpr[rdx]) & low_mask(32))
        return cpu.gp();
    cpu.pkru = static_cast<u32>(cpu.gpr[rax]);
    cpu.paging_changed();
    return next(cpu, i);
}

/// RSM outside system-management mode.
Outcome undefined(Cpu& cpu, const Instruction&) { return cpu.ud(); }

template <Handler handler> Handler bind_register(const Decoded& d, Instruction& out) {
    out.operand_size = static_cast<u8>(d.operand(0).size / 8);
    out.reg = gpr_offset(d.operand(0).reg.value);
    return handler;
}

Handler bind_monitor(const Decoded& d, Instruction& out) {
    // The address is DS:rAX, or with a segment override another segment's.
    out.address_mask = low_mask(d.info.address_width);
    static constexpr struct { ZydisInstructionAttributes prefix; SegmentName name; } overrides[] = {
        {ZYDIS_ATTRIB_HAS_SEGMENT_ES, es}, {ZYDIS_ATTRIB_HAS_SEGMENT_CS, cs}, {ZYDIS_ATTRIB_HAS_SEGMENT_SS, ss},
        {ZYDIS_ATTRIB_HAS_SEGMENT_FS, fs}, {ZYDIS_ATTRIB_HAS_SEGMENT_GS, gs}};
    out.segment = ds;
    for (const auto& o : overrides)
        if (d.info.attributes & o.prefix)
            out.segment = o.name;
    return monitor;
}

} // namespace

std::span<const OpRow> processor_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_CLI, bind_to<cli>},
        {ZYDIS_MNEMONIC_STI, bind_to<sti>, ends_block},
        {ZYDIS_MNEMONIC_CLAC, bind_to<set_ac<false>>},
        {ZYDIS_MNEMONIC_STAC, bind_to<set_ac<true>>},
        {ZYDIS_MNEMONIC_HLT, bind_to<hlt>, ends_block},
        {ZYDIS_MNEMONIC_MONITOR, bind_monitor},
        {ZYDIS_MNEMONIC_MWAIT, bind_to<mwait>, ends_block},
        {ZYDIS_MNEMONIC_PAUSE, bind_to<pause>, ends_block},
        {ZYDIS_MNEMONIC_RDTSC, bind_to<rdtsc>},
        {ZYDIS_MNEMONIC_RDTSCP, bind_to<rdtscp>},
        {ZYDIS_MNEMONIC_RDPID, bind_register<rdpid>},
        {ZYDIS_MNEMONIC_RDPMC, bind_to<rdpmc>},
        {ZYDIS_MNEMONIC_CPUID, bind_to<cpuid>},
        {ZYDIS_MNEMONIC_RDMSR, bind_to<rdmsr>},
        {ZYDIS_MNEMONIC_WRMSR, bind_to<wrmsr>, ends_block},
        {ZYDIS_MNEMONIC_INVLPG, bind_to<invlpg>, ends_block},
        {ZYDIS_MNEMONIC_INVPCID, bind_register<invpcid>, ends_block},
        {ZYDIS_MNEMONIC_INVD, bind_to<invd>},
        {ZYDIS_MNEMONIC_WBINVD, bind_to<wbinvd>},
        {ZYDIS_MNEMONIC_RDRAND, bind_register<random_number<Intercept::rdrand>>},
        {ZYDIS_MNEMONIC_RDSEED, bind_register<random_number<Intercept::rdseed>>},
        {ZYDIS_MNEMONIC_RDPKRU, bind_to<rdpkru>},
        {ZYDIS_MNEMONIC_WRPKRU, bind_to<wrpkru>},
        {ZYDIS_MNEMONIC_RSM, bind_to<undefined>, ends_block},
    };
    return rows;
}

} // namespace vitrine::ops
