// SPDX-License-Identifier: Apache-2.0
// Reads the Multiboot information structure; the strings are copied, for they lie where a guest's memory may come to lie.
#include "pane/boot/multiboot.h"

#include "pane/kernel/panic.h"

#include "firmware/spec/multiboot.h"

#include <cstring>

namespace vitrine::pane {

namespace {

namespace mb = firmware::multiboot;

char strings[4096];
unsigned strings_used;

std::string_view keep(std::string_view text) {
    if (strings_used + text.size() > sizeof strings)
        panic("the boot modules' names are longer than {} characters together", sizeof strings);
    char* at = strings + strings_used;
    memcpy(at, text.data(), text.size());
    strings_used += text.size();
    return {at, text.size()};
}

template <class T> T peek(u64 address) {
    T value;
    memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

std::string_view name_of(std::string_view command_line) {
    std::string_view first = command_line.substr(0, command_line.find(' '));
    if (const auto slash = first.rfind('/'); slash != first.npos)
        first.remove_prefix(slash + 1);
    return first;
}

} // namespace

const BootModule* BootInformation::module(std::string_view name) const {
    for (unsigned n = 0; n < module_count; ++n)
        if (modules[n].name == name)
            return &modules[n];
    return nullptr;
}

void read_boot_information(u32 magic, u32 information, BootInformation& boot) {
    if (magic != mb::loader_magic)
        panic("Pane wants to be loaded by Multiboot 1; EAX was {x} and not {x}", magic, mb::loader_magic);
    const u32 flags = peek<u32>(information + mb::info::flags);
    if (!(flags & mb::info::has_mmap))
        panic("the boot loader gave no memory map");
    if (flags & mb::info::has_mods) {
        const u32 count = peek<u32>(information + mb::info::mods_count);
        if (count > BootInformation::most_modules)
            panic("{} boot modules; {} are the most", count, BootInformation::most_modules);
        u64 at = peek<u32>(information + mb::info::mods_addr);
        for (u32 n = 0; n < count; ++n, at += mb::module_size) {
            const u64 start = peek<u32>(at), end = peek<u32>(at + 4);
            const auto* command_line = reinterpret_cast<const char*>(u64{peek<u32>(at + 8)});
            boot.modules[n] = {keep(name_of(command_line ? command_line : "")), {start, end - start}};
        }
        boot.module_count = count;
    }
    u64 at = peek<u32>(information + mb::info::mmap_addr);
    const u64 end = at + peek<u32>(information + mb::info::mmap_length);
    while (at < end) {
        constexpr u32 available = 1;
        if (peek<u32>(at + 20) == available && boot.ram_count < BootInformation::most_ranges)
            boot.ram[boot.ram_count++] = {peek<u64>(at + 4), peek<u64>(at + 12)};
        at += peek<u32>(at) + 4;
    }
}

} // namespace vitrine::pane
