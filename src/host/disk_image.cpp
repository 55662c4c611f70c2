// SPDX-License-Identifier: Apache-2.0
// Disk images: where a read finds its data and a write leaves it.
#include "host/disk_image.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <xxhash.h>

namespace vitrine::host {

namespace {

constexpr u64 cluster_size = Overlay::cluster_size;
constexpr u8 noted_write = 1, noted_discard = 2;

} // namespace

Expected<std::unique_ptr<DiskImage>> DiskImage::open(const DiskOptions& options) {
    const bool writes = options.mode == DiskMode::write;
    auto opened = File::open(options.file, writes ? File::Access::read_write : File::Access::read);
    if (!opened.ok()) {
        // A file that may only be read is a common case with a simple answer.
        if (writes && File::open(options.file, File::Access::read).ok())
            return Error(opened.error().message + "; add ,readonly or ,discard to use it without writing");
        return opened.error();
    }
    File image = std::move(opened).value();
    const u64 size = TRY(image.size());
    if (size == 0)
        return Error(fmt::format("the disk image '{}' is empty", options.file));
    if (size % sector)
        return Error(
            fmt::format("the disk image '{}' has {} bytes, which is no multiple of {}", options.file, size, sector));
    TRY(image.lock(writes));
    std::unique_ptr<DiskImage> disk(new DiskImage(std::move(image), size, options.mode));
    if (options.mode == DiskMode::overlay)
        disk->overlay_ = TRY(Overlay::open(options.overlay, disk->image_, size));
    if (options.mode == DiskMode::discard)
        disk->overlay_ = TRY(Overlay::in_memory(options.file, size));
    return disk;
}

Expected<> DiskImage::check(u64 offset, u64 length) const {
    if (offset > size_ || length > size_ - offset)
        return Error(fmt::format("an access beyond the end of '{}'", name()), Status::bug);
    return {};
}

Expected<> DiskImage::read(u64 offset, std::span<u8> data) {
    TRY(check(offset, data.size()));
    if (!overlay_)
        return image_.read(offset, data);
    while (!data.empty()) {
        const u64 cluster = offset / cluster_size;
        const u64 last = (offset + data.size() - 1) / cluster_size;
        const u64 run = overlay_->run(cluster, last - cluster + 1);
        const u64 n = std::min<u64>(data.size(), (cluster + run) * cluster_size - offset);
        if (overlay_->has(cluster))
            TRY(overlay_->read(offset, data.first(n)));
        else
            TRY(image_.read(offset, data.first(n)));
        offset += n;
        data = data.subspan(n);
    }
    return {};
}

void DiskImage::note(u8 what, u64 offset, u64 length, std::span<const u8> data) {
    const XXH128_hash_t contents = XXH3_128bits(data.data(), data.size());
    const std::array<u64, 7> all{digest_.low, digest_.high, what, offset, length, contents.low64, contents.high64};
    const XXH128_hash_t h = XXH3_128bits(all.data(), sizeof all);
    digest_ = {h.low64, h.high64};
}

Expected<> DiskImage::write(u64 offset, std::span<const u8> data) {
    TRY(check(offset, data.size()));
    if (read_only())
        return Error(fmt::format("'{}' is read only", name()), Status::bug);
    note(noted_write, offset, data.size(), data);
    if (overlay_)
        return write_over(offset, data);
    image_hash_known_ = false;
    return image_.write(offset, data);
}

Expected<> DiskImage::copy_up(u64 cluster) {
    if (overlay_->has(cluster))
        return {};
    std::array<u8, cluster_size> data{};
    const u64 offset = cluster * cluster_size;
    TRY(image_.read(offset, std::span(data).first(std::min(cluster_size, size_ - offset))));
    return overlay_->write(offset, data);
}

Expected<> DiskImage::write_over(u64 offset, std::span<const u8> data) {
    if (data.empty())
        return {};
    // Clusters that are written in part only begin as copies of the image's.
    const u64 end = offset + data.size();
    if (offset % cluster_size)
        TRY(copy_up(offset / cluster_size));
    if (end % cluster_size)
        TRY(copy_up(end / cluster_size));
    return overlay_->write(offset, data);
}

Expected<> DiskImage::zero_over(u64 offset, u64 length) {
    if (length == 0)
        return {};
    const u64 end = offset + length;
    if (offset % cluster_size)
        TRY(copy_up(offset / cluster_size));
    if (end % cluster_size)
        TRY(copy_up(end / cluster_size));
    return overlay_->zero(offset, length);
}

Expected<> DiskImage::discard(u64 offset, u64 length) {
    TRY(check(offset, length));
    if (read_only())
        return Error(fmt::format("'{}' is read only", name()), Status::bug);
    note(noted_discard, offset, length, {});
    if (overlay_)
        return zero_over(offset, length);
    image_hash_known_ = false;
    return image_.zero(offset, length);
}

Expected<> DiskImage::flush() {
    if (overlay_)
        return overlay_->flush();
    return read_only() ? Expected<>{} : image_.sync();
}

Expected<> DiskImage::protect() {
    if (mode_ != DiskMode::write || overlay_)
        return {};
    TRY(image_.sync());
    overlay_ = TRY(Overlay::in_memory(name(), size_));
    return {};
}

Expected<ContentHash> DiskImage::image_hash() {
    if (!image_hash_known_) {
        image_hash_ = TRY(image_.hash(size_));
        image_hash_known_ = true;
    }
    return image_hash_;
}

Expected<ContentHash> DiskImage::content_hash() {
    const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
    XXH3_128bits_reset(state.get());
    std::vector<u8> buffer(std::min<u64>(size_, 1_MiB));
    for (u64 done = 0; done < size_; done += buffer.size()) {
        const std::span<u8> piece = std::span(buffer).first(std::min<u64>(buffer.size(), size_ - done));
        TRY(read(done, piece));
        XXH3_128bits_update(state.get(), piece.data(), piece.size());
    }
    const XXH128_hash_t h = XXH3_128bits_digest(state.get());
    return ContentHash{h.low64, h.high64};
}

void DiskImage::state(Visitor& v) {
    v.field("digest", digest_.low);
    v.field("digest, upper", digest_.high);
}

Expected<> DiskImage::snapshot(Visitor& v) {
    TRY(protect());
    u64 size = size_;
    v.field("size", size);
    if (size != size_)
        return Error(fmt::format("the snapshot's disk has {} bytes, '{}' has {}", size, name(), size_));
    const ContentHash hash = TRY(image_hash());
    ContentHash wanted = hash;
    v.field("image hash", wanted.low);
    v.field("image hash, upper", wanted.high);
    if (wanted != hash)
        return Error(fmt::format("'{}' is not the disk image that the snapshot was made with", name()));
    state(v);
    return v.loading() ? load(v) : save(v);
}

Expected<> DiskImage::save(Visitor& v) {
    const u64 all = (size_ + cluster_size - 1) / cluster_size;
    std::vector<std::pair<u64, u64>> runs; // of clusters that are in the overlay
    u64 here = 0;
    for (u64 n = 0; overlay_ && n < all;) {
        const u64 length = overlay_->run(n, all - n);
        if (overlay_->has(n)) {
            runs.push_back({n, length});
            here += length;
        }
        n += length;
    }
    v.count("clusters", here, all);
    std::array<u8, cluster_size> data{};
    for (const auto& [first, length] : runs)
        for (u64 n = first; n < first + length; ++n) {
            TRY(overlay_->read(n * cluster_size, data));
            u64 number = n;
            v.field("cluster", number);
            v.field("data", data);
        }
    return {};
}

Expected<> DiskImage::load(Visitor& v) {
    std::unique_ptr<Overlay> fresh = TRY(Overlay::in_memory(name(), size_));
    const u64 clusters = v.count("clusters", 0, fresh->clusters());
    if (clusters && read_only())
        return Error(fmt::format("the snapshot holds writes to '{}', which is read only here", name()));
    std::array<u8, cluster_size> data{};
    for (u64 i = 0; i < clusters; ++i) {
        u64 n = 0;
        v.field("cluster", n);
        v.field("data", data);
        if (n >= fresh->clusters())
            return Error(fmt::format("the snapshot writes beyond the end of '{}'", name()));
        TRY(fresh->write(n * cluster_size, data));
    }
    if (!read_only())
        overlay_ = std::move(fresh);
    return {};
}

} // namespace vitrine::host
