// SPDX-License-Identifier: Apache-2.0
// Tests of PVH: the note, the start information, refusals.
#include "firmware/pvh.h"

#include "firmware/testing.h"

using namespace vitrine;
using namespace vitrine::firmware;
using namespace vitrine::firmware::testing;

namespace {

Elf kernel() {
    Elf elf{.is_64 = true, .machine = 62, .entry = 0xffff'ffff'8100'0000};
    elf.segments = {{0xffff'ffff'8100'0000, 16_MiB, {1, 2, 3}, 0x2000}};
    elf.note = elf_note("GNU", 3, {1, 2, 3, 4, 5});
    const auto xen = elf_note("Xen", 18, Bytes().dword(0x100'0040).take());
    elf.note.insert(elf.note.end(), xen.begin(), xen.end());
    return elf;
}

} // namespace

TEST(Pvh, StartInformation) {
    Machine m;
    m.request.append = "console=ttyS0";
    const std::vector<u8> initrd{0x1f, 0x8b, 8, 0, 1}; // looks compressed: Linux unpacks it itself
    m.request.initrd = file_of(initrd, "--initrd", "initrd");
    const auto state = m.boot(kernel().make());
    ASSERT_TRUE(state.ok()) << state.error().message;
    const BootState& s = state.value();
    EXPECT_EQ(s.protocol, "PVH");
    EXPECT_EQ(s.rip, 0x100'0040u);
    EXPECT_EQ(s.cr0, 0x11u);
    EXPECT_EQ(s.tr.limit, 0x67u);
    EXPECT_EQ(s.tr.access_rights, 0x8bu);
    EXPECT_EQ(m.bytes(16_MiB, 4), (std::vector<u8>{1, 2, 3, 0}));

    const u64 info = s.general[firmware::rbx];
    EXPECT_EQ(m.at<u32>(info), 0x336e'c578u);
    EXPECT_EQ(m.at<u32>(info + 4), 1u);
    EXPECT_EQ(m.at<u32>(info + 12), 1u);
    const u64 list = m.at<u64>(info + 16);
    EXPECT_EQ(m.bytes(m.at<u64>(list), m.at<u64>(list + 8)), initrd);
    EXPECT_EQ(m.text(m.at<u64>(info + 24)), m.request.append);
    EXPECT_EQ(m.text(m.at<u64>(info + 32)).substr(0, 8), "RSD PTR ");
    const u64 map = m.at<u64>(info + 40), entries = m.at<u32>(info + 48);
    ASSERT_GT(entries, 4u);
    EXPECT_EQ(m.at<u64>(map), 0u);
    EXPECT_EQ(m.at<u64>(map + 8), 0x9fc00u);
    EXPECT_EQ(m.at<u32>(map + 16), 1u);
    EXPECT_EQ(m.at<u64>(map + 24), 0x9fc00u);
    EXPECT_EQ(m.at<u32>(map + 24 + 16), 2u);
}

TEST(Pvh, WideNoteAndMissingNote) {
    Machine m;
    Elf elf = kernel();
    elf.note = elf_note("Xen", 18, Bytes().qword(0x100'0080).take());
    EXPECT_EQ(m.boot(elf.make()).value().rip, 0x100'0080u);
    elf.note = elf_note("Xen", 18, Bytes().qword(0x1'0000'0000).take());
    EXPECT_TRUE(says(m.refused(elf.make()), {"above 4 GiB"}));
    elf.note = elf_note("Xen", 17, Bytes().qword(0x100'0080).take());
    EXPECT_TRUE(says(m.refused(elf.make()), {"neither a Multiboot header nor a PVH entry", "vmlinuz"}));
    elf.note = elf_note("Xen", 18, {1, 2});
    EXPECT_TRUE(says(m.refused(elf.make()), {"PVH entry"}));
    elf.note.resize(13); // cut in the middle
    EXPECT_TRUE(says(m.refused(elf.make()), {"PVH entry"}));
    elf.note.clear();
    EXPECT_TRUE(says(m.refused(elf.make()), {"PVH entry"}));
}

TEST(Elf, DamagedFiles) {
    Machine m;
    const auto good = kernel().make();
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_NE(m.refused({good.begin(), good.begin() + static_cast<i64>(size)}), "it booted") << size;
    auto bytes = good;
    bytes[5] = 2;
    EXPECT_TRUE(says(m.refused(bytes), {"big-endian"}));
    bytes = good;
    bytes[4] = 3;
    EXPECT_TRUE(says(m.refused(bytes), {"damaged"}));
    Elf object = kernel();
    object.type = 1;
    EXPECT_TRUE(says(m.refused(object.make()), {"no executable"}));
    Elf shrinking = kernel();
    shrinking.segments[0].size = 2;
    EXPECT_TRUE(says(m.refused(shrinking.make()), {"larger in the file"}));
    Elf empty = kernel();
    empty.segments.clear();
    EXPECT_TRUE(says(m.refused(empty.make()), {"nothing to load"}));
    Elf wrapping = kernel();
    wrapping.segments[0].physical_address = ~0ull - 0x100;
    EXPECT_TRUE(says(m.refused(wrapping.make()), {"address space"}));
}
