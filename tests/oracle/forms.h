// SPDX-License-Identifier: Apache-2.0
// Every form of every instruction that the decoder knows in a mode, found by decoding, and random instructions of a form.
#pragma once

#include "case.h"

#include <span>
#include <vector>

namespace vitrine::oracle {

enum class Encoding : u8 { legacy, vex, evex };

/// A way to write a mnemonic: what of the bytes is not an operand.
struct Form {
    Encoding encoding;
    u8 map;    ///< legacy: 0 none, 1 0F, 2 0F38, 3 0F3A; else mmm
    u8 prefix; ///< pp: none, 66, F3, F2
    bool w;
    u8 length; ///< L, L'L
    bool b;    ///< EVEX.b
    u8 opcode, modrm;
    u32 index = 0; ///< among all
};

class Forms {
public:
    /// For code of 64, 32 or 16 bits. Forms are numbered from `first` on.
    Forms(u8 bits, u32 first);

    /// Mnemonics that have forms, ascending.
    std::span<const ZydisMnemonic> mnemonics() const { return mnemonics_; }

    /// Random bytes of the mnemonic, decoded into the case. False when a few tries gave none.
    bool generate(Random& random, ZydisMnemonic mnemonic, Case& out) const;

    u8 bits() const { return bits_; }

    /// Behind the last form's number.
    u32 end() const { return end_; }

    const ZydisDecoder& decoder() const { return decoder_; }

private:
    void add(const Form& form);
    void write(Random& random, const Form& form, bool free, Case& out) const;

    ZydisDecoder decoder_;
    std::vector<std::vector<Form>> forms_; ///< by mnemonic
    std::vector<ZydisMnemonic> mnemonics_;
    u8 bits_;
    u32 end_;
};

} // namespace vitrine::oracle
