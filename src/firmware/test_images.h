// SPDX-License-Identifier: Apache-2.0
// Hand-made kernel images for unit tests and the fuzzer.
#pragma once

#include "firmware/bytes.h"
#include "firmware/spec/linux_boot.h"

#include <vector>

namespace vitrine::firmware::testing {

struct BzImage {
    u16 protocol = 0x20f;
    u8 setup_sectors = 3;
    u8 loadflags = 1;
    u16 xloadflags = 1;
    u32 kernel_alignment = 0x20'0000;
    u8 relocatable = 1;
    u64 preferred = 16_MiB;
    u32 init_size = 0x10'0000;
    u32 initrd_addr_max = 0x7fff'ffff;
    u32 cmdline_size = 2047;
    u32 code_size = 0x1000;

    /// The code is bytes 01 02 03 ... so that misplacement shows.
    std::vector<u8> make() const {
        namespace l = linux_boot;
        const u64 setup = (setup_sectors + 1) * l::sector;
        Bytes b(setup + code_size);
        b.put(l::setup_sects.offset, setup_sectors);
        b.put(l::syssize.offset, code_size / 16);
        b.put(l::boot_flag.offset, l::boot_flag_value);
        b.put(0x200, u16{0x6aeb}); // the jump whose length ends the header
        b.put(l::header_magic.offset, l::magic);
        b.put(l::version.offset, protocol);
        b.put(l::loadflags.offset, loadflags);
        b.put(l::initrd_addr_max.offset, initrd_addr_max);
        b.put(l::kernel_alignment.offset, kernel_alignment);
        b.put(l::relocatable_kernel.offset, relocatable);
        b.put(l::xloadflags.offset, xloadflags);
        b.put(l::cmdline_size.offset, cmdline_size);
        b.put(l::pref_address.offset, preferred);
        b.put(l::init_size.offset, init_size);
        for (u64 i = 0; i < code_size; ++i)
            b.put(setup + i, static_cast<u8>(i + 1));
        return b.take();
    }
};

/// An ELF file of either class with any number of segments and one note.
struct Elf {
    struct Segment {
        u64 virtual_address, physical_address;
        std::vector<u8> data;
        u64 size;
    };

    bool is_64 = false;
    u16 machine = 3;
    u16 type = 2;
    u64 entry = 0;
    std::vector<Segment> segments{};
    std::vector<u8> note{};

    std::vector<u8> make() const {
        Bytes b;
        const auto word = [&](u64 v) { is_64 ? b.qword(v) : b.dword(v); };
        const u64 header_size = is_64 ? 64 : 52, entry_size = is_64 ? 56 : 32;
        const u64 count = segments.size() + !note.empty();
        b.text("\x7f"
               "ELF")
            .byte(is_64 ? 2 : 1)
            .byte(1)
            .byte(1)
            .zeros(9);
        b.word(type).word(machine).dword(1);
        word(entry);
        word(header_size);
        word(0);
        b.dword(0).word(header_size).word(entry_size).word(count).word(0).word(0).word(0);
        u64 offset = header_size + count * entry_size;
        const auto program_header = [&](u32 kind, u64 vaddr, u64 paddr, u64 in_file, u64 size) {
            b.dword(kind);
            if (is_64)
                b.dword(7);
            word(offset);
            word(vaddr);
            word(paddr);
            word(in_file);
            word(size);
            if (!is_64)
                b.dword(7);
            word(1);
            offset += in_file;
        };
        for (const Segment& s : segments)
            program_header(1, s.virtual_address, s.physical_address, s.data.size(), s.size);
        if (!note.empty())
            program_header(4, 0, 0, note.size(), note.size());
        for (const Segment& s : segments)
            b.append(s.data);
        b.append(note);
        return b.take();
    }
};

/// A Multiboot header with its checksum, without or with address fields.
inline std::vector<u8> multiboot_header(u32 flags, std::vector<u32> addresses = {}) {
    Bytes b;
    b.dword(0x1bad'b002).dword(flags).dword(-(0x1bad'b002 + flags));
    for (const u32 a : addresses)
        b.dword(a);
    return b.take();
}

/// An ELF note segment with one note.
inline std::vector<u8> elf_note(std::string_view owner, u32 type, const std::vector<u8>& contents) {
    Bytes b;
    b.dword(owner.size() + 1).dword(contents.size()).dword(type).text(owner).byte(0).align(4).append(contents).align(4);
    return b.take();
}

} // namespace vitrine::firmware::testing
