// SPDX-License-Identifier: Apache-2.0
// What --disk plugs in: an image, and an NVMe controller on it behind a root port of its own.
#pragma once

#include "base/device.h"
#include "base/error.h"
#include "host/disk_image.h"
#include "machine/config.h"

#include <memory>
#include <string>

namespace vitrine::machine {

class Board;

/// The image as a part of the machine: it answers no access, but its contents are state. A visit takes the digest of everything
/// written since power on, so that a hash costs nothing; a snapshot asks image().snapshot() for the contents themselves.
class Disk final : public Device {
public:
    Disk(std::string name, std::unique_ptr<host::DiskImage> image) : name_(std::move(name)), image_(std::move(image)) {}

    host::DiskImage& image() { return *image_; }

    std::string_view name() const override { return name_; }
    void reset(Reset) override {}
    void access(Region&, Access&) override {}
    void state(Visitor& v) override { image_->state(v); }

private:
    std::string name_; ///< "disk0", in the order of the command line
    std::unique_ptr<host::DiskImage> image_;
};

/// Opens and locks the image and plugs in the disk, its controller ("nvme0") and the root port above it.
Expected<> plug_disk(const DiskConfig& config, Board& board);

} // namespace vitrine::machine
