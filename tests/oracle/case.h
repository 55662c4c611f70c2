// SPDX-License-Identifier: Apache-2.0
// One case of the host oracle: an instruction and everything it can see, the same for the host's processor and the interpreter.
#pragma once

#include "words/bits.h"
#include "words/integers.h"
#include "x86/decoder.h"
#include "x86/state.h"

#include <Zydis/Zydis.h>

#include <array>
#include <string>

namespace vitrine::oracle {

// Linear addresses, the same on both sides. Around the data lie pages that are not present.
//     code  | gap | data 0 | data 1 | gap | read-only | gap
inline constexpr u64 code_page = 0x3000'0000;
inline constexpr u64 data_page = 0x2000'1000;
inline constexpr unsigned data_size = 2 * 4096;
inline constexpr u64 read_only_page = data_page + data_size + 4096;
inline constexpr unsigned memory_size = data_size + 4096; ///< both data pages and the read-only one

/// Registers of a user program.
struct Registers {
    std::array<u64, 16> gpr{};
    u64 rip = 0, rflags = 2, fs_base = 0, gs_base = 0;
    std::array<std::array<u8, 64>, 32> zmm{};
    std::array<u64, 8> k{};
    u32 mxcsr = 0x1f80;
    std::array<u8, 160> x87{}; ///< FXSAVE's image; bytes 5 to 31 are not looked at
    u64 fip = 0, fdp = 0;
    u16 fop = 0;

    bool operator==(const Registers&) const = default;
};

using Memory = std::array<u8, memory_size>;

/// How the instruction ended.
struct Ending {
    bool fault = false;
    u8 vector = 0;
    u32 error = 0;
    u64 cr2 = 0; ///< #PF

    bool operator==(const Ending&) const = default;
};

struct Side {
    Registers registers;
    Memory memory;
    Ending ending;
};

struct Case {
    u64 seed = 0, index = 0;
    u8 bits = 64; ///< of the code segment; 32 and 16: compatibility mode
    std::array<u8, 15> bytes{};
    u8 length = 0;
    u32 form = 0;    ///< index among all forms
    u64 address = 0; ///< of the instruction
    ZydisDecodedInstruction info{};
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT]{};
    Registers registers;
    Memory memory;
    std::array<u32, 6> bases{}, limits{}; ///< by SegmentName, in compatibility mode

    std::string text() const; ///< disassembly
    std::string hex() const;  ///< bytes
};

unsigned register_number(ZydisRegister r);
bool has_base(const ZydisDecodedOperandMem& m); ///< a general register
SegmentName segment_name(ZydisRegister segment); ///< DS for none
u64 segment_base(const Case& c, ZydisRegister segment);
/// Linear address of a memory operand; of one with a vector of indices, what they are added to.
u64 operand_address(const Case& c, const ZydisDecodedOperand& o);
/// Where a linear address lies in Case::memory; -1: outside.
int memory_index(u64 linear);
/// The outcome may depend on the bases of FS and GS.
bool sees_bases(const Case& c);

/// SplitMix64: every case has a stream of its own.
class Random {
public:
    Random(u64 seed, u64 index) : state_(seed * 0x9e37'79b9'7f4a'7c15 + index * 0xd1b5'4a32'd192'ed03) { next(); }

    u64 next() {
        state_ += 0x9e37'79b9'7f4a'7c15;
        u64 z = state_;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }

    u64 below(u64 n) { return next() % n; }

    bool chance(unsigned percent) { return below(100) < percent; }

    template <class T, std::size_t n> T pick(const T (&from)[n]) { return from[below(n)]; }

private:
    u64 state_;
};

} // namespace vitrine::oracle
