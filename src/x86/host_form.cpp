// SPDX-License-Identifier: Apache-2.0
// From the guest's bytes to bytes that the host executes in 64-bit mode: the prefixes, the register fields and the memory operand.
#include "x86/thunk.h"

#include <cstring>

namespace vitrine {

namespace {

bool is_gpr(const ZydisDecodedOperand& o) {
    if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    switch (ZydisRegisterGetClass(o.reg.value)) {
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return true;
    default:
        return false;
    }
}

/// Instructions whose memory operand may be a general register as well.
bool reads_general(ZydisMnemonic m) {
    switch (m) {
    case ZYDIS_MNEMONIC_VMOVD:
    case ZYDIS_MNEMONIC_VPINSRD:
    case ZYDIS_MNEMONIC_VPEXTRD:
    case ZYDIS_MNEMONIC_VCVTSI2SD:
    case ZYDIS_MNEMONIC_VCVTSI2SS:
    case ZYDIS_MNEMONIC_VCVTUSI2SD:
    case ZYDIS_MNEMONIC_VCVTUSI2SS: return true;
    default: return false;
    }
}

/// The register fields of an encoding, with their extensions as plain numbers.
struct Fields {
    u8 reg = 0, rm = 0, vvvv = 0; ///< five bits each
    bool memory = false;
    bool w = false;
    bool general = false; ///< some operand is a general register or stands for one: W is ignored outside 64-bit mode
    const HostPlaces& places;

    Fields(const Decoded& d, const HostPlaces& p) : places(p) {
        memory = (d.info.attributes & ZYDIS_ATTRIB_HAS_MODRM) && d.info.raw.modrm.mod != 3;
        reg = d.info.raw.modrm.reg;
        rm = memory ? places.memory : d.info.raw.modrm.rm;
    }

    /// Puts scratch registers in place of general ones.
    bool replace_gprs(const Decoded& d) {
        general = memory && reads_general(d.info.mnemonic);
        for (unsigned n = 0; n < d.info.operand_count; ++n) {
            const ZydisDecodedOperand& o = d.operands[n];
            if (!is_gpr(o))
                continue;
            general = true;
            if (o.encoding == ZYDIS_OPERAND_ENCODING_NONE) // EAX, ECX, EDX by nature
                continue;
            switch (o.encoding) {
            case ZYDIS_OPERAND_ENCODING_MODRM_REG:
                reg = places.reg;
                break;
            case ZYDIS_OPERAND_ENCODING_MODRM_RM:
                rm = places.rm;
                break;
            case ZYDIS_OPERAND_ENCODING_NDSNDD:
                vvvv = places.vvvv;
                break;
            default:
                return false;
            }
        }
        return true;
    }

    /// RBP and R13 as a base come with a displacement.
    bool displaced() const { return memory && (rm & 7) == 5; }

    u8 modrm() const { return static_cast<u8>((!memory ? 0xc0 : displaced() ? 0x40 : 0) | (reg & 7) << 3 | (rm & 7)); }
};

class Writer {
public:
    explicit Writer(HostForm& form) : form_(form) {}

    void byte(unsigned value) { form_.bytes[form_.size++] = static_cast<u8>(value); }

    /// Opcode, ModRM and immediates.
    void tail(const Decoded& d, const Fields& f) {
        byte(d.info.opcode);
        if (d.info.attributes & ZYDIS_ATTRIB_HAS_MODRM)
            byte(f.modrm());
        if (f.displaced())
            byte(static_cast<u8>(f.places.displacement));
        for (const auto& imm : d.info.raw.imm)
            for (unsigned n = 0; n < imm.size / 8u; ++n)
                byte(d.bytes[imm.offset + n]);
    }

private:
    HostForm& form_;
};

bool legacy(const Decoded& d, const HostPlaces& places, HostForm& out) {
    Fields f(d, places);
    const bool mode64 = d.mode.bits == 64;
    const auto& rex = d.info.raw.rex;
    const bool has_rex = mode64 && (d.info.attributes & ZYDIS_ATTRIB_HAS_REX);
    if (has_rex) {
        f.w = rex.W;
        f.reg |= rex.R << 3;
        if (!f.memory)
            f.rm |= rex.B << 3;
    }
    if (!f.replace_gprs(d))
        return false;
    Writer w(out);
    // F2 beats F3 beats 66: one of each at most, and their order does not matter. x87 has no use for them.
    const bool x87 = d.info.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
    for (const u8 wanted : {0x66, 0xf2, 0xf3}) {
        bool present = false;
        for (unsigned n = 0; n < d.info.raw.prefix_count; ++n)
            present |= d.info.raw.prefixes[n].value == wanted && d.info.raw.prefixes[n].type != ZYDIS_PREFIX_TYPE_IGNORED;
        if (present && !x87)
            w.byte(wanted);
    }
    const unsigned r = f.w << 3 | (f.reg >> 3 & 1) << 2 | (f.rm >> 3 & 1);
    if (r)
        w.byte(0x40 | r);
    switch (d.info.opcode_map) {
    case ZYDIS_OPCODE_MAP_DEFAULT:
        break;
    case ZYDIS_OPCODE_MAP_0F:
        w.byte(0x0f);
        break;
    case ZYDIS_OPCODE_MAP_0F38:
        w.byte(0x0f);
        w.byte(0x38);
        break;
    case ZYDIS_OPCODE_MAP_0F3A:
        w.byte(0x0f);
        w.byte(0x3a);
        break;
    default:
        return false;
    }
    w.tail(d, f);
    return true;
}

/// Clears bit 7 of a register number in an immediate, which other modes ignore.
void drop_is4_extension(const Decoded& d, HostForm& out) {
    for (unsigned n = 0; n < d.info.operand_count; ++n)
        if (d.operands[n].encoding == ZYDIS_OPERAND_ENCODING_IS4)
            out.bytes[out.size - 1] &= 0x7f;
}

bool vex(const Decoded& d, const HostPlaces& places, HostForm& out) {
    Fields f(d, places);
    const bool mode64 = d.mode.bits == 64;
    const auto& v = d.info.raw.vex;
    const u8* p = d.bytes + v.offset; // C5 RvvvvLpp, or C4 RXBmmmmm WvvvvLpp
    const bool three = p[0] == 0xc4;
    const u8 last = three ? p[2] : p[1];
    f.vvvv = static_cast<u8>(~last >> 3 & 15);
    f.w = three && last & 0x80;
    if (mode64) {
        f.reg |= p[1] & 0x80 ? 0 : 8;
        if (!f.memory && three)
            f.rm |= p[1] & 0x20 ? 0 : 8;
    } else {
        f.vvvv &= 7;
    }
    const bool unused_vvvv = (last >> 3 & 15) == 15;
    if (!f.replace_gprs(d))
        return false;
    if (!mode64 && f.general)
        f.w = false;
    Writer w(out);
    w.byte(0xc4);
    w.byte((f.reg & 8 ? 0 : 0x80) | 0x40 | (f.rm & 8 ? 0 : 0x20) | (three ? p[1] & 0x1f : 1));
    w.byte(f.w << 7 | (unused_vvvv && f.vvvv == 0 ? 15 : ~f.vvvv & 15) << 3 | (last & 7));
    w.tail(d, f);
    if (!mode64)
        drop_is4_extension(d, out);
    return true;
}

bool evex(const Decoded& d, const HostPlaces& places, HostForm& out) {
    Fields f(d, places);
    const bool mode64 = d.mode.bits == 64;
    const u8* p = d.bytes + d.info.raw.evex.offset; // 62 RXBR'0mmm Wvvvv1pp zL'LbV'aaa
    f.vvvv = static_cast<u8>((~p[2] >> 3 & 15) | (p[3] & 8 ? 0 : 16));
    f.w = p[2] & 0x80;
    if (mode64) {
        f.reg |= (p[1] & 0x80 ? 0 : 8) | (p[1] & 0x10 ? 0 : 16);
        if (!f.memory)
            f.rm |= (p[1] & 0x20 ? 0 : 8) | (p[1] & 0x40 ? 0 : 16);
    } else {
        f.vvvv &= 7;
    }
    if (!f.replace_gprs(d))
        return false;
    if (!mode64 && f.general)
        f.w = false;
    Writer w(out);
    w.byte(0x62);
    const unsigned rm = f.rm;
    w.byte((f.reg & 8 ? 0 : 0x80) | (rm & 16 ? 0 : 0x40) | (rm & 8 ? 0 : 0x20) | (f.reg & 16 ? 0 : 0x10) | (p[1] & 15));
    w.byte(f.w << 7 | (~f.vvvv & 15) << 3 | (p[2] & 7));
    w.byte((p[3] & 0xf7) | (f.vvvv & 16 ? 0 : 8));
    w.tail(d, f);
    if (!mode64)
        drop_is4_extension(d, out);
    return true;
}

} // namespace

std::optional<HostForm> host_form(const Decoded& d, const HostPlaces& places) {
    HostForm out{};
    bool done = false;
    switch (d.info.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
        done = legacy(d, places, out);
        break;
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
        done = vex(d, places, out);
        break;
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
        done = evex(d, places, out);
        break;
    default:
        break;
    }
    return done ? std::optional(out) : std::nullopt;
}

} // namespace vitrine
