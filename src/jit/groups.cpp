// SPDX-License-Identifier: Apache-2.0
// Groups: accesses a few bytes apart from one base register (a row of pushes, fields of a structure) share one probe over all their bytes.
// If that succeeds each of them would have. If it does not, because one of them misses or a page ends between them, nothing of the group
// has happened yet, and its instructions follow once more with a probe each.
#include "jit/emitter.h"

#include "jit/forms.h"

namespace vitrine::jit {

namespace {

/// The more bytes, the more often a page ends between them.
constexpr i64 most_span = 128;

/// Instructions whose code leaves `address` alone where they do not access memory, and cannot take the slow way where the probe is made.
bool plain(const Source& s) {
    if (s.insn->lock)
        return false;
    switch (s.info.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_ADCX:
    case ZYDIS_MNEMONIC_ADOX:
    case ZYDIS_MNEMONIC_MULX:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR64: return true;
    case ZYDIS_MNEMONIC_PUSH: return !s.is_memory(0);
    case ZYDIS_MNEMONIC_POP: return s.reg(0) / 8 != rsp;
    case ZYDIS_MNEMONIC_RET: return true;
    case ZYDIS_MNEMONIC_LEA:
        return s.size(0) >= 4 && Emitter::at_home(s.reg(0)) &&
               (s.insn->index == zero_register || (s.insn->base < 16 && pinned[s.insn->base] != no_host));
    default: return false;
    }
}

struct Access {
    u8 base = zero_register; ///< none
    i64 at = 0;
    unsigned size = 0;
    bool writes = false;
};

/// What a plain instruction accesses, from its base register before it.
Access access(const Source& s) {
    switch (s.info.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: return {rsp, -8, 8, true};
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_RET: return {rsp, 0, 8, false};
    default: break;
    }
    const Instruction& i = *s.insn;
    if (i.index != zero_register || i.segment == fs || i.segment == gs || i.address_mask != ~0ull || i.checked ||
        i.displacement != static_cast<i32>(i.displacement))
        return {};
    for (unsigned n = 0; n < 3; ++n)
        if (s.is_memory(n))
            return {i.base, i.displacement, s.size(n), (s.operands[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0};
    return {};
}

/// How a plain instruction moves the register, if that can be said.
bool moves(const Source& s, u8 base, i64& by) {
    switch (s.info.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: by -= 8; return base == rsp;
    case ZYDIS_MNEMONIC_POP: by += 8; return base == rsp && s.reg(0) / 8 != rsp;
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB: {
        const i64 n = static_cast<i64>(s.insn->immediate);
        if (!s.is_register(0) || s.size(0) != 8 || !s.is_immediate(1) || n > most_span || n < -most_span)
            return false;
        by += s.info.mnemonic == ZYDIS_MNEMONIC_ADD ? n : -n;
        return true;
    }
    default: return false;
    }
}

} // namespace

void Emitter::find_groups() {
    if (sources_.front().mode->bits != 64)
        return;
    for (std::size_t n = 0; n < sources_.size(); ++n) {
        Source& first = sources_[n];
        if (!first.operation || !first.touches_memory() || !plain(first))
            continue;
        const Access a = access(first);
        if (a.base == zero_register || first.info.mnemonic == ZYDIS_MNEMONIC_RET)
            continue;
        struct Member {
            std::size_t index;
            i64 at;
        };
        std::vector<Member> members;
        i64 low = a.at, high = a.at, by = 0;
        bool writes = false;
        for (std::size_t k = n; k < sources_.size(); ++k) {
            const Source& s = sources_[k];
            if (!s.operation || !plain(s))
                break;
            if (s.touches_memory()) {
                const Access b = access(s);
                if (b.base != a.base)
                    break;
                const i64 at = by + b.at, end = at + b.size;
                if (std::max(high, end) - std::min(low, at) > most_span)
                    break;
                low = std::min(low, at);
                high = std::max(high, end);
                writes |= b.writes;
                members.push_back({k, at});
            }
            if (s.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
                break;
            if (a.base < 16 && (s.written_registers() >> a.base & 1) && !moves(s, a.base, by))
                break;
        }
        if (members.size() < 2)
            continue;
        const std::size_t last = members.back().index;
        first.group = {static_cast<unsigned>(last - n + 1), a.base, low, static_cast<unsigned>(high - low), writes};
        for (const Member& m : members)
            sources_[m.index].group_at = static_cast<unsigned>(m.at - low);
        for (std::size_t k = n; k <= last; ++k) {
            sources_[k].grouped = true;
            sources_[k].inner = k > n && sources_[k].info.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE;
        }
        n = last;
    }
}

/// The host's address of the lowest byte into `address`, or the slow way.
void Emitter::begin_group(const Source& first) {
    const Source::Group& g = first.group;
    clobber_flags();
    if (g.base == block_register) {
        code_address(address, static_cast<i64>(first.block->start.page_offset()) + g.low);
    } else {
        host::Gp base = address;
        if (pinned[g.base] != no_host)
            base = host::gpq(pinned[g.base]);
        else
            a.mov(address, host::qword_ptr(state, at_gpr(8 * g.base)));
        if (g.low)
            a.lea(address, host::ptr(base, static_cast<i32>(g.low)));
        else if (base != address)
            a.mov(address, base);
    }
    probe(g.span, g.writes);
}

} // namespace vitrine::jit
