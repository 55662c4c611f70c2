// SPDX-License-Identifier: Apache-2.0
// Enumerates forms by decoding each opcode with each ModRM, and writes random instances.
#include "forms.h"

#include <algorithm>
#include <cstring>

namespace vitrine::oracle {

namespace {

constexpr u8 prefix_byte[4] = {0, 0x66, 0xf3, 0xf2};

class Bytes {
public:
    explicit Bytes(Case& c) : c_(c) {
        c_.bytes.fill(0);
        c_.length = 0;
    }

    void put(unsigned value) {
        if (c_.length < c_.bytes.size())
            c_.bytes[c_.length++] = static_cast<u8>(value);
    }

private:
    Case& c_;
};

} // namespace

Forms::Forms(u8 bits, u32 first) : forms_(ZYDIS_MNEMONIC_MAX_VALUE + 1), bits_(bits), end_(first) {
    switch (bits) {
    case 64: ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); break;
    case 32: ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32); break;
    default: ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16); break;
    }
    Form f{};
    for (unsigned map = 0; map < 4; ++map)
        for (unsigned prefix = 0; prefix < 4; ++prefix)
            for (unsigned w = 0; w < (bits == 64 ? 2u : 1u); ++w) // REX.W
                for (unsigned opcode = 0; opcode < 256; ++opcode)
                    for (unsigned modrm = 0; modrm < 256; ++modrm) {
                        // One of the memory forms, all of the register ones (x87 and others hide opcodes there).
                        if ((modrm < 0xc0 && (modrm & 0xc7) != 0x00))
                            continue;
                        f = {Encoding::legacy, static_cast<u8>(map), static_cast<u8>(prefix), w != 0, 0, false,
                             static_cast<u8>(opcode), static_cast<u8>(modrm)};
                        add(f);
                    }
    for (const Encoding e : {Encoding::vex, Encoding::evex})
        for (unsigned map = 1; map < 7; ++map)
            for (unsigned prefix = 0; prefix < 4; ++prefix)
                for (unsigned w = 0; w < 2; ++w)
                    for (unsigned length = 0; length < (e == Encoding::vex ? 2u : 3u); ++length)
                        for (unsigned b = 0; b < (e == Encoding::vex ? 1u : 2u); ++b)
                            for (unsigned opcode = 0; opcode < 256; ++opcode)
                                for (unsigned reg = 0; reg < 8; ++reg)
                                    for (const unsigned rest : {0x00u, 0x04u, 0xc1u}) {
                                        f = {e, static_cast<u8>(map), static_cast<u8>(prefix), w != 0, static_cast<u8>(length),
                                             b != 0, static_cast<u8>(opcode), static_cast<u8>(rest | reg << 3)};
                                        add(f);
                                    }
    for (unsigned m = 0; m < forms_.size(); ++m)
        if (!forms_[m].empty())
            mnemonics_.push_back(static_cast<ZydisMnemonic>(m));
}

void Forms::add(const Form& form) {
    Case c;
    Random none(0, 0);
    for (const unsigned attempt : {0u, 1u}) { // with and without a second source and a mask
        write(none, form, false, c);
        if (attempt == 1) {
            if (form.encoding == Encoding::legacy)
                return;
            const unsigned at = 2; // P1 or the third byte of VEX
            c.bytes[at] = static_cast<u8>((c.bytes[at] & 0x87) | 0x5 << 3);
            if (form.encoding == Encoding::evex)
                c.bytes[3] |= 1;
        }
        ZydisDecodedInstruction info;
        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder_, nullptr, c.bytes.data(), c.bytes.size(), &info)) &&
            info.mnemonic != ZYDIS_MNEMONIC_INVALID) {
            auto& list = forms_[info.mnemonic];
            list.push_back(form);
            list.back().index = end_++;
            return;
        }
    }
}

void Forms::write(Random& random, const Form& form, bool free, Case& out) const {
    Bytes bytes(out);
    const u64 r = free ? random.next() : 0;
    const auto flag = [&](unsigned n) { return (r >> n & 1) != 0; };
    u8 modrm = form.modrm;
    if (free) {
        const bool keep_reg = flag(20), memory = modrm < 0xc0;
        if (!keep_reg)
            modrm = static_cast<u8>((modrm & 0xc7) | (r >> 8 & 0x38));
        if (memory)
            modrm = static_cast<u8>((modrm & 0x38) | (r >> 24 & 7) | random.below(3) << 6);
        else if (flag(21))
            modrm = static_cast<u8>((modrm & 0xf8) | (r >> 24 & 7));
    }
    if (free) {
        if (random.chance(bits_ == 16 ? 30 : 5))
            bytes.put(0x67);
        if (random.chance(8)) {
            static constexpr u8 overrides[] = {0x64, 0x65, 0x64, 0x65, 0x2e, 0x36, 0x3e, 0x26};
            bytes.put(random.pick(overrides));
        }
    }
    if (form.encoding == Encoding::legacy) {
        if (free && form.prefix != 1 && random.chance(bits_ == 16 ? 40 : 10))
            bytes.put(0x66);
        if (free && random.chance(5)) {
            static constexpr u8 more[] = {0xf0, 0xf2, 0xf3, 0xf0};
            bytes.put(random.pick(more));
        }
        if (form.prefix)
            bytes.put(prefix_byte[form.prefix]);
        unsigned rex = form.w << 3;
        if (free && bits_ == 64 && random.chance(50))
            rex |= static_cast<unsigned>(r >> 28 & 7) | 0x40;
        if (rex)
            bytes.put(0x40 | rex);
        if (form.map >= 1)
            bytes.put(0x0f);
        if (form.map == 2)
            bytes.put(0x38);
        if (form.map == 3)
            bytes.put(0x3a);
    } else if (form.encoding == Encoding::vex) {
        // Outside 64-bit mode R and X are 1, or it would be LES or LDS.
        const unsigned rxb = (free ? static_cast<unsigned>(r >> 28 & 7) : 7) | (bits_ == 64 ? 0 : 6);
        const unsigned vvvv = free && flag(31) ? static_cast<unsigned>(r >> 32 & 15) : 15;
        static constexpr u8 to_pp[4] = {0, 1, 2, 3};
        if (free && form.map == 1 && !form.w && flag(40)) {
            bytes.put(0xc5);
            bytes.put((rxb & 4) << 5 | vvvv << 3 | form.length << 2 | to_pp[form.prefix]);
        } else {
            bytes.put(0xc4);
            bytes.put(rxb << 5 | form.map);
            bytes.put(form.w << 7 | vvvv << 3 | form.length << 2 | to_pp[form.prefix]);
        }
    } else {
        const unsigned p0 = (free ? static_cast<unsigned>(r >> 28 & 15) : 15) | (bits_ == 64 ? 0 : 13); // or it would be BOUND
        const unsigned vvvv = free && flag(33) ? static_cast<unsigned>(r >> 34 & 31) : 31;
        const unsigned aaa = free && flag(41) ? static_cast<unsigned>(r >> 42 & 7) : 0;
        const bool z = free && aaa && flag(45);
        bytes.put(0x62);
        bytes.put(p0 << 4 | form.map);
        bytes.put(form.w << 7 | (vvvv & 15) << 3 | 4 | form.prefix);
        bytes.put(z << 7 | form.length << 5 | form.b << 4 | (vvvv & 16) >> 1 | aaa);
    }
    bytes.put(form.opcode);
    bytes.put(modrm);
    // What follows is SIB, displacement and immediates as the decoder likes: random, displacements small or fixed up later.
    while (out.length < out.bytes.size())
        bytes.put(free ? static_cast<unsigned>(random.next() >> 32) : 0);
}

bool Forms::generate(Random& random, ZydisMnemonic mnemonic, Case& out) const {
    const auto& list = forms_[mnemonic];
    for (unsigned attempt = 0; attempt < 20; ++attempt) {
        const Form& form = list[random.below(list.size())];
        out.form = form.index;
        write(random, form, true, out);
        if (ZYAN_SUCCESS(decode_instruction(decoder_, out.bytes.data(), static_cast<unsigned>(out.bytes.size()), out.info, out.operands)) &&
            out.info.mnemonic == mnemonic) {
            out.bits = bits_;
            out.length = out.info.length;
            return true;
        }
    }
    return false;
}

} // namespace vitrine::oracle
