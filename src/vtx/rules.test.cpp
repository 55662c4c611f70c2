// SPDX-License-Identifier: Apache-2.0
// Walks the tables: encodings, exits, errors, capabilities, and every rule of VM entry broken on its own.
#include "vtx/spec/entry_rules.h"

#include "vtx/capability_list.h"
#include "vtx/spec/presets.h"
#include "vtx/spec/errors.h"
#include "vtx/spec/operand_rules.h"
#include "vtx/valid_vmcs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace vitrine::vtx {
namespace {

TEST(Fields, EncodingsSayWidthAndArea) {
    EXPECT_EQ(row(F::vpid).encoding.width(), 16u);
    EXPECT_EQ(row(F::guest_rip).encoding.width(), 64u);
    EXPECT_EQ(row(F::eptp).encoding.width(), 64u);
    EXPECT_EQ(row(F::exit_reason).encoding.width(), 32u);
    EXPECT_EQ(row(F::exit_reason).encoding.area(), FieldArea::read_only);
    EXPECT_EQ(row(F::host_rip).encoding.area(), FieldArea::host);
    EXPECT_EQ(row(F::guest_rip).encoding.area(), FieldArea::guest);
    EXPECT_EQ(row(F::pin_based).encoding.area(), FieldArea::control);
}

TEST(Fields, NamesAgreeWithTheAreas) {
    std::set<u32> seen;
    for (const FieldRow& r : field_rows) {
        EXPECT_TRUE(r.encoding.well_formed()) << r.id;
        EXPECT_FALSE(r.encoding.high()) << r.id;
        EXPECT_TRUE(seen.insert(r.encoding.value).second) << r.id << " has the encoding of another field";
        const std::string id = r.id;
        if (id.starts_with("host_")) {
            EXPECT_EQ(r.encoding.area(), FieldArea::host) << id;
        }
        if (id.starts_with("guest_") && id != "guest_physical_address" && id != "guest_linear_address") {
            EXPECT_EQ(r.encoding.area(), FieldArea::guest) << id;
        }
        if (id.ends_with("_selector")) {
            EXPECT_EQ(r.encoding.width(), 16u) << id;
        }
        if (id.ends_with("_base")) {
            EXPECT_EQ(r.encoding.width_code(), 3u) << id;
        }
    }
}

TEST(Fields, AreFoundByEncoding) {
    for (unsigned n = 0; n < field_count; ++n) {
        const FieldEncoding e = field_rows[n].encoding;
        EXPECT_EQ(field_map.find(e.value), static_cast<F>(n));
        EXPECT_EQ(field_map.find(e.value | 1), e.width_code() == 1 ? static_cast<F>(n) : F::count) << field_rows[n].id;
        EXPECT_EQ(field_map.find(e.value | 1 << 12), F::count);
        EXPECT_EQ(field_map.find(u64{e.value} | 1ull << 32), F::count);
    }
    unsigned found = 0;
    for (u32 e = 0; e < 0x8000; ++e)
        found += field_map.find(e) != F::count;
    unsigned with_high = 0;
    for (const FieldRow& r : field_rows)
        with_high += r.encoding.width_code() == 1;
    EXPECT_EQ(found, field_count + with_high);
}

TEST(Capabilities, DefaultsAreWhatTheManualSays) {
    Capabilities c = implemented();
    settle(c);
    u64 v = 0;
    ASSERT_TRUE(capability_msr(c, 0x480, 0, v));
    EXPECT_EQ(v & 0x7fff'ffff, vmcs_revision);
    EXPECT_EQ(v >> 32 & 0x1fff, 4096u);
    EXPECT_EQ(v >> 50 & 15, 6u);
    ASSERT_TRUE(capability_msr(c, 0x482, 0, v));
    EXPECT_EQ(v & 0xffff'ffff, 0x0401'e172u);
    ASSERT_TRUE(capability_msr(c, 0x48e, 0, v));
    EXPECT_EQ(v & 0xffff'ffff, 0x0400'6172u);
    ASSERT_TRUE(capability_msr(c, 0x483, 0, v));
    EXPECT_EQ(v & 0xffff'ffff, 0x0003'6dffu);
    ASSERT_TRUE(capability_msr(c, 0x492, 0, v));
    EXPECT_EQ(v, tertiary.ipi_virtualization.mask());
    // Everything that must be 1 may be 1.
    for (const u32 msr : {0x481u, 0x482u, 0x483u, 0x484u, 0x48du, 0x48eu, 0x48fu, 0x490u}) {
        ASSERT_TRUE(capability_msr(c, msr, 0, v));
        EXPECT_EQ(v & ~(v >> 32) & 0xffff'ffff, 0u) << msr;
    }
}

TEST(Capabilities, WhatDependsGoesToo) {
    Capabilities c = implemented();
    c.secondary &= ~static_cast<u32>(secondary.enable_ept.mask());
    settle(c);
    EXPECT_FALSE(secondary.unrestricted_guest(c.secondary));
    EXPECT_FALSE(misc.stores_lma(c.misc));
    EXPECT_FALSE(ept_vpid.invept(c.ept_vpid));
    EXPECT_TRUE(ept_vpid.invvpid(c.ept_vpid));
    u64 v = 0;
    EXPECT_FALSE(capability_msr(c, vmx_msr::vmfunc, 0, v));
    ASSERT_TRUE(primary.activate_tertiary_controls(c.primary));
    c.primary &= ~static_cast<u32>(primary.use_tpr_shadow.mask());
    settle(c);
    EXPECT_FALSE(primary.activate_tertiary_controls(c.primary));
    EXPECT_FALSE(capability_msr(c, vmx_msr::tertiary, 0, v));
}

TEST(Presets, NameCapabilitiesThatThereAre) {
    std::set<std::string> seen;
    for (const SinceRow& row : since_rows) {
        EXPECT_TRUE(capabilities_of(std::string("-") + row.capability).ok()) << row.capability;
        EXPECT_TRUE(seen.insert(row.capability).second) << row.capability << " twice";
        EXPECT_NE(row.since, Generation::nehalem) << row.capability;
    }
}

/// Each generation has what the one before had and more; the last one has everything.
TEST(Presets, Grow) {
    const auto subset = [](u64 a, u64 b) { return !(a & ~b); };
    Capabilities before;
    before.ept_vpid = 0;
    for (const GenerationRow& g : generation_rows) {
        const auto made = capabilities_of(g.name);
        ASSERT_TRUE(made.ok()) << g.name;
        const Capabilities& c = made.value();
        EXPECT_TRUE(subset(before.pin, c.pin) && subset(before.primary, c.primary) && subset(before.secondary, c.secondary) &&
                    subset(before.tertiary, c.tertiary) && subset(before.ept_vpid, c.ept_vpid) && subset(before.exiting, c.exiting))
            << g.name;
        before = c;
    }
    Capabilities all = implemented();
    settle(all);
    EXPECT_EQ(before.secondary, all.secondary);
    EXPECT_EQ(before.tertiary, all.tertiary);
    EXPECT_EQ(before.ept_vpid, all.ept_vpid);
}

TEST(Presets, TakeFurtherNames) {
    const Capabilities c = capabilities_of("haswell,-vpid").value();
    EXPECT_TRUE(secondary.vmcs_shadowing(c.secondary));
    EXPECT_TRUE(ept_vpid.accessed_dirty(c.ept_vpid));
    EXPECT_FALSE(secondary.enable_vpid(c.secondary));
    EXPECT_FALSE(secondary.enable_pml(c.secondary));
    EXPECT_FALSE(primary.activate_tertiary_controls(c.primary));
    EXPECT_TRUE(capabilities_of("on,-vpid").ok());
    EXPECT_FALSE(capabilities_of("-vpid,haswell").ok());
    EXPECT_FALSE(capabilities_of("pentium").ok());
    const Capabilities oldest = capabilities_of("nehalem").value();
    EXPECT_TRUE(secondary.enable_ept(oldest.secondary) && secondary.enable_vpid(oldest.secondary));
    EXPECT_FALSE(secondary.unrestricted_guest(oldest.secondary));
}

TEST(EntryRules, AcceptTheValidVmcs) {
    ValidVmcs vmcs;
    for_each_rule([&](const Rule& r) { EXPECT_FALSE(r.broken(vmcs.view())) << r.id; });
}

TEST(EntryRules, HaveNamesAndSentences) {
    std::set<std::string> ids;
    for_each_rule([&](const Rule& r) {
        EXPECT_TRUE(std::string(r.id).starts_with("entry.")) << r.id;
        EXPECT_TRUE(ids.insert(r.id).second) << r.id << " twice";
        EXPECT_GT(std::string(r.sentence).size(), 20u);
        EXPECT_TRUE(std::string(r.sentence).ends_with(".")) << r.id;
        EXPECT_NE(r.section->title, nullptr);
    });
}

/// Rules that no VMCS can break before another one, and why: `first` breaks with them.
struct Inseparable {
    std::string id, first, reason;
};
const Inseparable inseparable[] = {
    {"entry.host-32-entry", "entry.host-32-guest",
     "'host address-space size' = 0 is refused in IA-32e mode, and outside it 'IA-32e mode guest' = 1 is"},
};

TEST(EntryRules, EachIsTheFirstThatItsViolationBreaks) {
    for_each_rule([&](const Rule& r) {
        ValidVmcs vmcs;
        Breaker breaker(vmcs.fields.data(), vmcs.input);
        r.violate(breaker);
        // Inseparable from what the processor can do: broken only where accessed and dirty flags were taken away.
        if (std::string(r.id) == "entry.eptp-accessed-dirty") {
            vmcs.capabilities.ept_vpid &= ~ept_vpid.accessed_dirty.mask();
            settle(vmcs.capabilities);
        }
        for (unsigned n = 0; n < field_count; ++n)
            EXPECT_EQ(vmcs.fields[n] & ~width_mask(static_cast<F>(n)), 0u) << r.id << " sets bits that " << field_rows[n].id << " does not have";
        const View v = vmcs.view();
        const Rule* first = first_broken(control_rules, v);
        if (!first)
            first = first_broken(host_rules, v);
        if (!first)
            first = first_broken(guest_rules, v);
        ASSERT_NE(first, nullptr) << r.id << " is not broken by its violation";
        EXPECT_TRUE(r.broken(v)) << r.id;
        std::string expected = r.id;
        for (const Inseparable& i : inseparable)
            if (i.id == r.id)
                expected = i.first;
        EXPECT_EQ(first->id, expected);
        // The recorder agrees and knows what was read.
        Recorder recorder(vmcs.input);
        EXPECT_TRUE(r.when_recorded(recorder)) << r.id;
        EXPECT_FALSE(r.must_recorded(recorder)) << r.id;
        EXPECT_GT(recorder.count(), 0u) << r.id;
        EXPECT_LT(recorder.count(), Recorder::most) << r.id;
    });
}

TEST(OperandRules, EachCanBeBroken) {
    const auto walk = [](const auto& rules, InvalidateOperand valid) {
        for (const OperandRule& r : rules) {
            for (const OperandRule& other : rules)
                EXPECT_TRUE(other.must(valid)) << other.id;
            InvalidateOperand o = valid;
            r.violate(o);
            const OperandRule* first = nullptr;
            for (const OperandRule& other : rules)
                if (!first && !other.must(o))
                    first = &other;
            ASSERT_NE(first, nullptr) << r.id;
            EXPECT_STREQ(first->id, r.id);
        }
    };
    const u64 all = implemented().ept_vpid;
    walk(invept_rules, {.type = 1, .low = 0x1000 | 6 | 3 << 3, .ept_vpid = all});
    walk(invvpid_rules, {.type = 0, .low = 1, .high = 0, .ept_vpid = all});
}

TEST(Exits, ReasonsAreUnique) {
    std::set<unsigned> seen;
    for (const ExitRow& r : exit_rows)
        EXPECT_TRUE(seen.insert(static_cast<unsigned>(r.reason)).second) << r.id;
    EXPECT_EQ(find_exit(ExitReason::ept_violation)->shape, Qualification::ept_violation);
    EXPECT_EQ(find_exit(static_cast<ExitReason>(5)), nullptr);
}

TEST(Errors, HaveTexts) {
    std::set<unsigned> seen;
    for (const VmErrorRow& r : vm_error_rows)
        EXPECT_TRUE(seen.insert(static_cast<unsigned>(r.number)).second) << r.id;
    EXPECT_STREQ(text_of(VmError::invalid_control_fields), "VM entry with invalid control field(s)");
}

} // namespace
} // namespace vitrine::vtx
