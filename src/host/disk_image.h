// SPDX-License-Identifier: Apache-2.0
// A disk image: a raw file or block device, written itself, read only, or with writes kept elsewhere (an overlay file,
// or memory).
#pragma once

#include "base/ports.h"
#include "base/visitor.h"
#include "host/file.h"
#include "host/overlay.h"

#include <memory>
#include <string>

namespace vitrine::host {

enum class DiskMode : u8 {
    write,     ///< writes go to the file
    read_only, ///< there are none
    overlay,   ///< writes go to an overlay file, which is made if it does not exist
    discard,   ///< writes are kept in memory and thrown away at the end
};

struct DiskOptions {
    std::string file;
    DiskMode mode = DiskMode::write;
    std::string overlay{}; ///< for DiskMode::overlay
};

class DiskImage final : public BlockImage {
public:
    static constexpr u64 sector = 512;

    /// Opens, checks and locks. Files that are written are for one machine at a time; others may be shared.
    static Expected<std::unique_ptr<DiskImage>> open(const DiskOptions& options);

    u64 size() const override { return size_; }

    bool read_only() const override { return mode_ == DiskMode::read_only; }

    Expected<> read(u64 offset, std::span<u8> data) override;
    Expected<> write(u64 offset, std::span<const u8> data) override;
    /// What is discarded reads as zeros.
    Expected<> discard(u64 offset, u64 length) override;
    Expected<> flush() override;

    const std::string& name() const { return image_.name(); }

    /// From now on the image file is not written any more: a snapshot or a recording needs it as it is. Writes go to
    /// memory.
    Expected<> protect();

    /// Of the image file as it is, without overlay. Computed once while nothing writes it.
    Expected<ContentHash> image_hash();
    /// Of what the guest would read.
    Expected<ContentHash> content_hash();

    /// Every write since power on, in order, as one number: what a state hash takes, at no cost. Runs that wrote the
    /// same have the same.
    ContentHash digest() const { return digest_; }

    /// What a visit of the machine's state takes of a disk: the digest. The contents are snapshot()'s.
    void state(Visitor& v);

    /// For snapshots: the image's size and hash, everything that lies over it, and the digest. Saving protects the
    /// image; loading does too, and refuses another image. What is loaded lies in memory: an overlay file is left as it
    /// is.
    Expected<> snapshot(Visitor& v);

private:
    DiskImage(File image, u64 size, DiskMode mode) : image_(std::move(image)), size_(size), mode_(mode) {}

    Expected<> check(u64 offset, u64 length) const;
    Expected<> write_over(u64 offset, std::span<const u8> data);
    Expected<> zero_over(u64 offset, u64 length);
    Expected<> copy_up(u64 cluster);
    void note(u8 what, u64 offset, u64 length, std::span<const u8> data);
    Expected<> save(Visitor& v);
    Expected<> load(Visitor& v);

    File image_;
    u64 size_;
    DiskMode mode_;
    std::unique_ptr<Overlay> overlay_; ///< null while writes go to the image or there are none
    ContentHash digest_;
    ContentHash image_hash_;
    bool image_hash_known_ = false;
};

} // namespace vitrine::host
