// SPDX-License-Identifier: Apache-2.0
// Companions of a kernel, and what to say of a file that is none.
#include "firmware/loaders.h"

#include "firmware/elf.h"
#include "firmware/gzip.h"
#include "firmware/spec/file_kinds.h"

#include <algorithm>
#include <fmt/format.h>

namespace vitrine::firmware {

namespace {

Error does_not_fit(const File& file, u64 size, const Arena& arena, const Space& space) {
    return file.wrong(
        fmt::format("its {} KiB do not fit into memory beside the kernel: {} KiB are free in one piece below "
                    "4 GiB, of {} MiB in all; give more with --memory",
                    (size + 1023) >> 10, arena.largest_free() >> 10, space.ram_size() >> 20));
}

/// A Multiboot 2 header that matches its checksum, in the first 32 KiB.
bool has_multiboot2_header(const Reader& r) {
    constexpr u32 magic = 0xe852'50d6;
    for (u64 at = 0; at + 16 <= 32_KiB && r.has(at, 16); at += 8)
        if (r.peek<u32>(at) == magic &&
            static_cast<u32>(magic + r.peek<u32>(at + 4) + r.peek<u32>(at + 8) + r.peek<u32>(at + 12)) == 0)
            return true;
    return false;
}

std::string pe_machine(const Reader& r) {
    const u64 header = r.peek<u32>(0x3c);
    if (!r.matches(header, std::string_view("PE\0\0", 4)))
        return "an MS-DOS program";
    const u16 machine = r.peek<u16>(header + 4);
    for (const MachineName& m : pe_machines)
        if (m.number == machine)
            return fmt::format("a PE/COFF (EFI) program for {}", m.name);
    return fmt::format("a PE/COFF (EFI) program for machine {:#x}", machine);
}

} // namespace

Expected<std::vector<PlacedModule>> place_modules(const BootRequest& request, u64 from, bool decompress, Arena& arena) {
    std::vector<Module> all;
    if (request.initrd)
        all.push_back({*request.initrd, request.initrd->name});
    all.insert(all.end(), request.modules.begin(), request.modules.end());
    std::vector<PlacedModule> placed;
    for (const Module& m : all) {
        std::vector<u8> unpacked;
        File file = m.file;
        if (decompress && is_gzip(file.data)) {
            unpacked = TRY(gunzip(file, std::max(arena.space().ram_size(), 64_MiB)));
            file.data = unpacked;
        }
        const u64 size = std::max<u64>(file.data.size(), 1);
        auto at = arena.lowest(size, page_size, from, Arena::four_gib);
        if (!at)
            at = arena.lowest(size, page_size, low_memory::end, Arena::four_gib);
        if (!at)
            return does_not_fit(file, size, arena, arena.space());
        arena.write(*at, file.data);
        placed.push_back({*at, file.data.size(), m.command_line});
    }
    return placed;
}

Expected<u64> place_high(const File& file, u64 align, u64 from, u64 below, Arena& arena) {
    const auto at = arena.highest(file.data.size(), align, from, std::min(below, Arena::four_gib));
    if (!at)
        return does_not_fit(file, file.data.size(), arena, arena.space());
    arena.write(*at, file.data);
    return *at;
}

Error not_a_kernel(const File& file) {
    static constexpr std::string_view wanted =
        "give a Linux bzImage, a Multiboot kernel, or an ELF kernel with a PVH entry";
    const Reader r(file.data);
    if (file.data.empty())
        return file.wrong(fmt::format("is empty; {}", wanted));
    if (has_multiboot2_header(r))
        return file.wrong(fmt::format("is a kernel for Multiboot 2, which needs a boot loader; {}", wanted));
    if (is_elf(r))
        return file.wrong(
            "is an ELF file for x86 that has neither a Multiboot header nor a PVH entry (Xen note 18); of Linux, give "
            "the bzImage (vmlinuz), or a vmlinux built with CONFIG_PVH");
    for (const FileKind& k : file_kinds)
        if (r.matches(k.offset, {k.magic, k.length}))
            return file.wrong(fmt::format("is {}", k.what));
    if (r.matches(0, "MZ"))
        return file.wrong(fmt::format("is {}; {}", pe_machine(r), wanted));
    return file.wrong(fmt::format("is no kernel of a kind that is known here; {}", wanted));
}

} // namespace vitrine::firmware
