// SPDX-License-Identifier: Apache-2.0
// Every 64-bit form of the bound general-purpose instructions that the encoder can build, executed on a bare processor and on the host:
// registers, flags, memory and the fact of a fault must agree. What the manual leaves undefined is masked, but not on the processors
// whose behaviour the rules follow.
#include "x86/ops/integer.h"

#include "x86/bare_machine.h"
#include "x86/ops.h"
#include "x86/ops/native.h"
#include "x86/ops/undefined_flags.h"

#include <gtest/gtest.h>

#include <cpuid.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <set>

namespace vitrine::ops {
namespace {

constexpr u64 data_at = BareMachine::data_at, data_size = 0x4000, gdt_at = 0x20000, idt_at = 0x21000, handlers_at = 0x30000;

/// Intel's Sapphire and Emerald Rapids, where the rules for undefined flags were measured.
bool reference_host() {
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    if (b != signature_INTEL_ebx)
        return false;
    __cpuid(1, a, b, c, d);
    const unsigned model = (a >> 4 & 15) | (a >> 12 & 0xf0), family = a >> 8 & 15;
    return family == 6 && (model == 143 || model == 207);
}

/// A bare machine that shows which exception an instruction raised: all handlers lie side by side.
class Machine : public BareMachine {
public:
    Machine() {
        write<u64>(gdt_at + 0x10, 0x00af9b00'0000ffff);
        write<u64>(gdt_at + 0x18, 0x00cf9300'0000ffff);
        for (u64 v = 0; v < 32; ++v) {
            const u64 to = handlers_at + 16 * v;
            write<u64>(idt_at + 16 * v, (to & 0xffff) | 0x10 << 16 | 0x8e00ull << 32 | (to >> 16 & 0xffff) << 48);
            write<u64>(idt_at + 16 * v + 8, 0);
        }
        cpu.gdtr = {.base = gdt_at, .limit = 0x1f};
        cpu.idtr = {.base = idt_at, .limit = 0x1ff};
    }

    /// The vector whose handler is about to run; -1 for none.
    int exception() const {
        return cpu.rip >= handlers_at && cpu.rip < handlers_at + 0x200 ? static_cast<int>((cpu.rip - handlers_at) / 16) : -1;
    }
};

class Comparison : public testing::Test {
protected:
    Comparison()
        : memory_(Native::map(data_at, PROT_READ | PROT_WRITE, data_size)),
          stack_(Native::map(BareMachine::stack_top - 0x1000, PROT_READ | PROT_WRITE, 0x2000)) {}

    ~Comparison() override {
        munmap(memory_, data_size);
        munmap(stack_, 0x2000);
    }

    u64 interesting() {
        const u64 v = random_();
        switch (random_() % 8) {
        case 0: return v % 40;
        case 1: return 1ull << (v % 64);
        case 2: return ~0ull << (v % 64);
        case 3: return 0x8000'0000'8000'8080ull;
        case 4: return v & 0xffff'ffff;
        case 5: return 0;
        default: return v;
        }
    }

    /// Runs `bytes` both ways from the same registers and memory. `flags` are compared; false: they differed (and it was told).
    bool same(std::span<const u8> bytes, const std::array<u64, 16>& registers, u64 flags_before, u64 compared, bool result_counts,
              const std::string& what) {
        for (u64 at = 0; at < data_size; at += 8) {
            const u64 v = at % 64 < 8 ? interesting() : pattern_ += 0x9e37'79b9'7f4a'7c15;
            std::memcpy(memory_ + at, &v, 8);
        }
        machine_.put(data_at, {memory_, data_size});
        for (u64 at = 0; at < 0x2000; ++at)
            stack_[at] = static_cast<u8>(at * 31);
        machine_.put(BareMachine::stack_top - 0x1000, {stack_, 0x2000});

        machine_.long_mode(0);
        std::copy(registers.begin(), registers.end(), machine_.cpu.gpr.begin());
        machine_.cpu.set_rflags(flags_before | rflags::one);
        machine_.put(BareMachine::code_at, bytes);
        machine_.cpu.rip = BareMachine::code_at;
        machine_.run(1);
        const int vector = machine_.exception();

        Native::Registers& r = native_.registers();
        std::copy(registers.begin(), registers.end(), r.gpr);
        r.flags = flags_before | 0x202;
        const int signal = native_.run(bytes);
        const int expected = vector == -1 ? 0 : vector == 0 ? SIGFPE : vector == 6 ? SIGILL : SIGSEGV;
        if (signal != expected) {
            ADD_FAILURE() << what << ": signal " << signal << " on the host, vector " << vector << " here";
            return false;
        }
        if (signal)
            return true;
        bool good = true;
        const auto differ = [&](const char* name, u64 host, u64 here) {
            char text[200];
            std::snprintf(text, sizeof text, "%s: %s is %llx on the host, %llx here", what.c_str(), name,
                          static_cast<unsigned long long>(host), static_cast<unsigned long long>(here));
            ADD_FAILURE() << text;
            good = false;
        };
        static constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
        if (machine_.cpu.rip != BareMachine::code_at + bytes.size())
            differ("rip", BareMachine::code_at + bytes.size(), machine_.cpu.rip);
        for (unsigned n = 0; n < 16 && result_counts; ++n)
            if (r.gpr[n] != machine_.cpu.gpr[n])
                differ(names[n], r.gpr[n], machine_.cpu.gpr[n]);
        if ((r.flags ^ machine_.cpu.rflags()) & compared)
            differ("flags", r.flags & compared, machine_.cpu.rflags() & compared);
        const u8* const data_here = machine_.space->host(Physical{data_at});
        const u8* const stack_here = machine_.space->host(Physical{BareMachine::stack_top - 0x1000});
        for (u64 at = 0; at < data_size && result_counts; ++at)
            if (memory_[at] != data_here[at]) {
                differ("memory", memory_[at], data_here[at]);
                break;
            }
        for (u64 at = 0; at < 0x2000; ++at)
            if (stack_[at] != stack_here[at]) {
                differ("stack", stack_[at], stack_here[at]);
                break;
            }
        return good;
    }

    Machine machine_;
    Native native_;
    u8* memory_;
    u8* stack_;
    std::mt19937_64 random_{7};
    u64 pattern_ = 0;
};

/// Operand kinds as letters: r register, c CL, m memory, i immediate.
constexpr const char* shapes[] = {"", "r", "m", "i", "rr", "rm", "mr", "ri", "mi", "rc", "mc", "rri", "rmi", "mri",
                                  "rrr", "rrm", "rmr", "rrc", "mrc"};

/// Not compared with the host this way, each with its reason.
const std::set<ZydisMnemonic> left_out = {
    ZYDIS_MNEMONIC_POPF,  ZYDIS_MNEMONIC_POPFQ,  // would set TF, AC or NT in this process (see flags.test.cpp)
    ZYDIS_MNEMONIC_PUSHF, ZYDIS_MNEMONIC_PUSHFQ, // IF and IOPL differ
    ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_LEAVE,  // need a frame (see stack.test.cpp)
    ZYDIS_MNEMONIC_XLAT,                         // needs RBX to point into memory: a test of its own
    ZYDIS_MNEMONIC_MOVDIR64B,                    // the encoder's operands do not fit the shapes here; the host oracle has it
    ZYDIS_MNEMONIC_BNDCL, ZYDIS_MNEMONIC_BNDCN,  // NOPs with operands that are no general registers
    ZYDIS_MNEMONIC_BNDCU, ZYDIS_MNEMONIC_BNDLDX, //
    ZYDIS_MNEMONIC_BNDMK, ZYDIS_MNEMONIC_BNDMOV, //
    ZYDIS_MNEMONIC_BNDSTX,                       //
};

ZydisRegister general(unsigned number, unsigned bits) {
    switch (bits) {
    case 8: return static_cast<ZydisRegister>((number < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) + number);
    case 16: return static_cast<ZydisRegister>(ZYDIS_REGISTER_AX + number);
    case 32: return static_cast<ZydisRegister>(ZYDIS_REGISTER_EAX + number);
    default: return static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + number);
    }
}

struct Form {
    ZydisMnemonic mnemonic;
    const char* shape;
    unsigned bits, source_bits;
};

class Forms : public Comparison {
protected:
    /// One random instance of the form; false when it cannot be encoded.
    bool trial(const Form& f) {
        ZydisEncoderRequest request{};
        request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
        request.mnemonic = f.mnemonic;
        std::array<u64, 16> registers{};
        for (u64& r : registers)
            r = interesting();
        registers[rsp] = BareMachine::stack_top;
        const unsigned base = pick_base(), index = pick_index(base);
        unsigned n = 0;
        unsigned used[4]{};
        bool memory = false;
        u64 immediate = 0;
        for (const char* kind = f.shape; *kind; ++kind, ++n) {
            ZydisEncoderOperand& o = request.operands[n];
            const unsigned bits = n == 0 ? f.bits : f.source_bits;
            if (*kind == 'r') {
                o.type = ZYDIS_OPERAND_TYPE_REGISTER;
                used[n] = static_cast<unsigned>(random_() % 16);
                o.reg.value = general(used[n], bits);
                if (bits == 8 && random_() % 4 == 0)
                    o.reg.value = static_cast<ZydisRegister>(ZYDIS_REGISTER_AH + random_() % 4);
            } else if (*kind == 'c') {
                o.type = ZYDIS_OPERAND_TYPE_REGISTER;
                o.reg.value = ZYDIS_REGISTER_CL;
            } else if (*kind == 'm') {
                o.type = ZYDIS_OPERAND_TYPE_MEMORY;
                o.mem.base = general(base, 64);
                o.mem.displacement = static_cast<i64>(random_() % 5 ? random_() % 0x60 : random_() % 0x400) - 0x30;
                if (index != 16) {
                    o.mem.index = general(index, 64);
                    o.mem.scale = static_cast<u8>(1u << random_() % 4);
                    registers[index] = random_() % 16;
                }
                o.mem.size = static_cast<u16>(memory_size(f, bits));
                memory = true;
            } else {
                o.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
                immediate = interesting();
                o.imm.u = bits == 64 || f.mnemonic == ZYDIS_MNEMONIC_PUSH ? static_cast<u64>(static_cast<i64>(static_cast<i32>(immediate)))
                                                                          : immediate & low_mask(bits);
                if (random_() % 2)
                    o.imm.u = small_immediate(f, n, bits);
                immediate = o.imm.u;
            }
        }
        request.operand_count = static_cast<u8>(n);
        if (memory) {
            registers[base] = data_at + data_size / 2 + random_() % 64;
            if (random_() % 16 == 0)
                registers[base] = data_at + data_size / 2 + 0xff8 + random_() % 8; // across a page
            // Bit offsets of registers reach far beyond the operand.
            if (is_bit_test(f.mnemonic) && f.shape[1] == 'r' && used[1] != base && used[1] != index)
                registers[used[1]] = random_() % 4096 - 2048;
            else if (is_bit_test(f.mnemonic) && f.shape[1] == 'r')
                return true;
            if (f.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B && random_() % 8)
                registers[base] &= ~15ull, request.operands[0].mem.displacement &= ~15ll, request.operands[0].mem.index = ZYDIS_REGISTER_NONE, request.operands[0].mem.scale = 0;
        }
        if ((f.mnemonic == ZYDIS_MNEMONIC_DIV || f.mnemonic == ZYDIS_MNEMONIC_IDIV) && random_() % 2)
            registers[rdx] = random_() % 2 ? 0 : static_cast<u64>(static_cast<i64>(registers[rax]) >> 63);
        u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
        ZyanUSize length = sizeof bytes;
        if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, bytes, &length)))
            return false;
        // 0F 0D with a register is a NOP of Intel's processors alone.
        const u8* const two = std::find(bytes, bytes + length, 0x0f);
        if (!reference_ && f.mnemonic == ZYDIS_MNEMONIC_NOP && two + 1 < bytes + length && two[1] == 0x0d)
            return true;
        const unsigned wide = f.bits == 64 ? 63 : 31;
        const u64 cl = registers[rcx] & 0xff;
        const bool by_cl = n > 1 && request.operands[n - 1].type == ZYDIS_OPERAND_TYPE_REGISTER; // RCX's byte, however it was chosen
        const unsigned count = (by_cl ? cl : immediate) & wide;
        u64 compared = rflags::status | rflags::df;
        const bool shift = is_shift(f.mnemonic);
        bool result = true;
        if (!reference_) {
            compared &= ~u64{undefined_flags(f.mnemonic, f.bits, shift ? count : 1)};
            // The source of a scan is not known here when it is memory: then no result is compared for a zero flag.
            if (f.mnemonic == ZYDIS_MNEMONIC_BSF || f.mnemonic == ZYDIS_MNEMONIC_BSR)
                result = false;
            else
                result = !undefined_result(f.mnemonic, f.bits, count, 1);
        }
        char text[256];
        std::snprintf(text, sizeof text, "%s %s %u/%u:", ZydisMnemonicGetString(f.mnemonic), f.shape, f.bits, f.source_bits);
        std::string what = text;
        for (unsigned k = 0; k < length; ++k) {
            std::snprintf(text, sizeof text, " %02x", bytes[k]);
            what += text;
        }
        same({bytes, length}, registers, random_() & (rflags::status), compared, result, what);
        return true;
    }

    static bool is_bit_test(ZydisMnemonic m) {
        return m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR || m == ZYDIS_MNEMONIC_BTC;
    }

    static bool is_shift(ZydisMnemonic m) {
        static const std::set<ZydisMnemonic> all = {ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR, ZYDIS_MNEMONIC_ROL,
                                                    ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL, ZYDIS_MNEMONIC_RCR, ZYDIS_MNEMONIC_SHLD,
                                                    ZYDIS_MNEMONIC_SHRD};
        return all.contains(m);
    }

    static unsigned memory_size(const Form& f, unsigned bits) {
        switch (f.mnemonic) {
        case ZYDIS_MNEMONIC_CMPXCHG8B: return 8;
        case ZYDIS_MNEMONIC_CMPXCHG16B: return 16;
        case ZYDIS_MNEMONIC_CLFLUSH:
        case ZYDIS_MNEMONIC_CLFLUSHOPT:
        case ZYDIS_MNEMONIC_CLWB: return 64;
        default: return bits / 8;
        }
    }

    u64 small_immediate(const Form& f, unsigned n, unsigned bits) {
        if (f.mnemonic == ZYDIS_MNEMONIC_RORX || is_shift(f.mnemonic) || is_bit_test(f.mnemonic) || n == 2)
            return random_() % 128;
        const u64 v = static_cast<u64>(static_cast<i64>(static_cast<i8>(random_())));
        return bits == 64 || f.mnemonic == ZYDIS_MNEMONIC_PUSH ? v : v & low_mask(bits);
    }

    unsigned pick_base() {
        static constexpr unsigned bases[] = {rbx, rbp, rsi, rdi, r8, r9, r12, r13, r15};
        return bases[random_() % std::size(bases)];
    }

    unsigned pick_index(unsigned base) {
        static constexpr unsigned indices[] = {16, 16, 16, r10, r11, r14, rbp, r12};
        const unsigned index = indices[random_() % std::size(indices)];
        return index == base ? 16 : index;
    }

    const bool reference_ = reference_host();
};

TEST_F(Forms, AgreeWithTheHost) {
    unsigned forms = 0;
    std::set<ZydisMnemonic> seen, bound;
    for (const OpRow& row : integer_rows()) {
        bound.insert(row.mnemonic);
        if (left_out.contains(row.mnemonic))
            continue;
        for (const char* shape : shapes)
            for (const unsigned bits : {8u, 16u, 32u, 64u})
                for (const unsigned source_bits : {8u, 16u, 32u, 64u}) {
                    const Form form{row.mnemonic, shape, bits, source_bits};
                    if (!*shape && (bits != 8 || source_bits != 8))
                        continue;
                    if (!shape[0] || !shape[1] ? source_bits != 8 : false)
                        continue;
                    if (!trial(form))
                        continue;
                    ++forms;
                    seen.insert(row.mnemonic);
                    for (int n = 0; n < 60; ++n) {
                        trial(form);
                        if (HasFailure())
                            return;
                    }
                }
    }
    // What 64-bit mode does not have.
    const std::set<ZydisMnemonic> legacy = {ZYDIS_MNEMONIC_DAA, ZYDIS_MNEMONIC_DAS, ZYDIS_MNEMONIC_AAA, ZYDIS_MNEMONIC_AAS,
                                            ZYDIS_MNEMONIC_AAM, ZYDIS_MNEMONIC_AAD, ZYDIS_MNEMONIC_SALC, ZYDIS_MNEMONIC_BOUND,
                                            ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_POPA,
                                            ZYDIS_MNEMONIC_POPAD, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_POPFD};
    for (const ZydisMnemonic m : bound)
        if (!left_out.contains(m) && !legacy.contains(m)) {
            EXPECT_TRUE(seen.contains(m)) << ZydisMnemonicGetString(m);
        }
    EXPECT_GT(forms, 800u);
}

} // namespace
} // namespace vitrine::ops
