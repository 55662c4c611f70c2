// SPDX-License-Identifier: Apache-2.0
// Loads an ELF kernel for PVH and writes its struct hvm_start_info.
#include "firmware/pvh.h"

#include "firmware/bytes.h"
#include "firmware/modes.h"
#include "firmware/spec/pvh.h"

#include <algorithm>
#include <fmt/format.h>

namespace vitrine::firmware {

std::optional<u64> pvh_entry(const ElfImage& image) {
    const auto contents = image.note("Xen", pvh::note_phys32_entry);
    if (!contents || contents->size() < 4)
        return {};
    const Reader r(*contents);
    return contents->size() >= 8 ? r.peek<u64>(0) : r.peek<u32>(0);
}

Expected<BootState> load_pvh(const BootRequest& request, const ElfImage& image, const Platform& platform,
                             Arena& arena) {
    const File& file = request.kernel;
    const u64 entry = pvh_entry(image).value_or(~0ull);
    if (entry >= Arena::four_gib)
        return file.wrong(fmt::format("the PVH entry {:#x} lies above 4 GiB", entry));
    TRY(load_segments(file, image, arena));
    u64 end = low_memory::end;
    for (const ElfSegment& s : image.segments)
        end = std::max(end, s.physical_address + s.size);
    const auto modules = TRY(place_modules(request, end, false, arena));

    const auto string = [&](std::string_view s) -> Expected<u64> {
        const u64 at = TRY(low_room(arena, s.size() + 1, 16));
        arena.write_string(at, s);
        return at;
    };
    Bytes list;
    for (const PlacedModule& m : modules)
        list.qword(m.start).qword(m.size).qword(TRY(string(m.command_line))).qword(0);
    Bytes map;
    for (const MapEntry& e : platform.map.entries())
        map.qword(e.base).qword(e.size).dword(static_cast<u32>(e.type)).dword(0);

    const u64 base = TRY(low_room(arena, pvh::start_info_size + list.size() + map.size(), 16));
    const u64 list_at = base + pvh::start_info_size, map_at = list_at + list.size();
    Bytes b;
    b.dword(pvh::start_magic).dword(pvh::start_version).dword(0).dword(modules.size());
    b.qword(modules.empty() ? 0 : list_at).qword(TRY(string(request.append))).qword(platform.rsdp);
    b.qword(map_at).dword(platform.map.entries().size()).dword(0);
    VERIFY(b.size() == pvh::start_info_size);
    arena.write(base, b.append(list.span()).append(map.span()).span());

    BootState state = TRY(protected_mode(arena, static_cast<u32>(entry)));
    state.protocol = "PVH";
    state.general[rbx] = base;
    return state;
}

} // namespace vitrine::firmware
