// SPDX-License-Identifier: Apache-2.0
// Opening a disk's image and plugging its controller in.
#include "machine/disk.h"

#include "devices/nvme.h"
#include "machine/board.h"
#include "machine/machine.h"

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

host::DiskOptions options_of(const DiskConfig& config) {
    const auto mode = [&] {
        switch (config.mode) {
        case DiskMode::write:
            return host::DiskMode::write;
        case DiskMode::read_only:
            return host::DiskMode::read_only;
        case DiskMode::overlay:
            return host::DiskMode::overlay;
        case DiskMode::discard:
            return host::DiskMode::discard;
        }
        VERIFY(false && "a disk mode without a meaning");
        return host::DiskMode::read_only;
    };
    return {.file = config.file, .mode = mode(), .overlay = config.overlay};
}

} // namespace

Expected<> plug_disk(const DiskConfig& config, Board& board) {
    Machine& m = board.machine();
    const unsigned n = static_cast<unsigned>(board.disks().size());
    auto image = host::DiskImage::open(options_of(config));
    if (!image.ok())
        return Error("--disk: " + image.error().message, image.error().status);

    pci::RootPort* port = TRY(board.plug_root_port());
    Disk& disk = board.plug_disk(std::make_unique<Disk>(fmt::format("disk{}", n), std::move(image).value()));
    nvme::Options options{.name = fmt::format("nvme{}", n), .serial = fmt::format("VITRINE{:08}", n + 1)};
    options.eui64 += n;
    options.host_failed = [&m](const Error& error) { m.request({EndingKind::refused, 0, error.message}); };
    auto controller = std::make_unique<nvme::Controller>(board.platform(), m.clock(), disk.image(), options);
    port->secondary().attach(*controller, 0);
    board.plug(std::move(controller));
    return {};
}

} // namespace vitrine::machine
