// SPDX-License-Identifier: Apache-2.0
// CPU models: which features a processor has, what CPUID says, and which instructions exist.
#pragma once

#include "base/device.h"
#include "base/error.h"
#include "words/integers.h"

#include <Zydis/Zydis.h>

#include <array>
#include <bitset>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

struct CpuModel;
struct MsrState;

/// Feature flags of CPUID that a model may have (spec/cpuid.def).
enum class Feature : u8 {
#define CPUID_FEATURE(id, ...) id,
#include "x86/spec/cpuid.def"
#undef CPUID_FEATURE
    count,
};

enum class CpuidRegister : u8 { eax, ebx, ecx, edx };

/// Since when a feature exists; models are cuts through this order.
enum class Generation : u8 { nehalem, skylake, icelake, max, option, later };

/// One row of spec/cpuid.def.
struct FeatureRow {
    Feature id;
    const char* key; ///< as `--cpu NAME,+KEY` takes it
    Generation since;
    bool host; ///< computed by the host's own instruction, so the host must have it
    u32 leaf, subleaf;
    CpuidRegister reg;
    u8 bit;
    const char* name; ///< the SDM's
};

std::span<const FeatureRow> feature_rows();

struct CpuidResult {
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;

    u32& operator[](CpuidRegister r) {
        return r == CpuidRegister::eax ? eax : r == CpuidRegister::ebx ? ebx : r == CpuidRegister::ecx ? ecx : edx;
    }
};

/// Whose processor CPUID says it is. An AMD one has SYSCALL and SYSRET outside 64-bit mode too; nothing else differs.
enum class Vendor : u8 { intel, amd };

/// What CPUID shows of the processor that executes it.
struct CpuidContext {
    u32 apic_id = 0;
    unsigned cpu_count = 1;
    bool apic_enabled = true; ///< IA32_APIC_BASE.EN
    bool osxsave = false;     ///< CR4.OSXSAVE
    bool ospke = false;       ///< CR4.PKE
    bool mode64 = true;       ///< SYSCALL is enumerated in 64-bit mode only
    u64 xcr0 = 1, xss = 0;
    u64 misc_enable = 0; ///< IA32_MISC_ENABLE: limits CPUID, hides NX

    bool operator==(const CpuidContext&) const = default;
};

/// The last answers of CPUID on one processor: some programs ask all the time. Derived, and no part of the state.
class CpuidMemo {
public:
    CpuidResult ask(const CpuModel& model, u32 leaf, u32 subleaf, const CpuidContext& context);

private:
    struct Answer {
        u32 leaf = 0, subleaf = 0;
        bool known = false;
        CpuidContext context{};
        CpuidResult result{};
    };

    std::array<Answer, 16> answers_;
};

/// What a model is besides its features.
struct CpuIdentity {
    const char* name;
    const char* meaning;
    const char* brand;
    Generation generation;
    u8 family, model, stepping;
    u32 microcode;
    u32 max_leaf;
    u8 physical_bits;
    CpuidResult leaf2;     ///< descriptors of caches and TLBs
    CpuidResult caches[4]; ///< leaf 4 without the sharing fields: L1D, L1I, L2, L3
};

struct CpuModel {
    const CpuIdentity* identity = nullptr;
    std::string name; ///< as asked for, with additions and removals
    u32 signature = 0; ///< CPUID.1:EAX, and EDX after reset
    unsigned physical_bits = 46;
    bool has_1g_pages = false;
    Vendor vendor = Vendor::intel;

    bool has(Feature f) const { return features_[static_cast<unsigned>(f)]; }

    /// Rooms that implement a feature add it (VMX). Derived tables follow.
    void set(Feature f, bool on = true);

    /// False: the instruction gives #UD on this model.
    bool allows(const ZydisDecodedInstruction& instruction) const;

    CpuidResult cpuid(u32 leaf, u32 subleaf, const CpuidContext& context) const;

    /// Bits of CR4 that may be set.
    u64 cr4_allowed() const { return cr4_allowed_; }

    /// Bits of EFER that may be set.
    u64 efer_allowed() const { return efer_allowed_; }

    /// IA32_ARCH_CAPABILITIES: emulated silicon is not vulnerable.
    u64 arch_capabilities() const;

private:
    void derive();

    std::bitset<static_cast<unsigned>(Feature::count)> features_;
    std::bitset<ZYDIS_ISA_SET_MAX_VALUE + 1> isa_sets_;
    u64 cr4_allowed_ = 0, efer_allowed_ = 0;
};

/// XCR0 bits that XSETBV accepts, and IA32_XSS bits.
u64 xcr0_supported(const CpuModel& model);
u64 xss_supported(const CpuModel& model);

/// All named models, the default first.
std::span<const CpuIdentity> cpu_identities();

/// NAME[,+FEATURE|,-FEATURE|,phys_bits=N|,vendor=NAME]...; an empty name is the default. Fails with one sentence for an unknown name or feature, or when
/// the host lacks an instruction that the model needs.
Expected<CpuModel> find_cpu_model(std::string_view name);

/// Fails with one sentence when this computer cannot run any model: x86-64-v3, AES and PCLMULQDQ are needed.
Expected<> check_host();

/// Values of the model-specific registers after reset; INIT leaves them. (msr.cpp)
void reset_msrs(MsrState& msr, const CpuModel& model, Reset kind);

/// Whether the host has the feature (only rows with `host` are meaningful).
bool host_has(Feature f);

} // namespace vitrine
