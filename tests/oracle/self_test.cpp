// SPDX-License-Identifier: Apache-2.0
// Deliberate errors: every field of a result, and handlers that compute something else.
#include "self_test.h"

#include "compare.h"

#include <algorithm>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

/// The guest is given the host's opcode with some bits changed: a handler that is wrong in a way that handlers are.
struct Broken {
    ZydisMnemonic mnemonic, becomes;
    u8 opcode_bits;
};

constexpr Broken broken_rows[] = {
    {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_ADC, 0x10},       {ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, 0x18},
    {ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSX, 0x08},   {ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, 0x03},
    {ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_SCASB, 0x02},   {ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD, 0x08},
    {ZYDIS_MNEMONIC_PADDD, ZYDIS_MNEMONIC_PADDW, 0x03},   {ZYDIS_MNEMONIC_VMINPS, ZYDIS_MNEMONIC_VMAXPS, 0x02},
    {ZYDIS_MNEMONIC_COMISS, ZYDIS_MNEMONIC_UCOMISS, 0x01}, {ZYDIS_MNEMONIC_FADD, ZYDIS_MNEMONIC_FIADD, 0x02},
};

/// Every field of a result, a bit of each flipped.
bool flips_are_noticed() {
    auto c = std::make_unique<Case>();
    auto host = std::make_unique<Side>(), guest = std::make_unique<Side>();
    bool good = true;
    unsigned flips = 0;
    const auto flip = [&](const std::string& what, auto change) {
        *guest = *host;
        change(*guest);
        ++flips;
        if (compare(*c, *host, *guest).empty()) {
            fmt::print("self-test: a change of {} went by unnoticed\n", what);
            good = false;
        }
    };
    *guest = *host;
    good &= compare(*c, *host, *guest).empty();
    for (unsigned n = 0; n < 16; ++n)
        for (const unsigned b : {0u, 31u, 32u, 63u})
            flip(fmt::format("general register {} bit {}", n, b), [&](Side& s) { s.registers.gpr[n] ^= bit(b); });
    for (const unsigned b : {0u, 2u, 4u, 6u, 7u, 8u, 9u, 10u, 11u, 18u, 21u})
        flip(fmt::format("flag {}", b), [&](Side& s) { s.registers.rflags ^= bit(b); });
    for (unsigned n = 0; n < 32; ++n)
        for (const unsigned at : {0u, 15u, 16u, 31u, 32u, 63u})
            flip(fmt::format("zmm{} byte {}", n, at), [&](Side& s) { s.registers.zmm[n][at] ^= 1; });
    for (unsigned n = 0; n < 8; ++n) {
        flip(fmt::format("k{}", n), [&](Side& s) { s.registers.k[n] ^= bit(63); });
        for (unsigned at = 0; at < 10; ++at)
            flip(fmt::format("st{} byte {}", n, at), [&](Side& s) { s.registers.x87[32 + 16 * n + at] ^= 0x80; });
    }
    for (unsigned at = 0; at < 5; ++at)
        flip(fmt::format("x87 word {}", at), [&](Side& s) { s.registers.x87[at] ^= 1; });
    flip("mxcsr", [&](Side& s) { s.registers.mxcsr ^= 1; });
    flip("rip", [&](Side& s) { s.registers.rip ^= 1; });
    flip("fs base", [&](Side& s) { s.registers.fs_base ^= 1; });
    flip("gs base", [&](Side& s) { s.registers.gs_base ^= 1; });
    for (const unsigned at : {0u, 4095u, 4096u, data_size - 1, data_size, memory_size - 1})
        flip(fmt::format("memory byte {}", at), [&](Side& s) { s.memory[at] ^= 1; });
    flip("the fact of an exception", [&](Side& s) { s.ending.fault = true; });
    flip("the vector", [&](Side& s) { s.ending.vector = 13; });
    flip("the error code", [&](Side& s) { s.ending.error = 2; });
    flip("CR2", [&](Side& s) { s.ending.cr2 = 1; });
    return good && flips > 300;
}

bool broken_handler_is_noticed(const Broken& b, const Repertoire& repertoire, Trial& trial) {
    const ZydisDecoder& decoder = repertoire.forms(0).decoder();
    auto c = std::make_unique<Case>(), changed = std::make_unique<Case>();
    unsigned ran = 0;
    for (u64 n = 0; n < 2000; ++n) {
        if (!repertoire.make_one(*c, 77, n, b.mnemonic, 0))
            continue;
        *changed = *c;
        // The opcode is where ModRM is not yet: found by changing bytes until the decoder reads the other mnemonic.
        for (unsigned at = 0; at < c->length; ++at) {
            changed->bytes = c->bytes;
            changed->bytes[at] ^= b.opcode_bits;
            if (ZYAN_SUCCESS(decode_instruction(decoder, changed->bytes.data(), c->length, changed->info, changed->operands)) &&
                changed->info.mnemonic == b.becomes && changed->info.length == c->length) {
                ++ran;
                if (!trial.run(*c, changed.get()).empty())
                    return true;
                break;
            }
        }
    }
    fmt::print("self-test: {} that does what {} does went by unnoticed ({} cases)\n", ZydisMnemonicGetString(b.mnemonic),
               ZydisMnemonicGetString(b.becomes), ran);
    return false;
}

} // namespace

bool self_test(const Repertoire& repertoire) {
    bool good = flips_are_noticed();
    auto progress = std::make_unique<Progress>();
    Trial trial(*progress);
    for (const Broken& b : broken_rows)
        good &= broken_handler_is_noticed(b, repertoire, trial);
    return good;
}

} // namespace vitrine::oracle
