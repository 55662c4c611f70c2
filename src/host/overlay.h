// SPDX-License-Identifier: Apache-2.0
// What was written over a disk image, 4 KiB at a time, so that the image itself stays as it is: a bitmap of the
// clusters that are here, and their data at the same offsets as on the disk, in a sparse file. In memory when it is to
// be thrown away.
//
//   0      header: magic, version, sizes, the image's size, hash and time of change, checksum
//   4096   bitmap, one bit a cluster, lowest bit first; padded to 4096
//   data   the disk, sparse; discarded clusters are holes whose bit is set
//
// The data of a cluster reaches the disk before its bit does: after a crash a cluster is as it was at some flush, never
// a mixture of image and nothing.
#pragma once

#include "host/file.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace vitrine::host {

class Overlay {
public:
    static constexpr u64 cluster_size = 4096;

    /// In memory, over a disk of `size` bytes; `name` is the image's, for messages.
    static Expected<std::unique_ptr<Overlay>> in_memory(const std::string& name, u64 size);
    /// Opens the overlay file `name`, or makes it when it does not exist. `image` is what it lies over.
    static Expected<std::unique_ptr<Overlay>> open(const std::string& name, const File& image, u64 size);
    ~Overlay();
    Overlay(const Overlay&) = delete;
    Overlay& operator=(const Overlay&) = delete;

    u64 clusters() const { return (size_ + cluster_size - 1) / cluster_size; }

    bool has(u64 cluster) const { return bitmap_[cluster / 64] >> (cluster % 64) & 1; }

    /// How many clusters from `cluster` on, up to `limit`, are alike: all here or none.
    u64 run(u64 cluster, u64 limit) const;

    /// A range whose clusters are all here.
    Expected<> read(u64 offset, std::span<u8> data) const { return file_.read(data_offset_ + offset, data); }

    /// Whole clusters, or parts of such as are here already; they are here afterwards.
    Expected<> write(u64 offset, std::span<const u8> data);
    Expected<> zero(u64 offset, u64 length);

    /// Data, then bitmap, are on the disk when this returns.
    Expected<> flush();

    const std::string& name() const { return file_.name(); }

private:
    Overlay(File file, u64 size, bool kept);

    static Expected<> create(const std::string& name, const File& image, u64 size);
    Expected<> check(const File& image);
    Expected<> write_bitmap();
    void mark(u64 offset, u64 length);

    File file_;
    u64 size_;        ///< of the disk
    bool kept_;       ///< in a file, not in memory
    u64 data_offset_; ///< in the file
    std::vector<u64> bitmap_;
    std::vector<bool> dirty_; ///< 4096-byte pages of the bitmap that the file does not have yet
};

} // namespace vitrine::host
