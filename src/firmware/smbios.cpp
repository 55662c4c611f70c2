// SPDX-License-Identifier: Apache-2.0
// Writes SMBIOS structures: a formatted area, then its strings.
#include "firmware/smbios.h"

#include <algorithm>
#include <string>
#include <vector>

namespace vitrine::firmware {

namespace {

constexpr std::string_view maker = "Vitrine";

/// One structure. Strings are numbered as they are added.
class Structure {
public:
    Structure(u8 type, u16 handle) { body_.byte(type).byte(0).word(handle); }

    Structure& byte(u64 v) { return body_.byte(v), *this; }

    Structure& word(u64 v) { return body_.word(v), *this; }

    Structure& dword(u64 v) { return body_.dword(v), *this; }

    Structure& qword(u64 v) { return body_.qword(v), *this; }

    Structure& bytes(std::span<const u8> v) { return body_.append(v), *this; }

    Structure& text(std::string_view s) {
        strings_.emplace_back(s);
        return byte(strings_.size());
    }

    /// The length is what the manual says for this type and version.
    Bytes done(u8 length) {
        VERIFY(body_.size() == length);
        body_.put(1, length);
        for (const std::string& s : strings_)
            body_.text(s).byte(0);
        body_.byte(0);
        if (strings_.empty())
            body_.byte(0);
        return body_;
    }

private:
    Bytes body_;
    std::vector<std::string> strings_;
};

enum Handle : u16 {
    bios_handle = 0x0000,
    system_handle = 0x0100,
    chassis_handle = 0x0300,
    processor_handle = 0x0400,
    array_handle = 0x1000,
    device_handle = 0x1100,
    low_range_handle = 0x1300,
    high_range_handle = 0x1301,
    boot_handle = 0x2000,
    end_handle = 0x7f00,
    no_handle = 0xffff,
    no_error_handle = 0xfffe,
};

Bytes bios() {
    constexpr u64 characteristics_not_supported = bit(3);
    Structure s(0, bios_handle);
    s.text(maker).text("0.1").word(0xf000).text("01/01/2026").byte(0).qword(characteristics_not_supported);
    s.byte(1).byte(0); // ACPI
    return s.byte(0).byte(1).byte(0xff).byte(0xff).done(24);
}

Bytes system(const Board& board) {
    constexpr u8 power_switch = 6;
    Structure s(1, system_handle);
    s.text(maker).text("Vitrine PC").text("1").text("0").bytes(board.uuid).byte(power_switch);
    return s.text("0").text(maker).done(27);
}

Bytes chassis() {
    constexpr u8 other = 1, safe = 3, none = 3;
    Structure s(3, chassis_handle);
    s.text(maker).byte(other).text("1").text("0").text("0").byte(safe).byte(safe).byte(safe).byte(none);
    return s.dword(0).byte(0).byte(0).byte(0).byte(0).text("0").done(22);
}

Bytes processor(const Board& board) {
    constexpr u8 central = 3, xeon = 0xb3, enabled = 0x41, no_upgrade = 6;
    constexpr u16 capable_64_bit = bit(2), multi_core = bit(3);
    const std::size_t n = board.apic_ids.size();
    const u8 short_count = static_cast<u8>(std::min<std::size_t>(n, 255));
    Structure s(4, processor_handle);
    s.text("CPU0").byte(central).byte(xeon).text("Intel");
    s.dword(board.processor.leaf1_eax).dword(board.processor.leaf1_edx).text(board.processor.brand);
    s.byte(0).word(0).word(board.processor.megahertz).word(board.processor.megahertz).byte(enabled).byte(no_upgrade);
    s.word(no_handle).word(no_handle).word(no_handle).text("0").text("0").text("0");
    s.byte(short_count).byte(short_count).byte(short_count).word(capable_64_bit | (n > 1 ? multi_core : 0)).word(xeon);
    return s.word(n).word(n).word(n).done(48);
}

Bytes memory_array(u64 ram) {
    constexpr u8 system_board = 3, system_memory = 3, multi_bit_ecc = 6;
    constexpr u64 kib_too_many = 0x8000'0000;
    const bool large = ram >> 10 >= kib_too_many;
    Structure s(16, array_handle);
    s.byte(system_board).byte(system_memory).byte(multi_bit_ecc).dword(large ? kib_too_many : ram >> 10);
    return s.word(no_error_handle).word(1).qword(large ? ram : 0).done(23);
}

Bytes memory_device(u64 ram) {
    constexpr u8 dimm = 9, ddr4 = 0x1a;
    constexpr u16 synchronous = bit(7), use_extended_size = 0x7fff;
    const u64 mib = ram >> 20;
    const bool extended = mib >= use_extended_size;
    Structure s(17, device_handle);
    s.word(array_handle).word(no_error_handle).word(72).word(64).word(extended ? use_extended_size : mib);
    s.byte(dimm).byte(0).text("DIMM 0").text("BANK 0").byte(ddr4).word(synchronous).word(0);
    s.text(maker).text("0").text("0").text("0").byte(0).dword(extended ? mib : 0);
    return s.word(0).word(0).word(0).word(0).done(40);
}

Bytes mapped_range(u16 handle, u64 base, u64 size) {
    constexpr u32 use_extended = 0xffff'ffff;
    const u64 last = base + size - 1;
    const bool extended = last >> 10 >= use_extended;
    Structure s(19, handle);
    s.dword(extended ? use_extended : base >> 10)
        .dword(extended ? use_extended : last >> 10)
        .word(array_handle)
        .byte(1);
    return s.qword(extended ? base : 0).qword(extended ? last : 0).done(31);
}

} // namespace

Smbios smbios(const Board& board, RamSize ram) {
    const u64 total = ram.below_4g + ram.above_4g;
    Smbios out;
    out.tables.append(bios().span())
        .append(system(board).span())
        .append(chassis().span())
        .append(processor(board).span());
    out.tables.append(memory_array(total).span()).append(memory_device(total).span());
    out.tables.append(mapped_range(low_range_handle, 0, ram.below_4g).span());
    if (ram.above_4g)
        out.tables.append(mapped_range(high_range_handle, 1ull << 32, ram.above_4g).span());
    out.tables.append(Structure(32, boot_handle).dword(0).word(0).byte(0).done(11).span());
    out.tables.append(Structure(127, end_handle).done(4).span());
    out.anchor.text("_SM3_").byte(0).byte(24).byte(3).byte(0).byte(0).byte(1).byte(0).dword(out.tables.size()).qword(0);
    return out;
}

void Smbios::link(u64 tables_address) {
    anchor.put(16, tables_address);
    anchor.put(5, u8{0});
    u8 sum = 0;
    for (const u8 b : anchor.span())
        sum = static_cast<u8>(sum + b);
    anchor.put(5, static_cast<u8>(-sum));
}

} // namespace vitrine::firmware
