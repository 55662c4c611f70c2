// SPDX-License-Identifier: Apache-2.0
// All rows in one table by mnemonic, and what the families share.
#include "jit/forms.h"

#include "x86/ops.h"

#include <array>

namespace vitrine::jit {

u16 flags_of_condition(unsigned condition) {
    static constexpr u16 flags[8] = {of, cf, zf, cf | zf, sf, pf, sf | of, zf | sf | of};
    return flags[condition >> 1 & 7];
}

asmjit::InstId jump_if(unsigned condition) {
    namespace I = host::Inst;
    static constexpr asmjit::InstId jumps[16] = {I::kIdJo, I::kIdJno, I::kIdJb, I::kIdJnb, I::kIdJz, I::kIdJnz, I::kIdJbe, I::kIdJnbe,
                                                 I::kIdJs, I::kIdJns, I::kIdJp, I::kIdJnp, I::kIdJl, I::kIdJnl, I::kIdJle, I::kIdJnle};
    return jumps[condition & 15];
}

bool general(const Source& s) {
    for (unsigned n = 0; n < s.info.operand_count_visible; ++n) {
        if (s.is_register(n) && gpr_offset(s.operands[n].reg.value) == 0xff)
            return false;
        if (s.is_memory(n) && s.size(n) > 8)
            return false;
    }
    return !s.touches_memory() || reachable(s);
}

u16 Source::reg(unsigned n) const { return gpr_offset(operands[n].reg.value); }

std::vector<std::span<const Operation>> all_operations() {
    return {integer_operations(), multiply_operations(), shift_operations(), bit_operations(), exchange_operations(), branch_operations(),
            vector_operations(), x87_operations()};
}

const Operation* operation(Source& s) {
    static const auto table = [] {
        std::vector<std::vector<const Operation*>> all(ZYDIS_MNEMONIC_MAX_VALUE + 1);
        for (const auto rows : all_operations())
            for (const Operation& o : rows)
                all[o.mnemonic].push_back(&o);
        return all;
    }();
    for (const Operation* o : table[s.info.mnemonic]) {
        s.reads = o->reads;
        s.kills = o->kills;
        s.keeps_some = s.x87 = false;
        if (!o->accepts || o->accepts(s))
            return o;
    }
    return nullptr;
}

} // namespace vitrine::jit
