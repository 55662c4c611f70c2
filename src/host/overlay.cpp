// SPDX-License-Identifier: Apache-2.0
// Overlay files: making them, checking them on opening, keeping bitmap and data in order.
#include "host/overlay.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>

#include <unistd.h>

#include <fmt/format.h>
#include <xxhash.h>

namespace vitrine::host {

namespace {

constexpr u64 page = 4096, bits_per_page = page * 8;
constexpr std::array<char, 8> magic{'v', 'i', 't', 'r', 'o', 'v', 'l', '\n'};
constexpr u32 version = 1;

struct Header {
    std::array<char, 8> magic;
    u32 version;
    u32 cluster_size;
    u64 size;
    ContentHash image;
    u64 image_changed;
    u64 checksum; ///< of all before
};

static_assert(sizeof(Header) == 56 && std::endian::native == std::endian::little);

u64 checksum_of(const Header& h) {
    return XXH3_64bits(&h, offsetof(Header, checksum));
}

u64 bitmap_pages(u64 size) {
    return (size + Overlay::cluster_size * bits_per_page - 1) / (Overlay::cluster_size * bits_per_page);
}

std::span<u8> bytes_of(Header& h) {
    return {reinterpret_cast<u8*>(&h), sizeof h};
}

} // namespace

Overlay::Overlay(File file, u64 size, bool kept)
    : file_(std::move(file)), size_(size), kept_(kept), data_offset_(kept ? page + bitmap_pages(size) * page : 0),
      bitmap_(bitmap_pages(size) * page / 8), dirty_(bitmap_pages(size)) {}

Overlay::~Overlay() {
    if (kept_)
        static_cast<void>(flush());
}

Expected<std::unique_ptr<Overlay>> Overlay::in_memory(const std::string& name, u64 size) {
    File file = TRY(File::in_memory(name));
    std::unique_ptr<Overlay> overlay(new Overlay(std::move(file), size, false));
    TRY(overlay->file_.resize(overlay->clusters() * cluster_size));
    return overlay;
}

Expected<> Overlay::create(const std::string& name, const File& image, u64 size) {
    // Made under another name, so that a half-made one is never taken for an overlay.
    const std::string temporary = name + ".new";
    static_cast<void>(unlink(temporary.c_str()));
    const auto make = [&]() -> Expected<> {
        const File file = TRY(File::create(temporary));
        Header h{.magic = magic,
                 .version = version,
                 .cluster_size = cluster_size,
                 .size = size,
                 .image = {},
                 .image_changed = 0,
                 .checksum = 0};
        h.image_changed = TRY(image.changed());
        h.image = TRY(image.hash(size));
        h.checksum = checksum_of(h);
        TRY(file.write(0, bytes_of(h)));
        TRY(file.resize(page + bitmap_pages(size) * page + (size + cluster_size - 1) / cluster_size * cluster_size));
        return file.sync();
    };
    Expected<> made = make();
    if (made.ok() && std::rename(temporary.c_str(), name.c_str()) != 0)
        made = Error(fmt::format("cannot rename '{}' to '{}': {}", temporary, name, std::strerror(errno)));
    if (!made.ok())
        static_cast<void>(unlink(temporary.c_str()));
    return made;
}

Expected<std::unique_ptr<Overlay>> Overlay::open(const std::string& name, const File& image, u64 size) {
    if (access(name.c_str(), F_OK) != 0 && errno == ENOENT)
        TRY(create(name, image, size));
    File file = TRY(File::open(name, File::Access::read_write));
    if (file.same_as(image))
        return Error(fmt::format("the overlay '{}' is the disk image itself; name another file", name));
    TRY(file.lock(true));
    std::unique_ptr<Overlay> overlay(new Overlay(std::move(file), size, false));
    overlay->data_offset_ = page + bitmap_pages(size) * page;
    TRY(overlay->check(image));
    overlay->kept_ = true; // from here on its bitmap is written back
    return overlay;
}

Expected<> Overlay::check(const File& image) {
    const auto bad = [&](std::string_view why) {
        return Error(fmt::format("'{}' is no usable overlay: {}", name(), why));
    };
    Header h{};
    const u64 length = TRY(file_.size());
    if (length < page)
        return bad("it is too short");
    TRY(file_.read(0, bytes_of(h)));
    if (h.magic != magic)
        return bad("it does not begin as one");
    if (h.version != version)
        return bad(fmt::format("it has version {}, this program knows {}", h.version, version));
    if (h.checksum != checksum_of(h) || h.cluster_size != cluster_size)
        return bad("its header is damaged");
    if (h.size != size_)
        return bad(fmt::format("it was made for an image of {} bytes, '{}' has {}", h.size, image.name(), size_));
    if (length != data_offset_ + clusters() * cluster_size)
        return bad(fmt::format("it has {} bytes instead of {}", length, data_offset_ + clusters() * cluster_size));
    const u64 changed = TRY(image.changed());
    if (changed != h.image_changed) {
        // Touched since: the contents decide.
        if (TRY(image.hash(size_)) != h.image)
            return bad(fmt::format("'{}' was changed since it was made", image.name()));
        h.image_changed = changed;
        h.checksum = checksum_of(h);
        TRY(file_.write(0, bytes_of(h)));
    }
    TRY(file_.read(page, {reinterpret_cast<u8*>(bitmap_.data()), bitmap_.size() * 8}));
    for (u64 n = clusters(); n < bitmap_.size() * 64; ++n)
        if (has(n))
            return bad("its bitmap is damaged");
    return {};
}

u64 Overlay::run(u64 cluster, u64 limit) const {
    const bool first = has(cluster);
    u64 n = 1;
    while (n < limit) {
        const u64 at = cluster + n;
        const u64 word = first ? ~bitmap_[at / 64] : bitmap_[at / 64]; // a bit set ends the run
        const u64 rest = word >> (at % 64);
        if (rest)
            return std::min(limit, n + static_cast<u64>(std::countr_zero(rest)));
        n += 64 - at % 64;
    }
    return std::min(n, limit);
}

void Overlay::mark(u64 offset, u64 length) {
    for (u64 n = offset / cluster_size; n * cluster_size < offset + length; ++n)
        if (!has(n)) {
            bitmap_[n / 64] |= 1ull << (n % 64);
            dirty_[n / bits_per_page] = true;
        }
}

Expected<> Overlay::write(u64 offset, std::span<const u8> data) {
    TRY(file_.write(data_offset_ + offset, data));
    mark(offset, data.size());
    return {};
}

Expected<> Overlay::zero(u64 offset, u64 length) {
    TRY(file_.zero(data_offset_ + offset, length));
    mark(offset, length);
    return {};
}

Expected<> Overlay::write_bitmap() {
    const u8* bytes = reinterpret_cast<const u8*>(bitmap_.data());
    for (u64 n = 0; n < dirty_.size(); ++n) {
        if (!dirty_[n])
            continue;
        TRY(file_.write(page + n * page, {bytes + n * page, page}));
        dirty_[n] = false;
    }
    return {};
}

Expected<> Overlay::flush() {
    if (!kept_)
        return {};
    TRY(file_.sync());
    if (std::find(dirty_.begin(), dirty_.end(), true) == dirty_.end())
        return {};
    TRY(write_bitmap());
    return file_.sync();
}

} // namespace vitrine::host
