// SPDX-License-Identifier: Apache-2.0
// CPU models: CPUID as software expects it, the gates of instructions, and that every instruction a model has is implemented.
#include "x86/model.h"

#include "x86/bits.h"
#include "x86/ops.h"
#include "x86/spec/xsave.h"
#include "x86/thunk.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace vitrine;

namespace {

CpuModel model_of(std::string_view name) { return std::move(find_cpu_model(name)).value(); }

bool decode(const std::vector<u8>& bytes, ZydisMachineMode mode, ZydisDecodedInstruction& info, ZydisDecodedOperand* operands) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, mode, mode == ZYDIS_MACHINE_MODE_LONG_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &info, operands));
}

} // namespace

TEST(Model, TableRowsAreInEnumOrderAndUnique) {
    std::set<std::string> keys;
    std::set<std::tuple<u32, u32, int, int>> places;
    unsigned n = 0;
    for (const FeatureRow& row : feature_rows()) {
        EXPECT_EQ(static_cast<unsigned>(row.id), n++) << row.key;
        EXPECT_TRUE(keys.insert(row.key).second) << row.key;
        EXPECT_TRUE(places.insert({row.leaf, row.subleaf, static_cast<int>(row.reg), row.bit}).second) << row.key;
        EXPECT_LT(row.bit, 32) << row.key;
    }
}

TEST(Model, EveryFeatureShowsInItsPlaceAndNowhereElse) {
    for (const FeatureRow& row : feature_rows()) {
        CpuModel without = model_of("icelake-server"), with = without;
        without.set(row.id, false);
        with.set(row.id, true);
        CpuidContext context;
        context.misc_enable = bit(18); // MONITOR shows only while it is enabled
        CpuidResult a = without.cpuid(row.leaf, row.subleaf, context), b = with.cpuid(row.leaf, row.subleaf, context);
        EXPECT_EQ((a[row.reg] >> row.bit) & 1, 0u) << row.key;
        EXPECT_EQ((b[row.reg] >> row.bit) & 1, 1u) << row.key;
    }
}

TEST(Model, NamesAdditionsAndErrors) {
    EXPECT_EQ(model_of("").name, "icelake-server");
    EXPECT_EQ(model_of("Nehalem").identity->model, 0x1a);
    EXPECT_TRUE(model_of("icelake-server,+la57").has(Feature::la57));
    EXPECT_FALSE(model_of("icelake-server,-avx2,-bmi1").has(Feature::bmi1));
    EXPECT_FALSE(model_of("icelake-server,-avx2").has(Feature::avx2));
    for (const char* bad : {"pentium", "max,avx2", "max,+", "max,", "max,+nothing"}) {
        const auto result = find_cpu_model(bad);
        ASSERT_FALSE(result.ok()) << bad;
        EXPECT_NE(result.error().message.find("--cpu"), std::string::npos) << bad;
        EXPECT_EQ(result.error().status, Status::usage);
    }
    for (const FeatureRow& row : feature_rows())
        if (row.since == Generation::later) {
            EXPECT_FALSE(find_cpu_model(std::string("icelake-server,+") + row.key).ok()) << row.key;
        }
}

TEST(Model, TheDefaultAsksNoMoreThanX86_64_v3WithAesAndPclmul) {
    const std::set<std::string> allowed{"sse3", "ssse3", "fma", "cmpxchg16b", "sse4_1", "sse4_2", "movbe", "popcnt", "aesni", "pclmulqdq", "avx",
                                        "f16c", "mmx", "sse", "sse2", "bmi1", "avx2", "bmi2", "lahf64", "lzcnt"};
    const CpuModel m = model_of("");
    for (const FeatureRow& row : feature_rows())
        if (row.host && m.has(row.id)) {
            EXPECT_TRUE(allowed.count(row.key)) << row.key;
        }
    EXPECT_TRUE(check_host().ok());
}

TEST(Model, MaxHasWhatTheHostHas) {
    const CpuModel m = model_of("max");
    for (const FeatureRow& row : feature_rows())
        if (row.host) {
            EXPECT_EQ(m.has(row.id), host_has(row.id)) << row.key;
        }
}

TEST(Cpuid, VendorSignatureAndBrand) {
    const CpuModel m = model_of("");
    CpuidContext c;
    const CpuidResult r = m.cpuid(0, 0, c);
    EXPECT_EQ(r.eax, 0x1fu);
    EXPECT_EQ(r.ebx, 0x756e6547u);
    EXPECT_EQ(r.edx, 0x49656e69u);
    EXPECT_EQ(r.ecx, 0x6c65746eu);
    EXPECT_EQ(m.cpuid(1, 0, c).eax, 0x606a6u);
    EXPECT_EQ(m.cpuid(1, 0, c).eax, m.signature);
    std::string brand;
    for (u32 leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
        CpuidResult b = m.cpuid(leaf, 0, c);
        for (const CpuidRegister reg : {CpuidRegister::eax, CpuidRegister::ebx, CpuidRegister::ecx, CpuidRegister::edx})
            for (unsigned i = 0; i < 4; ++i)
                brand += static_cast<char>(b[reg] >> (8 * i));
    }
    EXPECT_EQ(std::string(brand.c_str()), m.identity->brand);
    EXPECT_EQ(m.cpuid(1, 0, c).ecx >> 31, 0u) << "no hypervisor bit";
}

TEST(Cpuid, DynamicBits) {
    const CpuModel m = model_of("");
    CpuidContext c;
    EXPECT_FALSE(m.cpuid(1, 0, c).ecx & bit(27));
    EXPECT_TRUE(m.cpuid(1, 0, c).edx & bit(9));
    EXPECT_TRUE(m.cpuid(0x80000001, 0, c).edx & bit(11));
    EXPECT_TRUE(m.cpuid(0x80000001, 0, c).edx & bit(20));
    EXPECT_FALSE(m.cpuid(7, 0, c).ecx & bit(4));
    c.osxsave = c.ospke = true;
    c.apic_enabled = c.mode64 = false;
    c.misc_enable = bit(34);
    EXPECT_TRUE(m.cpuid(1, 0, c).ecx & bit(27));
    EXPECT_FALSE(m.cpuid(1, 0, c).edx & bit(9));
    EXPECT_FALSE(m.cpuid(0x80000001, 0, c).edx & bit(11));
    EXPECT_FALSE(m.cpuid(0x80000001, 0, c).edx & bit(20));
    EXPECT_TRUE(m.cpuid(7, 0, c).ecx & bit(4));
    c.misc_enable = bit(22);
    EXPECT_EQ(m.cpuid(0, 0, c).eax, 2u);
}

TEST(Cpuid, TheTscHasTheCrystalsFrequency) {
    const CpuidResult r = model_of("").cpuid(0x15, 0, {});
    EXPECT_EQ(u64{r.ecx} * r.ebx / r.eax, 1'000'000'000u);
}

TEST(Cpuid, TopologyIsOneThreadPerCore) {
    const CpuModel m = model_of("");
    for (const unsigned n : {1u, 2u, 3u, 8u, 64u}) {
        CpuidContext c;
        c.cpu_count = n;
        c.apic_id = n - 1;
        const CpuidResult thread = m.cpuid(0xb, 0, c), core = m.cpuid(0xb, 1, c), last = m.cpuid(0xb, 2, c);
        EXPECT_EQ(thread.eax, 0u);
        EXPECT_EQ(thread.ebx, 1u);
        EXPECT_EQ(thread.ecx, 0x100u);
        EXPECT_EQ(core.ebx, n);
        EXPECT_EQ(core.ecx, 0x201u);
        EXPECT_GE(1u << core.eax, n);
        EXPECT_EQ(core.edx, n - 1);
        EXPECT_EQ(last.ecx, 2u);
        EXPECT_EQ(last.ebx, 0u);
        const CpuidResult one = m.cpuid(1, 0, c);
        EXPECT_EQ(one.ebx >> 24, n - 1);
        EXPECT_EQ((one.edx >> 28) & 1, n > 1);
        // Leaf 4 counts as leaf 0BH does, and L3 alone is shared.
        EXPECT_EQ((m.cpuid(4, 3, c).eax >> 26) + 1, 1u << core.eax);
        EXPECT_EQ((m.cpuid(4, 3, c).eax >> 14) & 0xfff, (1u << core.eax) - 1);
        EXPECT_EQ((m.cpuid(4, 0, c).eax >> 14) & 0xfff, 0u);
        EXPECT_EQ(m.cpuid(4, 4, c).eax & 0x1f, 0u);
    }
}

TEST(Cpuid, XsaveSizesFollowTheLayout) {
    CpuModel m = model_of("");
    CpuidContext c;
    c.xcr0 = 7;
    EXPECT_EQ(m.cpuid(0xd, 0, c).ebx, 832u);
    c.xcr0 = 3;
    EXPECT_EQ(m.cpuid(0xd, 0, c).ebx, 576u);
    EXPECT_EQ(m.cpuid(0xd, 0, c).eax, static_cast<u32>(xcr0_supported(m)));
    EXPECT_EQ(m.cpuid(0xd, 0, c).ecx, xsave_standard_size(xcr0_supported(m)));
    EXPECT_EQ(m.cpuid(0xd, 1, c).ebx, 576u);
    EXPECT_EQ(m.cpuid(0xd, 2, c).eax, 256u);
    EXPECT_EQ(m.cpuid(0xd, 2, c).ebx, 576u);
    EXPECT_EQ(m.cpuid(0xd, 9, c).ebx, 2688u);
    EXPECT_EQ(m.cpuid(0xd, 5, c).eax, 0u) << "no AVX-512 in the default";
    EXPECT_EQ(m.cpuid(0xd, 63, c).eax, 0u);
    m.set(Feature::avx512f);
    EXPECT_EQ(m.cpuid(0xd, 7, c).ebx, 1664u);
}

TEST(Cpuid, LeavesBeyondTheLastGiveTheLast) {
    const CpuModel m = model_of("skylake-server");
    CpuidContext c;
    const CpuidResult last = m.cpuid(0x16, 0, c), beyond = m.cpuid(0x1234, 0, c), hypervisor = m.cpuid(0x40000000, 0, c);
    EXPECT_EQ(beyond.eax, last.eax);
    EXPECT_EQ(hypervisor.ecx, last.ecx);
    EXPECT_EQ(m.cpuid(0x80000000, 0, c).eax, 0x80000008u);
    EXPECT_EQ(m.cpuid(0x80000008, 0, c).eax & 0xff, 46u);
}

TEST(Model, InstructionsOfAbsentFeaturesAreUndefined) {
    struct Case {
        std::vector<u8> bytes;
        const char* feature;
    };
    const Case cases[] = {
        {{0xc5, 0xfc, 0x58, 0xc1}, "avx"},             // vaddps ymm
        {{0xc4, 0xe2, 0x75, 0x40, 0xc2}, "avx2"},      // vpmulld ymm
        {{0x0f, 0x38, 0xf0, 0x00}, "movbe"},           //
        {{0xf3, 0x0f, 0xb8, 0xc0}, "popcnt"},          //
        {{0x0f, 0xc7, 0xf0}, "rdrand"},                //
        {{0x0f, 0x01, 0xf9}, "rdtscp"},                //
        {{0x0f, 0x01, 0xca}, "smap"},                  // clac
        {{0x66, 0x0f, 0x38, 0x82, 0x00}, "invpcid"},   //
        {{0x0f, 0x01, 0xd0}, "xsave"},                 // xgetbv
        {{0xf3, 0x0f, 0xae, 0xc0}, "fsgsbase"},        // rdfsbase
        {{0x48, 0x0f, 0xc7, 0x08}, "cmpxchg16b"},      //
        {{0x66, 0x0f, 0x38, 0xdc, 0xc1}, "aesni"},     // aesenc
        {{0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1}, "avx512f"}, // vaddps zmm
        {{0x62, 0xf1, 0x7c, 0x28, 0x58, 0xc1}, "avx512vl"}, // vaddps ymm, EVEX
        {{0x0f, 0x01, 0xee}, "pku"},                   // rdpkru
    };
    for (const Case& c : cases) {
        ZydisDecodedInstruction info;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        ASSERT_TRUE(decode(c.bytes, ZYDIS_MACHINE_MODE_LONG_64, info, operands)) << c.feature;
        CpuModel m = model_of("");
        for (const FeatureRow& row : feature_rows())
            if (row.host)
                m.set(row.id);
        EXPECT_TRUE(m.allows(info)) << c.feature;
        for (const FeatureRow& row : feature_rows())
            if (row.key == std::string_view(c.feature))
                m.set(row.id, false);
        EXPECT_FALSE(m.allows(info)) << c.feature;
    }
}

// Opcodes are walked, not guessed: every map, prefix, opcode byte and ModRM extension that the decoder takes for an instruction.
namespace {

void walk_opcodes(ZydisMachineMode mode, const std::function<void(const std::vector<u8>&)>& visit) {
    const std::vector<std::vector<u8>> prefixes{{}, {0x66}, {0xf3}, {0xf2}, {0x48}, {0x66, 0x48}, {0xf3, 0x48}, {0xf2, 0x48}};
    const std::vector<std::vector<u8>> maps{{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
    const auto tails = [&](std::vector<u8> head) {
        for (unsigned opcode = 0; opcode < 256; ++opcode)
            for (unsigned extension = 0; extension < 8; ++extension)
                for (const unsigned form : {0x00u, 0xc0u, 0xc1u, 0xc2u, 0xc3u, 0xc4u, 0xc5u, 0xc6u, 0xc7u, 0x04u}) {
                    std::vector<u8> bytes = head;
                    bytes.push_back(static_cast<u8>(opcode));
                    bytes.push_back(static_cast<u8>(form | extension << 3));
                    bytes.resize(15, 0x01);
                    visit(bytes);
                }
    };
    for (const auto& prefix : prefixes) {
        if (mode != ZYDIS_MACHINE_MODE_LONG_64 && !prefix.empty() && prefix.back() == 0x48)
            continue;
        for (const auto& map : maps) {
            std::vector<u8> head = prefix;
            head.insert(head.end(), map.begin(), map.end());
            tails(head);
        }
    }
    for (unsigned map = 1; map <= 3; ++map)
        for (unsigned low = 0; low < 256; ++low) { // W, vvvv, L, pp
            if ((low & 0x78) != 0x78 && (low & 0x78) != 0x70)
                continue;
            tails({0xc4, static_cast<u8>(0xe0 | map), static_cast<u8>(low)});
            for (const u8 p2 : {0x08, 0x28, 0x48, 0x09, 0x29, 0x49, 0x18})
                if (low & 4 ? false : true)
                    tails({0x62, static_cast<u8>(0xf0 | map), static_cast<u8>(low | 4), p2});
        }
}

std::string unbound(const CpuModel& model, ZydisMachineMode mode, CodeMode code_mode) {
    std::multimap<unsigned, const OpRow*> rows;
    for (const auto group : {integer_rows(), string_rows(), branch_rows(), system_rows(), vector_rows(), x87_rows()})
        for (const OpRow& row : group)
            rows.emplace(row.mnemonic, &row);
    ThunkMemory thunks(32 << 20);
    std::map<std::string, std::string> missing;
    walk_opcodes(mode, [&](const std::vector<u8>& bytes) {
        ZydisDecodedInstruction info;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        if (!decode(bytes, mode, info, operands) || !model.allows(info))
            return;
        if (thunks.full())
            thunks.clear();
        const Decoded d{info, operands, code_mode, bytes.data(), &thunks};
        Instruction out;
        fill_common(d, out);
        const auto [first, last] = rows.equal_range(info.mnemonic);
        for (auto r = first; r != last; ++r)
            if (r->second->bind(d, out))
                return;
        std::string& example = missing[ZydisMnemonicGetString(info.mnemonic)];
        if (example.empty())
            for (unsigned i = 0; i < info.length; ++i)
                example += "0123456789abcdef"[bytes[i] >> 4], example += "0123456789abcdef"[bytes[i] & 15];
    });
    std::string text;
    for (const auto& [name, example] : missing)
        text += name + " (" + example + ") ";
    return text;
}

} // namespace

TEST(Model, EveryInstructionOfTheDefaultIsImplementedIn64BitMode) {
    EXPECT_EQ(unbound(model_of(""), ZYDIS_MACHINE_MODE_LONG_64, {.bits = 64, .protected_ = true, .long_mode = true, .osfxsr = true, .osxsave = true, .xcr0 = 3}), "");
}

TEST(Model, EveryInstructionOfTheDefaultIsImplementedIn32BitMode) {
    EXPECT_EQ(unbound(model_of(""), ZYDIS_MACHINE_MODE_LEGACY_32, {.bits = 32, .stack32 = true, .protected_ = true, .osfxsr = true, .osxsave = true, .xcr0 = 3}), "");
}

TEST(Model, EveryInstructionOfMaxIsImplemented) {
    EXPECT_EQ(unbound(model_of("max"), ZYDIS_MACHINE_MODE_LONG_64, {.bits = 64, .protected_ = true, .long_mode = true, .osfxsr = true, .osxsave = true, .xcr0 = 3}), "");
}
