// SPDX-License-Identifier: Apache-2.0
// EPT with five levels, and write permissions by sub-page.
#include "vtx/ept.h"

#include "vtx/spec/ept_entry.h"
#include "vtx/spec/sub_pages.h"
#include "vtx/vmx_machine.h"

namespace vitrine::vtx {
namespace {

constexpr u64 hlt = 12, violation = 48, misconfiguration = 49, spp_event = 66;

/// EPT is the identity by 2 MiB pages, but for the one at 400000h, which is in 4 KiB pages.
struct EptGuest : VmxMachine {
    static constexpr u64 ept = 0x600000, page = 0x400000, pages = ept + 0x3000, top = 0x610000;

    explicit EptGuest(u64 more_controls = 0) {
        begin();
        set_up_guest();
        m.write<u64>(ept, (ept + 0x1000) | 7);
        m.write<u64>(ept + 0x1000, (ept + 0x2000) | 7);
        for (u64 n = 0; n < 8; ++n)
            m.write<u64>(ept + 0x2000 + 8 * n, n * 2_MiB | 0xb7);
        m.write<u64>(ept + 0x2000 + 8 * 2, pages | 7);
        for (u64 n = 0; n < 512; ++n)
            m.write<u64>(pages + 8 * n, (page + n * page_size) | 0x37);
        vmwrite(F::primary, vmread(F::primary) | primary.activate_secondary_controls.mask());
        vmwrite(F::secondary, secondary.enable_ept.mask() | more_controls);
        vmwrite(F::eptp, ept | 6 | 3 << 3);
    }

    void by_five_levels() {
        m.write<u64>(top, ept | 7);
        vmwrite(F::eptp, top | 6 | 4 << 3);
    }

    /// mov [address],ax; hlt, at most two instructions.
    u64 write_word(u32 address) {
        const auto byte = [address](unsigned n) { return static_cast<u8>(address >> (8 * n)); };
        m.cpu.gpr[rax] = 0x7788;
        run_guest({0x66, 0x89, 0x04, 0x25, byte(0), byte(1), byte(2), byte(3), 0xf4}, 2);
        return reason();
    }
};

TEST(EptLevels, FiveTranslate) {
    EptGuest g;
    g.by_five_levels();
    EXPECT_EQ(g.write_word(0x400010), hlt);
    EXPECT_EQ(g.m.read<u16>(0x400010), 0x7788);
}

TEST(EptLevels, TheFifthTableIsAskedFirst) {
    EptGuest g;
    g.by_five_levels();
    g.m.write<u64>(EptGuest::top, 0);
    g.launch();
    g.m.run(1);
    EXPECT_EQ(g.reason(), violation);
    EptGuest h;
    h.by_five_levels();
    h.m.write<u64>(EptGuest::top, EptGuest::ept | 0x87); // PS is reserved there
    h.launch();
    h.m.run(1);
    EXPECT_EQ(h.reason(), misconfiguration);
}

TEST(EptLevels, AccessedFlagsAreSetInAllFive) {
    EptGuest g;
    g.by_five_levels();
    g.vmwrite(F::eptp, EptGuest::top | 6 | 4 << 3 | ept_pointer.accessed_dirty.mask());
    EXPECT_EQ(g.write_word(0x400010), hlt);
    for (const u64 at :
         {EptGuest::top, EptGuest::ept, EptGuest::ept + 0x1000, EptGuest::ept + 0x2000 + 16, EptGuest::pages})
        EXPECT_TRUE(ept_entry.accessed(g.m.read<u64>(at))) << at;
    EXPECT_TRUE(ept_entry.dirty(g.m.read<u64>(EptGuest::pages)));
}

/// The page at 400000h is read-only but for some of its sub-pages.
struct SubPageGuest : EptGuest {
    static constexpr u64 sppt = 0x620000, leaf = sppt + 0x3000, read_only = page | 0x35 | u64{1} << 61;

    explicit SubPageGuest(u64 permissions) : EptGuest(secondary.sub_page_write_permission.mask()) {
        m.write<u64>(pages, read_only);
        m.write<u64>(sppt, (sppt + 0x1000) | 1);
        m.write<u64>(sppt + 0x1000, (sppt + 0x2000) | 1);
        m.write<u64>(sppt + 0x2000 + 8 * 2, leaf | 1);
        m.write<u64>(leaf, permissions);
        vmwrite(F::spptp, sppt);
    }
};

TEST(SubPages, WritesAreAllowedByTheVector) {
    const u64 third = bit(4); // bytes 100h to 17fh
    for (const auto& [address, allowed] : {std::pair<u32, bool>{0x400000, false},
                                           {0x4000fe, false},
                                           {0x400100, true},
                                           {0x40017e, true},
                                           {0x400180, false},
                                           {0x400ffe, false}}) {
        SubPageGuest g(third);
        EXPECT_EQ(g.write_word(address), allowed ? hlt : violation) << std::hex << address;
        EXPECT_EQ(g.m.read<u16>(address), allowed ? 0x7788 : 0) << std::hex << address;
        if (!allowed) {
            EXPECT_EQ(g.vmread(F::exit_qualification), 0x1aau); // a write; read and fetch allowed; linear, final
        }
    }
}

/// A write is allowed once and for itself: the next one to another sub-page asks again.
TEST(SubPages, AnAllowedWriteAllowsNoOther) {
    SubPageGuest g(bit(4));
    // mov [400100h],ax; mov [400200h],ax
    g.run_guest({0x66, 0x89, 0x04, 0x25, 0x00, 0x01, 0x40, 0, 0x66, 0x89, 0x04, 0x25, 0x00, 0x02, 0x40, 0, 0xf4}, 2);
    EXPECT_EQ(g.reason(), violation);
    EXPECT_EQ(g.vmread(F::guest_physical_address), 0x400200u);
    EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code + 8);
}

TEST(SubPages, AWriteAcrossTwoWantsBoth) {
    SubPageGuest one(bit(4));
    EXPECT_EQ(one.write_word(0x40017f), violation);
    SubPageGuest both(bit(4) | bit(6));
    EXPECT_EQ(both.write_word(0x40017f), hlt);
}

TEST(SubPages, OnlyPagesWithTheBit) {
    SubPageGuest g(~sub_page_reserved);
    g.m.write<u64>(EptGuest::pages, SubPageGuest::read_only & ~ept_entry.sub_pages.mask());
    EXPECT_EQ(g.write_word(0x400100), violation);
    SubPageGuest unreadable(~sub_page_reserved);
    unreadable.m.write<u64>(EptGuest::pages, EptGuest::page | 0x34 | ept_entry.sub_pages.mask());
    EXPECT_EQ(unreadable.write_word(0x400100), violation);
}

TEST(SubPages, MissesAndMisconfigurationsExit) {
    const struct {
        u64 at, value, qualification;
        const char* what;
    } cases[] = {
        {SubPageGuest::sppt, 0, spp_qualification.miss.mask(), "no table at the top"},
        {SubPageGuest::sppt + 0x2010, 0, spp_qualification.miss.mask(), "no last table"},
        {SubPageGuest::sppt + 0x1000, (SubPageGuest::sppt + 0x2000) | 3, 0, "a reserved low bit"},
        {SubPageGuest::sppt + 0x1000, (SubPageGuest::sppt + 0x2000) | 1 | bit(60), 0, "a reserved high bit"},
        {SubPageGuest::leaf, bit(4) | bit(7), 0, "an odd bit of the vector"},
    };

    for (const auto& c : cases) {
        SubPageGuest g(bit(4));
        g.m.write<u64>(c.at, c.value);
        EXPECT_EQ(g.write_word(0x400100), spp_event) << c.what;
        EXPECT_EQ(g.vmread(F::exit_qualification), c.qualification) << c.what;
        EXPECT_EQ(g.vmread(F::guest_physical_address), 0x400100u) << c.what;
        EXPECT_EQ(g.vmread(F::guest_linear_address), 0x400100u) << c.what;
        EXPECT_EQ(g.vmread(F::guest_rip), VmxMachine::guest_code) << c.what;
    }
}

TEST(SubPages, DirtyPagesAreLogged) {
    SubPageGuest g(bit(4));
    g.vmwrite(F::secondary, g.vmread(F::secondary) | secondary.enable_pml.mask());
    g.vmwrite(F::eptp, EptGuest::ept | 6 | 3 << 3 | ept_pointer.accessed_dirty.mask());
    g.vmwrite(F::pml_address, 0x630000);
    g.vmwrite(F::pml_index, 511);
    EXPECT_EQ(g.write_word(0x400100), hlt);
    EXPECT_TRUE(ept_entry.dirty(g.m.read<u64>(EptGuest::pages)));
    bool logged = false; // the guest's own tables are, too
    for (u64 n = 0; n < 512; ++n)
        logged |= g.m.read<u64>(0x630000 + 8 * n) == 0x400000;
    EXPECT_TRUE(logged);
}

} // namespace
} // namespace vitrine::vtx
