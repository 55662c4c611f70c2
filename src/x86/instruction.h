// SPDX-License-Identifier: Apache-2.0
// A decoded instruction as the interpreter runs it, the block that holds it, and the rows that bind mnemonics to handlers.
#pragma once

#include "words/addresses.h"
#include "words/integers.h"
#include "x86/outcome.h"

#include <Zydis/Zydis.h>

#include <span>
#include <vector>

namespace vitrine {

class Cpu;
class ThunkMemory;
struct Instruction;
using Handler = Outcome (*)(Cpu& cpu, const Instruction& insn);

/// What decoding depends on besides the bytes; part of a block's key.
struct CodeMode {
    u8 bits = 16;          ///< 16, 32 or 64: CS.L and CS.D
    bool stack32 = false;  ///< SS.B; always false in 64-bit mode
    bool protected_ = false; ///< CR0.PE and not virtual-8086
    bool long_mode = false; ///< EFER.LMA
    bool fpu_em = false;   ///< CR0.EM: x87 and SSE raise #NM or #UD
    bool fpu_ts = false;   ///< CR0.TS: #NM
    bool osfxsr = false;   ///< CR4.OSFXSR
    bool osxsave = false;  ///< CR4.OSXSAVE
    u8 xcr0 = 0;           ///< bit 0: SSE and AVX enabled (XCR0[2:1] = 3); bit 1: AVX-512 enabled (XCR0[7:5] = 7)
    // Outside 64-bit mode, what translated code need not check because nothing can go wrong:
    bool flat = false;     ///< CS, SS, DS and ES are all 4 GiB from 0, the data segments writable
    bool fs_whole = false, gs_whole = false; ///< that segment has 4 GiB of writable data, whatever its base

    constexpr u32 key() const {
        return bits | stack32 << 8 | protected_ << 9 | long_mode << 10 | fpu_em << 11 | fpu_ts << 12 | osfxsr << 13 |
               osxsave << 14 | xcr0 << 16 | flat << 18 | fs_whole << 19 | gs_whole << 20;
    }
};

/// One instruction, operands resolved as far as the block's key allows.
struct Instruction {
    Handler handler = nullptr;
    u64 immediate = 0;      ///< sign- or zero-extended to the operand size; branch displacement (sign-extended); moffs address
    i64 displacement = 0;   ///< of the memory operand; RIP-relative ones are relative to block_register
    u64 address_mask = ~0ull; ///< by address size
    const void* extra = nullptr; ///< a thunk, or the second immediate; owned by the block's arena; or the handler behind `lock`
    u16 offset = 0;         ///< from the first byte of the block: rip = block rip + offset
    u8 length = 0;
    u8 base = 16, index = 16, scale = 0; ///< memory operand: gpr[base] + (gpr[index] << scale) + displacement
    u8 segment = 0;         ///< SegmentName of the memory operand
    u8 operand_size = 0;    ///< bytes: 1, 2, 4, 8 (or the memory operand's size for vectors)
    u8 reg = 0;             ///< byte offset into State::gpr of the first register operand (AH = 1, CL = 8 ...): see Cpu::reg<T>
    u8 rm = 0;              ///< the same for the second register operand
    u8 condition = 0;       ///< Jcc, SETcc, CMOVcc: the opcode's low four bits; shifts etc. may use it freely
    bool checked = false;   ///< memory operand needs segment checks (every mode but 64-bit)
    bool lock = false;      ///< it locks memory: a LOCK prefix, or XCHG with memory
    u8 rep = 0;             ///< 0, or F3h, or F2h
    u8 address_size = 8;    ///< bytes
    u16 mnemonic = 0;       ///< ZydisMnemonic, for messages
    u16 third = 0;          ///< a third register operand (byte offset), or whatever the handler's binder keeps there
};

/// Instruction::third where it may name a register and does not.
inline constexpr u16 no_register = 0xffff;

/// A decoded instruction together with what the decoder said; what binders look at.
struct Decoded {
    const ZydisDecodedInstruction& info;
    const ZydisDecodedOperand* operands; ///< info.operand_count of them, hidden ones included
    CodeMode mode;
    const u8* bytes;
    ThunkMemory* thunks = nullptr; ///< where host code of vector and x87 instructions goes (x86/thunk.h)

    const ZydisDecodedOperand& operand(unsigned n) const { return operands[n]; }

    bool is_memory(unsigned n) const { return n < info.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY; }

    bool is_register(unsigned n) const { return n < info.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER; }

    bool is_immediate(unsigned n) const { return n < info.operand_count && operands[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }

    /// Number of visible operands.
    unsigned visible() const { return info.operand_count_visible; }
};

/// Chooses the handler for a decoded instruction whose common fields have been filled in. May refine `out`. Null: not implemented.
using Binder = Handler (*)(const Decoded& decoded, Instruction& out);

/// Attributes of a row.
enum RowFlag : u16 {
    ends_block = 1, ///< no instruction follows it in a block (branches; changes of mode, of paging, of interrupt flag ...)
    starts_block = 2, ///< begins a block of its own: the handler needs exact time or exact rip state at its start
};

/// One mnemonic, how it binds, and what the block builder must know.
struct OpRow {
    ZydisMnemonic mnemonic;
    Binder bind;
    u16 flags = 0;
};

/// A straight run of instructions on one physical page (or one instruction that straddles two).
struct Block {
    const u8* host = nullptr; ///< where its first byte lies; null: dropped. Code that is not in RAM has none either
    u32 mode = 0;
    u16 bytes = 0; ///< length in bytes
    Physical second_page{~0ull}; ///< of a straddling instruction: where its tail lies
    std::vector<Instruction> instructions;
    Block* followers[2]{this, this}; ///< guesses: what followed last time, behind a branch that was taken [1] or not [0]
    Physical start{};
    const void* code = nullptr; ///< where the translator's code for it begins
    u32 heat = 0;               ///< how often it was interpreted, as far as the translator cares
    bool in_path = false;       ///< the translator's code of other blocks goes through it

    bool straddles() const { return second_page.value != ~0ull; }

    /// Valid code for these bytes in this mode that needs no second look.
    bool holds(const u8* bytes_at, u32 in_mode) const { return bytes_at && host == bytes_at && mode == in_mode && !straddles(); }
};

} // namespace vitrine
