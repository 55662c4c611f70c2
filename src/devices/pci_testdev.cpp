// SPDX-License-Identifier: Apache-2.0
// The PCI test device: its table of tests, and the header through which software sees the present one.
#include "devices/pci_testdev.h"

#include "base/error.h"

#include <array>
#include <bit>
#include <string_view>

namespace vitrine {

namespace {

constexpr unsigned tests_per_bar = 3;
constexpr u8 wanted = 0xfa, any = 0xce;

struct Test {
    std::string_view name;
    u32 offset; ///< of the byte whose writes are counted
    u8 data;
    bool match; ///< only writes of `data` count
};

// clang-format off
constexpr std::array<Test, 2 * tests_per_bar> tests{{
    {"mmio-no-eventfd",          2048, wanted, true},
    {"mmio-wildcard-eventfd",    2049, any,    false},
    {"mmio-datamatch-eventfd",   2050, wanted, true},
    {"portio-no-eventfd",         131, wanted, true},
    {"portio-wildcard-eventfd",   132, any,    false},
    {"portio-datamatch-eventfd",  133, wanted, true},
}};
// clang-format on

/// The header in front of each BAR: test number, access width, offset, data, count, name.
constexpr u64 width_at = 1, offset_at = 4, data_at = 8, count_at = 12, name_at = 16;

u8 byte_of(u32 value, u64 n) {
    return static_cast<u8>(value >> (8 * n));
}

} // namespace

PciTestdev::PciTestdev(const pci::Platform& platform, const Options& options)
    : Function(platform, "pci-testdev", {.vendor = 0x1b36, .device = 0x0005, .class_code = 0x00ff00}) {
    add_bar(0, {.kind = pci::BarKind::memory_32, .size = 4096, .name = "memory"});
    add_bar(1, {.kind = pci::BarKind::io, .size = 256, .name = "ports"});
    if (options.membar) {
        VERIFY(options.membar >= 4096 && std::has_single_bit(options.membar));
        add_bar(
            2,
            {.kind = pci::BarKind::memory_64_prefetchable, .size = options.membar, .name = "nothing", .max_size = 8});
    }
}

void PciTestdev::bar_access(unsigned bar, Access& a) {
    if (bar > 1) { // nothing behind it
        if (!a.write)
            a.value = 0;
        return;
    }
    // The device is one byte wide.
    if (!a.write)
        a.value = 0;
    for (unsigned i = 0; i < a.size; ++i) {
        if (a.write)
            write(bar, a.offset + i, static_cast<u8>(a.value >> (8 * i)));
        else
            a.value |= static_cast<u64>(read(a.offset + i)) << (8 * i);
    }
}

u8 PciTestdev::read(u64 offset) const {
    if (current_ == none)
        return 0;
    const Test& test = tests[current_];
    if (offset == 0)
        return current_;
    if (offset == width_at)
        return 1;
    if (offset >= offset_at && offset < data_at)
        return byte_of(test.offset, offset - offset_at);
    if (offset == data_at)
        return test.data;
    if (offset >= count_at && offset < name_at)
        return byte_of(count_, offset - count_at);
    if (offset >= name_at && offset - name_at < test.name.size())
        return static_cast<u8>(test.name[offset - name_at]);
    return 0;
}

void PciTestdev::write(unsigned bar, u64 offset, u8 value) {
    if (offset == 0) {
        current_ = value < tests_per_bar ? static_cast<u8>(bar * tests_per_bar + value) : none;
        count_ = 0;
        return;
    }
    if (current_ == none)
        return;
    const Test& test = tests[current_];
    if (bar == current_ / tests_per_bar && offset == test.offset && (!test.match || value == test.data))
        ++count_;
}

void PciTestdev::device_reset(Reset) {
    current_ = none;
    count_ = 0;
}

void PciTestdev::device_state(Visitor& v) {
    v.field("current", current_);
    v.field("count", count_);
    if (v.loading() && current_ >= tests.size() && current_ != none) {
        v.refuse("the PCI test device has no such test");
        current_ = none;
    }
}

} // namespace vitrine
