// SPDX-License-Identifier: Apache-2.0
// The keys of --iommu, and CAP and ECAP.
#include "vtd/options.h"

#include <string>
#include <utility>

namespace vitrine::vtd {

namespace {

// clang-format off
constexpr OptionKey keys[] = {
    {"intremap",   "on",  "interrupt remapping", &Options::interrupt_remapping},
    {"eim",        "on",  "extended interrupt mode: 32-bit APIC ids, for x2APIC", &Options::extended_interrupt_mode},
    {"pi",         "on",  "posted interrupts", &Options::posted_interrupts},
    {"pt",         "on",  "pass-through translation", &Options::pass_through},
    {"snoop",      "on",  "snoop control", &Options::snoop_control},
    {"cm",         "off", "caching mode: what is not present is cached too, and must be invalidated", &Options::caching_mode},
    {"verify-ioapic", "on", "check the source-id of the I/O APIC's interrupts; QEMU does not", &Options::verify_io_apic},
    {"aw",         "48",  "width of device addresses: 39 or 48", nullptr},
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
        } else {
            if (value != "39" && value != "48")
                return Error("--iommu " + whole + ": aw must be 39 or 48");
            o.address_bits = value == "39" ? 39 : 48;
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
