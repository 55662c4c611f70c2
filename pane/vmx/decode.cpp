// SPDX-License-Identifier: Apache-2.0
// Decodes prefixes, opcode, ModRM and displacement of a MOV with a memory operand (SDM volume 2, Instruction Format).
#include "pane/vmx/decode.h"

#include "words/bits.h"

namespace vitrine::pane {

namespace {

struct Row {
    u16 opcode; ///< 0Fxx has its 0F in the upper byte
    bool write, byte, immediate, moffs;
    u8 extended_from; ///< size of the source of MOVZX and MOVSX, 0 for a plain MOV
    bool sign;
};

// clang-format off
constexpr Row rows[] = {
    //        write  byte   imm    moffs  from sign
    {0x88,    true,  true,  false, false, 0, false},
    {0x89,    true,  false, false, false, 0, false},
    {0x8a,    false, true,  false, false, 0, false},
    {0x8b,    false, false, false, false, 0, false},
    {0xa0,    false, true,  false, true,  0, false},
    {0xa1,    false, false, false, true,  0, false},
    {0xa2,    true,  true,  false, true,  0, false},
    {0xa3,    true,  false, false, true,  0, false},
    {0xc6,    true,  true,  true,  false, 0, false},
    {0xc7,    true,  false, true,  false, 0, false},
    {0x0fb6,  false, false, false, false, 1, false},
    {0x0fb7,  false, false, false, false, 2, false},
    {0x0fbe,  false, false, false, false, 1, true},
    {0x0fbf,  false, false, false, false, 2, true},
};
// clang-format on

class Bytes {
public:
    Bytes(const u8* code, unsigned available) : code_(code), available_(available) {}

    u8 next() { return at_ < available_ ? code_[at_++] : (++at_, 0); }

    u64 number(unsigned size) {
        u64 value = 0;
        for (unsigned n = 0; n < size; ++n)
            value |= u64{next()} << 8 * n;
        return value;
    }

    bool complete() const { return at_ <= available_; }

    unsigned at() const { return at_; }

private:
    const u8* code_;
    unsigned available_, at_ = 0;
};

/// Everything of ModRM but its register field: only how long it is.
void skip_address(Bytes& b, u8 modrm, unsigned address_bits) {
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    if (address_bits == 16) {
        b.number(mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 6) ? 2 : 0);
        return;
    }
    u8 base = static_cast<u8>(rm);
    if (rm == 4)
        base = b.next() & 7;
    b.number(mod == 1 ? 1 : mod == 2 || (mod == 0 && base == 5) ? 4 : 0);
}

} // namespace

bool decode_move(const u8* code, unsigned available, unsigned bits, MemoryMove& m) {
    Bytes b(code, available);
    bool operand_prefix = false, address_prefix = false;
    u8 rex = 0, op;
    for (;;) {
        op = b.next();
        if (op == 0x66)
            operand_prefix = true;
        else if (op == 0x67)
            address_prefix = true;
        else if (op != 0x26 && op != 0x2e && op != 0x36 && op != 0x3e && op != 0x64 && op != 0x65)
            break;
        if (!b.complete())
            return false;
    }
    if (bits == 64 && (op & 0xf0) == 0x40) {
        rex = op;
        op = b.next();
    }
    const u16 opcode = op == 0x0f ? static_cast<u16>(0x0f00 | b.next()) : op;
    const Row* row = nullptr;
    for (const Row& r : rows)
        if (r.opcode == opcode)
            row = &r;
    if (!row)
        return false;

    const unsigned operand = rex & 8 ? 8 : operand_prefix == (bits == 16) ? 4 : 2;
    const unsigned address_bits = bits == 64 ? (address_prefix ? 32 : 64) : address_prefix == (bits == 16) ? 32 : 16;
    m.register_size = static_cast<u8>(row->byte ? 1 : operand);
    m.size = row->extended_from ? row->extended_from : m.register_size;
    m.sign_extend = row->sign;
    m.write = row->write;
    m.immediate = row->immediate;
    if (row->moffs) {
        b.number(address_bits / 8);
    } else {
        const u8 modrm = b.next();
        if (modrm >> 6 == 3 || (row->immediate && (modrm >> 3 & 7)))
            return false;
        m.reg = static_cast<u8>((modrm >> 3 & 7) | (rex & 4) << 1);
        skip_address(b, modrm, address_bits);
        if (row->immediate) {
            const unsigned size = m.size == 8 ? 4 : m.size;
            m.value = b.number(size);
            if (m.size == 8)
                m.value = sign_extend(m.value, 32);
        } else if (m.register_size == 1 && !rex && m.reg >= 4) {
            m.high_byte = true;
            m.reg -= 4;
        }
    }
    m.length = static_cast<u8>(b.at());
    return b.complete();
}

} // namespace vitrine::pane
