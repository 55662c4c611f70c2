// SPDX-License-Identifier: Apache-2.0
// x87 instructions: the host's own on the guest's registers, which stay in the host's x87 while its processor runs, with the memory operand
// rewritten to [r13]. A block looks once whether they are there and no exception can become pending (Cpu::x87_quiet); else, and for
// whatever loads the whole state or stores it, the handlers do the work. SDM volume 1, Programming with the x87 FPU.
#include "jit/forms.h"

#include "x86/ops/fpu_rules.h"

#include <utility>

namespace vitrine::jit {

namespace {

constexpr HostPlaces places{.reg = 0, .rm = 2, .vvvv = 2, .memory = 13}; // no x87 instruction has general registers but AX

Decoded decoded(const Source& s) { return Decoded{s.info, s.operands, *s.mode, s.bytes}; }

const ZydisDecodedOperand* memory_operand(const Source& s) {
    for (unsigned n = 0; n < s.info.operand_count; ++n)
        if (s.operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return &s.operands[n];
    return nullptr;
}

bool available(Source& s) {
    s.x87 = true;
    return !refused(*s.mode, FpuUnit::x87) && (!memory_operand(s) || reachable(s));
}

/// FCOMI and its kin compare into ZF, PF and CF; the manual says that they clear OF, SF and AF. Asked of the host once.
bool comparison_sets_all() {
    static const bool sets = [] {
        u16 after;
        u8 guest[108]; // whose registers may be there
        asm volatile("fnsave %1\n\tfldz\n\tfldz\n\tmov $0xd701, %%eax\n\tadd $0x7f, %%al\n\tsahf\n\tfcomip %%st(1), %%st\n\t"
                     "lahf\n\tseto %%al\n\tmov %%ax, %0\n\tfrstor %1"
                     : "=r"(after), "=m"(guest)
                     :
                     : "eax", "cc");
        return after == 0x4200;
    }();
    return sets;
}

u16 status_flags(u32 zydis) {
    u16 flags = no_flags;
    constexpr std::pair<u32, u16> all[] = {{ZYDIS_CPUFLAG_CF, cf}, {ZYDIS_CPUFLAG_PF, pf}, {ZYDIS_CPUFLAG_AF, af},
                                           {ZYDIS_CPUFLAG_ZF, zf}, {ZYDIS_CPUFLAG_SF, sf}, {ZYDIS_CPUFLAG_OF, of}};
    for (const auto& [theirs, ours] : all)
        if (zydis & theirs)
            flags |= ours;
    return flags;
}

u16 tested(const Source& s) { return s.info.cpu_flags ? status_flags(s.info.cpu_flags->tested) : u16{no_flags}; }

bool compares(const Source& s) {
    const ZydisAccessedFlags* f = s.info.cpu_flags;
    return f && status_flags(f->modified | f->set_0 | f->set_1 | f->undefined);
}

u16 needed(const Source& s) { return compares(s) && !comparison_sets_all() ? u16{all_flags} : tested(s); }

bool accepts(Source& s) {
    if (!available(s) || !s.insn->extra || !host_form(decoded(s), places))
        return false;
    if (const ZydisDecodedOperand* m = memory_operand(s); m && m->size / 8u != s.insn->operand_size)
        return false;
    s.kills = compares(s) ? all_flags : no_flags;
    s.reads = needed(s);
    return true;
}

void arithmetic(Emitter& e, const Source& s) {
    const HostForm bytes = *host_form(decoded(s), places);
    e.look_at_x87(s);
    if (const ZydisDecodedOperand* m = memory_operand(s))
        (void)e.memory(s, s.insn->operand_size, (m->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0);
    if (const u16 flags = needed(s))
        e.need_flags(flags);
    e.a.embed(bytes.bytes, bytes.size);
    if (s.kills)
        e.flags_made();
    e.x87_done(s);
}

// ---- control ------------------------------------------------------------------------------------------------------------

bool accepts_control(Source& s) { return available(s) && s.info.operand_count_visible <= 1; }

void fnstcw(Emitter& e, const Source& s) {
    e.look_at_x87(s);
    e.a.fnstcw(e.memory(s, 2, true));
}

void fnstsw(Emitter& e, const Source& s) {
    e.look_at_x87(s);
    if (s.is_memory(0)) {
        e.a.fnstsw(e.memory(s, 2, true));
        return;
    }
    e.a.fnstsw(host::ax);
    e.write(8 * rax, 2, t1);
}

/// A control word that unmasks something is its handler's.
void fldcw(Emitter& e, const Source& s) {
    e.look_at_x87(s);
    const host::Mem from = e.memory(s, 2, false);
    e.a.movzx(host::eax, from);
    e.a.not_(host::eax);
    e.a.test(host::al, 0x3f);
    e.a.jnz(e.slow());
    e.a.fldcw(from);
}

/// Nothing is pending.
void fwait(Emitter& e, const Source& s) { e.look_at_x87(s); }

} // namespace

// ---- the path -----------------------------------------------------------------------------------------------------------

/// The first x87 instruction of a path looks, and the first one behind a handler that always runs. The slow way of an instruction
/// between them cannot change what it saw.
void Emitter::find_x87() {
    bool known = false;
    for (Source& s : sources_) {
        s.looks = s.operation && s.x87 && !known;
        if (s.looks)
            s.reads = all_flags; // its handler may be needed: flags must be home
        known = s.operation && (known || s.x87);
    }
}

void Emitter::look_at_x87(const Source& s) {
    if (!s.looks)
        return;
    clobber_flags();
    a.cmp(host::byte_ptr(state, environment_.layout.x87_quiet), 0);
    a.je(slow());
}

void Emitter::leave_x87() {
    if (const Source* last = std::exchange(pointer_, nullptr))
        store_pointer(*last);
}

void Emitter::store_pointer(const Source& s) {
    code_address(t1, offset_on_page(s));
    a.mov(host::qword_ptr(state, at_fip), t1);
}

std::span<const Operation> x87_operations() {
    static constexpr Operation rows[] = {
#define X87(id) {ZYDIS_MNEMONIC_##id, accepts, arithmetic},
#include "x86/ops/x87.def"
#undef X87
        {ZYDIS_MNEMONIC_FNSTCW, accepts_control, fnstcw},
        {ZYDIS_MNEMONIC_FNSTSW, accepts_control, fnstsw},
        {ZYDIS_MNEMONIC_FLDCW, accepts_control, fldcw},
        {ZYDIS_MNEMONIC_FWAIT, accepts_control, fwait},
    };
    return rows;
}

} // namespace vitrine::jit
