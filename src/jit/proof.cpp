// SPDX-License-Identifier: Apache-2.0
// Follows the facts that memory operands rest on (what a probe compares, what it adds, what r13 is afterwards) along all paths of a block.
//
// A probe is
//     rorx eax, r13d, shift / and eax, mask            the tags' place for the address
//     lea rdx, [r13 + bytes - 1] / and rdx, -4096      the page of the last byte
//     cmp rdx, [r14 + rax + tag] / jne elsewhere       that page may be accessed, and the first byte lies on it too
//     add r13, [r14 + rax + addend]                    now a host address, good for so many bytes
// or, where the address must be aligned,
//     mov rdx, r13 / and rdx, -4096 + bytes - 1
// Whatever else is written to one of these registers ends what was known of it. Where paths meet, only what all of them know is known.
#include "jit/proof.h"

#include "x86/cpu.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <vector>

namespace vitrine::jit {

namespace {

/// What is known at one place.
struct Facts {
    struct Address { ///< r13: good for so many bytes
        unsigned bytes = 0;
        bool writable = false;
        bool operator==(const Address&) const = default;
    };
    Address host;            ///< r13 is a host address
    Address checked;         ///< r13 is a linear address whose tag has been compared
    Address compared;        ///< ... if the flags say "equal"
    u32 bound = 0;           ///< rax has no bits but these; 0: not known
    bool rotated = false, index = false; ///< rax is r13, rotated; the tags' place for r13
    unsigned last = 0;       ///< rdx is r13 plus that, less one; 0: not known
    bool paged = false;      ///< ... and the page of it
    Address kept;            ///< what `host` is of TranslatedRun::kept[0]

    bool operator==(const Facts&) const = default;

    void r13_written() {
        host = checked = compared = {};
        rotated = index = paged = false;
        last = 0;
    }
    void rax_written() {
        bound = 0;
        rotated = index = false;
        compared = {};
    }
    void rdx_written() {
        last = 0;
        paged = false;
    }
    void flags_written() { compared = {}; }

    void meet(const Facts& o) {
        const auto same = [](Address& a, const Address& b) {
            if (!(a == b))
                a = {};
        };
        same(host, o.host);
        same(checked, o.checked);
        same(compared, o.compared);
        same(kept, o.kept);
        bound = bound == o.bound ? bound : 0;
        rotated &= o.rotated;
        index &= o.index;
        if (last != o.last || paged != o.paged)
            last = 0, paged = false;
    }
};

struct Decoded {
    ZydisDecodedInstruction info;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    bool reg(unsigned n, ZydisRegister r) const { return operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[n].reg.value == r; }
    bool memory(unsigned n) const { return operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY; }
    bool immediate(unsigned n) const { return operands[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
    /// [base + displacement], or [base + rax * scale + displacement].
    bool at(unsigned n, ZydisRegister base, ZydisRegister index, unsigned scale = 0) const {
        const auto& m = operands[n].mem;
        return memory(n) && m.base == base && m.index == index && (index == ZYDIS_REGISTER_NONE || m.scale == scale);
    }
    i64 displacement(unsigned n) const { return operands[n].mem.disp.value; }
    bool writes(unsigned n) const { return operands[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE; }
};

constexpr ZydisRegister in_state = ZYDIS_REGISTER_RSP; ///< jit/registers.h

class Proof {
public:
    Proof(std::span<const u8> code, u64 at, const ProofContext& context) : code_(code), at_(at), context_(context) {}

    std::optional<std::string> run(std::span<const u64> entries) {
        arrive(0, {});
        for (const u64 e : entries)
            arrive(e, {});
        while (!todo_.empty()) {
            const u64 place = todo_.back();
            todo_.pop_back();
            if (const char* wrong = step(place))
                return fmt::format("at byte {:x} of {:x}: {}: {}", place, code_.size(), wrong, text(place));
        }
        return std::nullopt;
    }

private:
    void arrive(u64 place, const Facts& facts) {
        const auto [known, fresh] = facts_.try_emplace(place, facts);
        Facts all = known->second;
        if (!fresh)
            all.meet(facts);
        if (!fresh && all == known->second)
            return;
        known->second = all;
        todo_.push_back(place);
    }

    std::string text(u64 place) const {
        ZydisDisassembledInstruction d;
        const bool good = ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, at_ + place, code_.data() + place, code_.size() - place, &d));
        return good ? d.text : "no instruction";
    }

    /// Whether the operand lies in something that the code is given.
    const char* operand(const Decoded& d, unsigned n, const Facts& f) const {
        const i64 from = d.displacement(n), to = from + d.operands[n].size / 8;
        const auto within = [&](i64 low, i64 size) { return from >= low && to <= low + size; };
        if (d.at(n, in_state, ZYDIS_REGISTER_NONE)) {
            const TranslatedAccess::Layout& l = context_.layout;
            if (within(0, sizeof(State)) || within(l.run, sizeof(TranslatedRun)))
                return nullptr;
            const bool readable = within(l.tags, 8) || within(l.segment_base, 8 * segment_count) || within(l.x87_quiet, 1);
            return readable && !d.writes(n) ? nullptr : "not the processor's state";
        }
        if (d.at(n, ZYDIS_REGISTER_R13, ZYDIS_REGISTER_NONE)) {
            if (from < 0 || to > static_cast<i64>(f.host.bytes))
                return "more than was probed";
            return d.writes(n) && !f.host.writable ? "written, but probed for reading" : nullptr;
        }
        if (d.at(n, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_RAX, 1))
            return f.bound == tag_mask && within(0, sizeof(TlbTags)) && !d.writes(n) ? nullptr : "not one of the TLB's tags";
        if (d.at(n, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_RAX, 8))
            return f.bound == target_mask && within(at_targets, sizeof(Target)) && !d.writes(n) ? nullptr : "not one of the targets";
        return "no base that is known";
    }

    /// One instruction; null if it is good.
    const char* step(u64 place) {
        ZydisDecoder decoder;
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        Decoded d;
        if (place >= code_.size() || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code_.data() + place, code_.size() - place, &d.info, d.operands)))
            return "no instruction";
        Facts f = facts_.at(place);
        const u64 next = place + d.info.length;
        if (d.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
            return branch(d, f, next);
        for (unsigned n = 0; n < d.info.operand_count; ++n)
            if (d.memory(n) && d.operands[n].mem.type != ZYDIS_MEMOP_TYPE_AGEN)
                if (const char* wrong = operand(d, n, f))
                    return wrong;
        follow(d, f);
        arrive(next, f);
        return nullptr;
    }

    const char* branch(const Decoded& d, Facts f, u64 next) {
        const bool conditional = d.info.meta.category == ZYDIS_CATEGORY_COND_BR;
        if (!d.immediate(0)) // where look_up_target() says, which compared the block
            return d.info.mnemonic == ZYDIS_MNEMONIC_JMP && d.reg(0, ZYDIS_REGISTER_RDX) ? nullptr : "a branch to anywhere";
        const u64 target = at_ + next + d.operands[0].imm.value.u;
        if (d.info.mnemonic == ZYDIS_MNEMONIC_CALL) {
            const Stubs& stubs = context_.stubs;
            if (target == reinterpret_cast<u64>(stubs.handle)) {
                arrive(next, {});
                return nullptr;
            }
            if (target == reinterpret_cast<u64>(stubs.look_up)) {
                f.rax_written();
                f.rdx_written();
                f.flags_written();
                arrive(next, f);
                return nullptr;
            }
            if (target != reinterpret_cast<u64>(stubs.enter_vectors) && target != reinterpret_cast<u64>(stubs.enter_wide_vectors))
                return "a call of something else than a stub";
            f.rdx_written();
            f.flags_written();
            arrive(next, f);
            return nullptr;
        }
        if (d.info.mnemonic != ZYDIS_MNEMONIC_JMP && !conditional)
            return "a branch of a kind that is not used";
        if (target - at_ < code_.size()) {
            Facts taken = f;
            taken.flags_written();
            arrive(target - at_, taken);
        } else if (target != reinterpret_cast<u64>(context_.stubs.leave)) {
            return "a branch out of the block";
        }
        if (!conditional)
            return nullptr;
        if (d.info.mnemonic == ZYDIS_MNEMONIC_JNZ && f.compared.bytes)
            f.checked = f.compared;
        arrive(next, f);
        return nullptr;
    }

    void follow(const Decoded& d, Facts& f) const {
        const Facts before = f;
        // What every instruction does to what is known.
        for (unsigned n = 0; n < d.info.operand_count; ++n) {
            if (!d.writes(n))
                continue;
            if (d.memory(n) && d.at(n, in_state, ZYDIS_REGISTER_NONE)) {
                const i64 kept = context_.layout.run + static_cast<i64>(offsetof(TranslatedRun, kept));
                if (d.displacement(n) < kept + 8 && d.displacement(n) + d.operands[n].size / 8 > kept)
                    f.kept = {};
            }
            if (d.operands[n].type != ZYDIS_OPERAND_TYPE_REGISTER)
                continue;
            switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, d.operands[n].reg.value)) {
            case ZYDIS_REGISTER_R13: f.r13_written(); break;
            case ZYDIS_REGISTER_RAX: f.rax_written(); break;
            case ZYDIS_REGISTER_RDX: f.rdx_written(); break;
            default: break;
            }
        }
        if (const ZydisAccessedFlags* c = d.info.cpu_flags; c && (c->modified | c->set_0 | c->set_1 | c->undefined))
            f.flags_written();
        // What the probe's instructions tell besides.
        const i64 kept = context_.layout.run + static_cast<i64>(offsetof(TranslatedRun, kept));
        switch (d.info.mnemonic) {
        case ZYDIS_MNEMONIC_RORX:
            f.rotated = d.reg(0, ZYDIS_REGISTER_EAX) && d.reg(1, ZYDIS_REGISTER_R13D) && d.operands[2].imm.value.u == tag_shift;
            break;
        case ZYDIS_MNEMONIC_AND:
            if (d.reg(0, ZYDIS_REGISTER_EAX) && d.immediate(1)) {
                f.bound = static_cast<u32>(d.operands[1].imm.value.u);
                f.index = before.rotated && f.bound == tag_mask;
            } else if (d.reg(0, ZYDIS_REGISTER_RDX) && d.immediate(1)) {
                const i64 mask = d.operands[1].imm.value.s;
                const u32 low = static_cast<u32>(mask & 0xfff); // bits that are set match no tag: an aligned address is good for more
                if ((mask | 0xfff) == -1 && std::has_single_bit(low + 1) && low < 64 && (low == 0 || before.last == 1))
                    f.last = low ? low + 1 : before.last;
                f.paged = f.last != 0;
            }
            break;
        case ZYDIS_MNEMONIC_LEA:
            if (d.reg(0, ZYDIS_REGISTER_RDX) && d.at(1, ZYDIS_REGISTER_R13, ZYDIS_REGISTER_NONE) && d.displacement(1) > 0 && d.displacement(1) < 4096)
                f.last = static_cast<unsigned>(d.displacement(1)) + 1;
            break;
        case ZYDIS_MNEMONIC_CMP:
            if (d.reg(0, ZYDIS_REGISTER_RDX) && d.at(1, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_RAX, 1) && f.index && f.paged &&
                (d.displacement(1) == tag_read || d.displacement(1) == tag_write))
                f.compared = {f.last, d.displacement(1) == tag_write};
            break;
        case ZYDIS_MNEMONIC_ADD:
            if (d.reg(0, ZYDIS_REGISTER_R13) && d.at(1, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_RAX, 1) && before.index && d.displacement(1) == tag_addend)
                f.host = before.checked;
            break;
        case ZYDIS_MNEMONIC_MOV:
            if (d.reg(0, ZYDIS_REGISTER_RDX) && d.reg(1, ZYDIS_REGISTER_R13))
                f.last = 1;
            else if (d.reg(1, ZYDIS_REGISTER_R13) && d.at(0, in_state, ZYDIS_REGISTER_NONE) && d.displacement(0) == kept)
                f.kept = before.host;
            else if (d.reg(0, ZYDIS_REGISTER_R13) && d.at(1, in_state, ZYDIS_REGISTER_NONE) && d.displacement(1) == kept)
                f.host = before.kept;
            break;
        default: break;
        }
    }

    std::span<const u8> code_;
    u64 at_;
    const ProofContext& context_;
    std::map<u64, Facts> facts_;
    std::vector<u64> todo_;
};

} // namespace

std::optional<std::string> disprove(std::span<const u8> code, u64 at, std::span<const u64> entries, const ProofContext& context) {
    return Proof(code, at, context).run(entries);
}

} // namespace vitrine::jit
