// SPDX-License-Identifier: Apache-2.0
// What the NVMe controller says about itself: identify data and log pages.
#include "devices/nvme.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vitrine::nvme {

namespace {

template <class T>
void put(std::span<u8> page, std::size_t at, T value) {
    std::memcpy(page.data() + at, &value, sizeof value);
}

/// ASCII fields are padded with spaces.
void put_text(std::span<u8> page, std::size_t at, std::size_t size, std::string_view text) {
    std::fill_n(page.begin() + static_cast<std::ptrdiff_t>(at), size, u8{' '});
    std::copy_n(text.begin(), std::min(size, text.size()), page.begin() + static_cast<std::ptrdiff_t>(at));
}

constexpr std::string_view model = "Vitrine NVMe disk", firmware = "1";
constexpr std::size_t page_bytes = 4096;

std::string hex(u64 value, unsigned digits) {
    std::string text(digits, '0');
    for (unsigned i = 0; i < digits; ++i)
        text[digits - 1 - i] = "0123456789abcdef"[value >> (4 * i) & 15];
    return text;
}

} // namespace

void Controller::describe_controller(std::span<u8> page) const {
    put<u16>(page, 0, 0x1234); // VID
    put<u16>(page, 2, 0x1234); // SSVID
    put_text(page, 4, 20, options_.serial);
    put_text(page, 24, 40, model);
    put_text(page, 64, 8, firmware);
    page[77] = 5;                          // MDTS: 2^5 pages are 128 KiB
    put<u32>(page, 80, version_1_4);       // VER
    page[111] = 1;                         // CNTRLTYPE: I/O controller
    page[258] = 3;                         // ACL: four aborts at a time
    page[259] = 3;                         // AERL: four outstanding event requests
    page[260] = 3;                         // FRMW: one slot, read only
    page[261] = 6;                         // LPA: effects log, extended data
    page[262] = 15;                        // ELPE: 16 entries
    put<u16>(page, 266, 343);              // WCTEMP
    put<u16>(page, 268, 353);              // CCTEMP
    page[512] = 0x66;                      // SQES
    page[513] = 0x44;                      // CQES
    put<u32>(page, 516, 1);                // NN
    put<u16>(page, 520, 1 | 4 | 8 | 0x10); // ONCS: compare, dataset management, write zeroes, select in get features
    page[525] = 7;                         // VWC: present; flush takes the broadcast namespace
    put<u16>(page, 526, 0xff);             // AWUN: 256 blocks, the largest transfer
    put<u16>(page, 528, 0xff);             // AWUPF
    const std::string nqn = "nqn.2014-08.org.nvmexpress:uuid:76697472-696e-8000-" +
                            hex(0x8000 | (options_.eui64 >> 48 & 0x3fff), 4) + "-" + hex(options_.eui64, 12);
    std::copy(nqn.begin(), nqn.end(), page.begin() + 768); // SUBNQN
    put<u16>(page, 2048, 2500);                            // power state 0: 25 W
}

void Controller::describe_namespace(std::span<u8> page) const {
    put<u64>(page, 0, block_count());  // NSZE
    put<u64>(page, 8, block_count());  // NCAP
    put<u64>(page, 16, block_count()); // NUSE
    page[33] = 1 | 8;                  // DLFEAT: deallocated blocks read as zeros; write zeroes may deallocate
    page[99] = image_.read_only();     // NSATTR: write protected
    for (unsigned i = 0; i < 8; ++i)
        page[120 + i] = static_cast<u8>(options_.eui64 >> (56 - 8 * i)); // EUI64, big endian
    put<u32>(page, 128, 9u << 16);                                       // LBAF0: 512 bytes, no metadata
}

void Controller::describe_identifiers(std::span<u8> page) const {
    page[0] = 1; // EUI64
    page[1] = 8;
    for (unsigned i = 0; i < 8; ++i)
        page[4 + i] = static_cast<u8>(options_.eui64 >> (56 - 8 * i));
}

Controller::Reply Controller::identify_command(const Command& c) {
    const std::span<u8> page(buffer_.data(), page_bytes);
    std::fill(page.begin(), page.end(), u8{0});
    switch (c.dw10 & 0xff) {
    case identify_namespace:
        if (c.nsid != 1)
            return invalid_namespace;
        describe_namespace(page);
        break;
    case identify_controller:
        describe_controller(page);
        break;
    case active_namespaces:
        if (c.nsid >= 0xffff'fffe)
            return invalid_namespace;
        if (c.nsid < 1)
            put<u32>(page, 0, 1);
        break;
    case namespace_descriptors:
        if (c.nsid != 1)
            return invalid_namespace;
        describe_identifiers(page);
        break;
    default:
        return invalid_field;
    }
    return to_host(c, page);
}

std::vector<u8> Controller::error_log() const {
    std::vector<u8> log(16 * 64);
    for (std::size_t i = 0; i < errors_.size(); ++i) {
        const ErrorEntry& e = errors_[i];
        const std::span<u8> entry(log.data() + 64 * i, 64);
        put(entry, 0, e.count);
        put(entry, 8, e.queue);
        put(entry, 10, e.command);
        put(entry, 12, static_cast<u16>(e.status << 1));
        put(entry, 14, e.location);
        put(entry, 16, e.lba);
        put(entry, 24, e.nsid);
    }
    return log;
}

std::vector<u8> Controller::smart_log() const {
    constexpr u64 unit = 1000; // of 512 bytes
    const u64 hours = clock_.now() / nanoseconds_per_second / 3600;
    std::vector<u8> log(512);
    log[0] = temperature_critical() ? 2 : 0;
    put<u16>(log, 1, 303); // composite temperature
    log[3] = 100;          // available spare
    log[4] = 10;           // its threshold
    put(log, 32, (blocks_read_ + unit - 1) / unit);
    put(log, 48, (blocks_written_ + unit - 1) / unit);
    put(log, 64, reads_);
    put(log, 80, writes_);
    put<u64>(log, 112, 1); // power cycles
    put(log, 128, hours);
    put(log, 144, unsafe_shutdowns_);
    put(log, 160, media_errors_);
    put(log, 176, error_count_);
    return log;
}

std::vector<u8> Controller::firmware_log() const {
    std::vector<u8> log(512);
    log[0] = 1; // slot 1 is active
    put_text(log, 8, 8, firmware);
    return log;
}

std::vector<u8> Controller::effects_log() const {
    std::vector<u8> log(4096);
    for (const CommandRow& row : admin_commands())
        put(log, 4u * row.opcode, row.effects);
    for (const CommandRow& row : nvm_commands())
        put(log, 1024 + 4u * row.opcode, row.effects);
    return log;
}

Controller::Reply Controller::log_page(const Command& c) {
    const u64 length = ((static_cast<u64>(c.dw11 & 0xffff) << 16 | c.dw10 >> 16) + 1) * 4;
    const u64 from = c.dw12 | static_cast<u64>(c.dw13) << 32;
    if (c.nsid != 0 && c.nsid != broadcast_namespace && c.nsid != 1)
        return invalid_namespace;
    std::vector<u8> log;
    switch (c.dw10 & 0xff) {
    case error_information:
        log = error_log();
        break;
    case smart:
        log = smart_log();
        break;
    case firmware_slot:
        log = firmware_log();
        break;
    case commands_supported:
        log = effects_log();
        break;
    default:
        return invalid_log_page;
    }
    if (length > largest_transfer || from % 4 || from > log.size())
        return invalid_field;
    const std::span<u8> data(buffer_.data(), length);
    std::fill(data.begin(), data.end(), u8{0});
    std::copy_n(log.begin() + static_cast<std::ptrdiff_t>(from), std::min(length, log.size() - from), data.begin());
    const Status status = to_host(c, data);
    // Reading the page lets further events of its type through, unless they are to be kept.
    if (status == success && !(c.dw10 >> 15 & 1)) {
        if ((c.dw10 & 0xff) == error_information)
            masked_events_ &= static_cast<u8>(~(1 << static_cast<u8>(EventType::error)));
        if ((c.dw10 & 0xff) == smart)
            masked_events_ &= static_cast<u8>(~(1 << static_cast<u8>(EventType::smart)));
    }
    return status;
}

} // namespace vitrine::nvme
