// SPDX-License-Identifier: Apache-2.0
// The keys of --iommu, and CAP and ECAP.
#include "vtd/options.h"

#include "words/addresses.h"
#include "words/bits.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace vitrine::vtd {

namespace {

Expected<> parse_width(Options& o, std::string_view value) {
    if (value != "39" && value != "48")
        return Error("aw must be 39 or 48");
    o.address_bits = value == "39" ? 39 : 48;
    return {};
}

/// A number up to `most`, at the front of `text`, which it leaves.
std::optional<u64> take_number(std::string_view& text, int base, u64 most) {
    u64 value = 0;
    if (base == 0) {
        base = text.starts_with("0x") ? 16 : 10;
        text.remove_prefix(base == 16 ? 2 : 0);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || value > most)
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take(std::string_view& text, char c) {
    if (!text.starts_with(c))
        return false;
    text.remove_prefix(1);
    return true;
}

/// "1c.0/0.0@0x1f000000+0x100000"
Expected<> parse_reserved(Options& o, std::string_view value) {
    const auto wrong = [] {
        return Error("rmrr must be DEVICE.FUNCTION[/DEVICE.FUNCTION...]@BASE+SIZE: a device, by the bridges to it from bus 0, and whole pages below 4 GiB");
    };
    constexpr u64 most = 4_GiB;
    constexpr std::size_t deepest = 8;
    ReservedMemory r;
    do {
        const auto device = take_number(value, 16, 31);
        const bool dot = take(value, '.');
        const auto function = take_number(value, 16, 7);
        if (!device || !dot || !function || r.path.size() == deepest)
            return wrong();
        r.path.push_back(static_cast<u8>(*device << 3 | *function));
    } while (take(value, '/'));
    const bool at = take(value, '@');
    const auto base = take_number(value, 0, most);
    const bool plus = take(value, '+');
    const auto size = take_number(value, 0, most);
    if (!at || !base || !plus || !size || !value.empty() || !*size || !is_aligned(*base, page_size) || !is_aligned(*size, page_size) || *base + *size > most)
        return wrong();
    r.base = *base;
    r.size = *size;
    o.reserved_memory.push_back(std::move(r));
    return {};
}

// clang-format off
constexpr OptionKey keys[] = {
    {"intremap",   "on",  "interrupt remapping", &Options::interrupt_remapping},
    {"eim",        "on",  "extended interrupt mode: 32-bit APIC ids, for x2APIC", &Options::extended_interrupt_mode},
    {"pi",         "on",  "posted interrupts", &Options::posted_interrupts},
    {"pt",         "on",  "pass-through translation", &Options::pass_through},
    {"snoop",      "on",  "snoop control", &Options::snoop_control},
    {"cm",         "off", "caching mode: what is not present is cached too, and must be invalidated", &Options::caching_mode},
    {"verify-ioapic", "on", "check the source-id of the I/O APIC's interrupts; QEMU does not", &Options::verify_io_apic},
    {"aw",         "48",  "width of device addresses: 39 or 48", nullptr, parse_width},
    {"rmrr",       "none", "memory that firmware reserves for a device, as `1.0@0x1f000000+0x100000`: the DMAR table has an RMRR for it; may be given again", nullptr, parse_reserved},
};
// clang-format on

} // namespace

std::span<const OptionKey> option_keys() {
    return keys;
}

Expected<Options> parse_options(std::string_view text) {
    const std::string whole(text);
    Options o;
    bool first = true;
    while (first || !text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
        if (std::exchange(first, false)) {
            if (part != "on")
                return Error("--iommu " + whole + ": must be off, or on[,key=value...]");
            continue;
        }
        const std::size_t equals = part.find('=');
        const std::string_view name = part.substr(0, equals);
        const std::string_view value = equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1);
        const OptionKey* key = nullptr;
        std::string names;
        for (const OptionKey& k : keys) {
            if (k.name == name)
                key = &k;
            names += (names.empty() ? "" : ", ") + std::string(k.name);
        }
        if (!key)
            return Error("--iommu " + whole + ": there is no key '" + std::string(name) + "'; there are " + names);
        if (key->flag) {
            if (value != "on" && value != "off")
                return Error("--iommu " + whole + ": " + std::string(name) + " must be on or off");
            o.*key->flag = value == "on";
        } else if (auto parsed = key->parse(o, value); !parsed.ok()) {
            return Error("--iommu " + whole + ": " + parsed.error().message);
        }
    }
    if (!o.interrupt_remapping)
        o.extended_interrupt_mode = o.posted_interrupts = false;
    return o;
}

u64 Options::capability() const {
    const auto& c = vtd::capability;
    constexpr u64 three_levels = 2, four_levels = 4, two_megabytes = 1, one_gigabyte = 2;
    u64 v = 0;
    v = c.domains.with(v, 6); // 64K
    v = c.protected_low.with(v, 1);
    v = c.protected_high.with(v, 1);
    v = c.caching_mode.with(v, caching_mode);
    v = c.address_widths.with(v, address_bits == 39 ? three_levels : three_levels | four_levels);
    v = c.guest_address_width.with(v, address_bits - 1);
    v = c.zero_length_read.with(v, 1);
    v = c.fault_offset.with(v, fault_records_at / 16);
    v = c.large_pages.with(v, two_megabytes | one_gigabyte);
    v = c.page_selective.with(v, 1);
    v = c.fault_records.with(v, vtd::fault_records - 1);
    v = c.address_mask.with(v, most_address_mask);
    v = c.drain_writes.with(v, 1);
    v = c.drain_reads.with(v, 1);
    return c.posted_interrupts.with(v, posted_interrupts);
}

u64 Options::extended_capability() const {
    const auto& c = vtd::extended_capability;
    u64 v = 0;
    v = c.coherent.with(v, 1);
    v = c.queue.with(v, 1);
    v = c.interrupt_remapping.with(v, interrupt_remapping);
    v = c.extended_interrupt_mode.with(v, extended_interrupt_mode);
    v = c.pass_through.with(v, pass_through);
    v = c.snoop_control.with(v, snoop_control);
    v = c.iotlb_offset.with(v, iotlb_registers_at / 16);
    return c.handle_mask.with(v, interrupt_remapping ? 15 : 0);
}

} // namespace vitrine::vtd
