// SPDX-License-Identifier: Apache-2.0
// The device side of fw_cfg: selection, the data port, DMA.
#include "firmware/fw_cfg.h"

#include "firmware/bytes.h"

#include <algorithm>
#include <array>

namespace vitrine::firmware {

namespace {

enum RegionIndex : u32 { selector_region, dma_region };

constexpr u64 largest_item = 4_GiB; ///< accepted from a snapshot

u64 big_endian(std::span<const u8> b) {
    u64 v = 0;
    for (const u8 x : b)
        v = v << 8 | x;
    return v;
}

} // namespace

FwCfg::FwCfg(DmaPort& dma, Requester requester, Glass& glass) : port_(dma), requester_(requester), glass_(glass) {
    selector_ = {.device = this, .name = "fw_cfg", .size = 2, .index = selector_region, .min_size = 1, .max_size = 2};
    dma_region_ = {.device = this, .name = "fw_cfg DMA", .size = 8, .index = dma_region, .min_size = 1, .max_size = 8};
    set(fw_cfg::signature, {'Q', 'E', 'M', 'U'});
    set(fw_cfg::id, fw_cfg::id_traditional | fw_cfg::id_dma, 4);
    rebuild_directory();
}

void FwCfg::set(u16 key, std::vector<u8> bytes) {
    items_[key] = std::move(bytes);
}

void FwCfg::set(u16 key, u64 value, unsigned bytes) {
    std::vector<u8> b;
    for (unsigned i = 0; i < bytes; ++i)
        b.push_back(static_cast<u8>(value >> (8 * i)));
    set(key, std::move(b));
}

void FwCfg::set_file(std::string_view name, std::vector<u8> bytes) {
    VERIFY(name.size() < fw_cfg::file_name_size);
    const auto file = files_.try_emplace(std::string(name), static_cast<u16>(fw_cfg::first_file + files_.size())).first;
    items_[file->second] = std::move(bytes);
    rebuild_directory();
}

void FwCfg::rebuild_directory() {
    Bytes directory;
    const auto big = [&](u64 v, unsigned n) {
        while (n-- > 0)
            directory.byte(static_cast<u8>(v >> (8 * n)));
    };
    big(files_.size(), 4);
    for (const auto& [name, key] : files_) {
        big(items_[key].size(), 4);
        big(key, 2);
        big(0, 2);
        directory.text(name, fw_cfg::file_name_size, 0);
    }
    items_[fw_cfg::file_directory] = directory.take();
}

void FwCfg::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    key_ = 0;
    offset_ = 0;
    dma_address_ = 0;
}

const std::vector<u8>& FwCfg::item() const {
    static const std::vector<u8> none;
    const auto i = items_.find(key_);
    return i == items_.end() ? none : i->second;
}

void FwCfg::select(u16 key) {
    key_ = key;
    offset_ = 0;
    glass_.tell(Topic::firmware, "fw_cfg.select", {{"key", key}, {"size", item().size()}});
}

u8 FwCfg::next_byte() {
    const auto& bytes = item();
    return offset_ < bytes.size() ? bytes[offset_++] : u8{0};
}

void FwCfg::access(Region& region, Access& a) {
    if (region.index == dma_region)
        return dma_access(a);
    if (!a.write) {
        // The data register is the byte at +1; a 16-bit read at +0 has nothing else to offer.
        a.value = next_byte();
        return;
    }
    if (a.size == 2)
        select(static_cast<u16>(a.value));
    else
        glass_.odd(Topic::firmware, "fw_cfg.data-write-ignored", {{"key", key_}, {"value", a.value}});
}

/// A 64-bit big-endian register: offset 0 holds the most significant byte. Writing its lower half starts the transfer.
void FwCfg::dma_access(Access& a) {
    const unsigned low_bit = static_cast<unsigned>(8 * (8 - a.offset - a.size));
    const auto swapped = [&](u64 v) { return __builtin_bswap64(v) >> (64 - 8 * a.size); };
    if (!a.write) {
        a.value = swapped(fw_cfg::dma_signature >> low_bit);
        return;
    }
    const u64 mask = low_mask(8 * a.size) << low_bit;
    dma_address_ = (dma_address_ & ~mask) | (swapped(a.value) << low_bit & mask);
    if (a.offset + a.size == 8 && a.size >= 4)
        run_dma(std::exchange(dma_address_, 0));
}

void FwCfg::run_dma(u64 descriptor) {
    std::array<u8, fw_cfg::dma_descriptor_size> d{};
    bool good = port_.read(requester_, DeviceAddress{descriptor}, d);
    if (good) {
        const std::span<const u8> s(d);
        const u32 control = static_cast<u32>(big_endian(s.first(4)));
        good = transfer(control, static_cast<u32>(big_endian(s.subspan(4, 4))), big_endian(s.subspan(8, 8)));
    }
    const std::array<u8, 4> result{0, 0, 0, static_cast<u8>(good ? 0 : fw_cfg::dma_error)};
    if (!good)
        glass_.odd(Topic::firmware, "fw_cfg.dma-error", {{"descriptor", descriptor}});
    if (!port_.write(requester_, DeviceAddress{descriptor}, result))
        glass_.odd(Topic::firmware, "fw_cfg.dma-descriptor-not-writable", {{"descriptor", descriptor}});
}

bool FwCfg::transfer(u32 control, u32 length, u64 address) {
    if (control & fw_cfg::dma_select)
        select(static_cast<u16>(control >> 16));
    if (control & fw_cfg::dma_read) {
        // Past the item's end come zeros, as from the data port.
        const auto& bytes = item();
        std::array<u8, page_size> chunk;
        while (length > 0) {
            const u64 n = std::min<u64>(length, chunk.size());
            const u64 there = std::min<u64>(n, bytes.size() - std::min<u64>(offset_, bytes.size()));
            const auto from = bytes.begin() + static_cast<i64>(offset_);
            std::fill(std::copy(from, from + static_cast<i64>(there), chunk.begin()), chunk.begin() + n, u8{0});
            if (!port_.write(requester_, DeviceAddress{address}, std::span(chunk).first(n)))
                return false;
            offset_ += there;
            address += n;
            length -= static_cast<u32>(n);
        }
        return true;
    }
    if (control & fw_cfg::dma_write)
        return false; // no item is writable
    if (control & fw_cfg::dma_skip)
        offset_ = std::min<u64>(offset_ + length, item().size());
    return true;
}

void FwCfg::state(Visitor& v) {
    v.field("key", key_);
    v.field("offset", offset_);
    v.field("dma address", dma_address_);
    const u64 n = v.count("items", items_.size(), 0x10000);
    std::map<u16, std::vector<u8>> loaded;
    auto item = items_.begin();
    v.begin("items");
    for (u64 i = 0; i < n; ++i) {
        u16 key = v.loading() ? u16{0} : item->first;
        v.field("key", key);
        if (v.loading()) {
            v.blob("bytes", loaded[key], largest_item);
        } else {
            v.blob("bytes", item->second, largest_item);
            ++item;
        }
    }
    v.end();
    if (!v.loading())
        return;
    items_ = std::move(loaded);
    if (offset_ > this->item().size())
        v.refuse("fw_cfg: the read position lies past the item's end");
}

} // namespace vitrine::firmware
