// SPDX-License-Identifier: Apache-2.0
// What a rule of VM entry is, and the three ways to look at a VMCS through one: fast, recording what is read, and breaking it.
#pragma once

#include "vtx/spec/capabilities.h"
#include "vtx/spec/manuals.h"

namespace vitrine::vtx {

/// What rules ask of the processor and of memory besides the VMCS.
enum class Fact : u8 {
    physical_bits,   ///< MAXPHYADDR
    linear_bits,     ///< 48 or 57: canonical addresses
    long_mode,       ///< IA32_EFER.LMA when the entry is executed
    cr4_allowed,     ///< IA32_VMX_CR4_FIXED1
    efer_allowed,    ///< bits of IA32_EFER that are not reserved
    debugctl_allowed,
    current_vmcs,    ///< the current-VMCS pointer
    link_revision,   ///< the first four bytes of the region that the VMCS link pointer names
    vtpr,            ///< byte 80H of the virtual-APIC page
    pdpte0, pdpte1, pdpte2, pdpte3, ///< where guest CR3 points to, when PDPTEs come from memory
    count,
};

inline constexpr unsigned fact_count = static_cast<unsigned>(Fact::count);

/// Everything that rules read. Belongs to whoever checks; rules see it through views only.
struct RuleInput {
    const u64* fields = nullptr; ///< by F
    const Capabilities* capabilities = nullptr;
    u64 facts[fact_count]{};
};

/// The fast way.
class View {
public:
    explicit View(const RuleInput& in) : in_(in) {}

    u64 operator[](F f) const { return in_.fields[static_cast<unsigned>(f)]; }

    u64 operator[](Fact f) const { return in_.facts[static_cast<unsigned>(f)]; }

    const Capabilities& capabilities() const { return *in_.capabilities; }

private:
    const RuleInput& in_;
};

/// The same, remembering what was read.
class Recorder {
public:
    static constexpr unsigned most = 40;

    explicit Recorder(const RuleInput& in) : in_(in) {}

    u64 operator[](F f) {
        bool known = false;
        for (unsigned n = 0; n < count_; ++n)
            known |= read_[n] == f;
        if (!known && count_ < most)
            read_[count_++] = f;
        return in_.fields[static_cast<unsigned>(f)];
    }

    u64 operator[](Fact f) {
        facts_ |= 1u << static_cast<unsigned>(f);
        return in_.facts[static_cast<unsigned>(f)];
    }

    const Capabilities& capabilities() const { return *in_.capabilities; }

    unsigned count() const { return count_; }

    F field(unsigned n) const { return read_[n]; }

    bool asked(Fact f) const { return facts_ >> static_cast<unsigned>(f) & 1; }

private:
    const RuleInput& in_;
    F read_[most]{};
    unsigned count_ = 0;
    u32 facts_ = 0;
};

/// Changes a VMCS so that a rule is broken. Facts are changed where a rule is about memory.
class Breaker {
public:
    Breaker(u64* fields, RuleInput& in) : fields_(fields), in_(in) {}

    u64& at(F f) { return fields_[static_cast<unsigned>(f)]; }

    u64& at(Fact f) { return in_.facts[static_cast<unsigned>(f)]; }

    u64 operator[](F f) const { return fields_[static_cast<unsigned>(f)]; }

    u64 operator[](Fact f) const { return in_.facts[static_cast<unsigned>(f)]; }

    const Capabilities& capabilities() const { return *in_.capabilities; }

    void set(F f, const Field& field, u64 value = 1) { at(f) = field.with(at(f), value); }

private:
    u64* fields_;
    RuleInput& in_;
};

/// Which groups of fields a rule reads (one bit each): unchanged groups are not checked again.
enum class Group : u8 { controls, host, guest };

/// What a broken rule leads to.
enum class Failure : u8 {
    invalid_controls,   ///< VMfailValid 7
    invalid_host_state, ///< VMfailValid 8
    guest_state,        ///< exit 33, qualification 0
    guest_pdpte,        ///< exit 33, qualification 2
    guest_nmi_with_sti, ///< exit 33, qualification 3
    guest_link_pointer, ///< exit 33, qualification 4
};

struct Rule {
    const char* id;
    const Section* section;
    const char* sentence;
    Failure failure;
    bool (*when)(const View&);
    bool (*must)(const View&);
    bool (*when_recorded)(Recorder&);
    bool (*must_recorded)(Recorder&);
    void (*violate)(Breaker&);

    /// The lambdas are captureless and generic; only their types are kept.
    template <class When, class Must, class Violate>
    constexpr Rule(const char* name, const Section& where, Failure f, const char* text, When, Must, Violate)
        : id(name), section(&where), sentence(text), failure(f), when([](const View& v) -> bool { return When{}(v); }),
          must([](const View& v) -> bool { return Must{}(v); }), when_recorded([](Recorder& v) -> bool { return When{}(v); }),
          must_recorded([](Recorder& v) -> bool { return Must{}(v); }), violate([](Breaker& v) { Violate{}(v); }) {}

    bool broken(const View& v) const { return when(v) && !must(v); }
};

/// What many rules ask.
namespace ask {

inline constexpr auto always = [](auto&&) { return true; };

constexpr bool allowed(u64 value, u64 msr) { return (value & (msr & 0xffff'ffff)) == (msr & 0xffff'ffff) && !(value & ~(msr >> 32)); }

template <class V> u64 secondary(V& v) { return vtx::primary.activate_secondary_controls(v[F::primary]) ? v[F::secondary] : 0; }

template <class V> u64 tertiary(V& v) { return vtx::primary.activate_tertiary_controls(v[F::primary]) ? v[F::tertiary] : 0; }

template <class V> bool physical(V& v, u64 address) { return !(address >> v[Fact::physical_bits]); }

template <class V> bool canonical(V& v, u64 address) {
    return sign_extend(address, static_cast<unsigned>(v[Fact::linear_bits])) == address;
}

/// A page address within the physical-address width.
template <class V> bool page(V& v, u64 address) { return is_aligned(address, 4096) && physical(v, address); }

/// An MSR area: 16-byte aligned, first and last byte within the physical-address width.
template <class V> bool area(V& v, u64 address, u64 count) {
    return is_aligned(address, 16) && physical(v, address) && physical(v, address + count * 16 - 1);
}

constexpr bool pat(u64 value) {
    for (unsigned i = 0; i < 64; i += 8) {
        const u64 type = value >> i & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

} // namespace ask

} // namespace vitrine::vtx
