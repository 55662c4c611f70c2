// SPDX-License-Identifier: Apache-2.0
// NVM commands: reads, writes and their kin on the image, and moving data by PRPs.
#include "devices/nvme.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace vitrine::nvme {

namespace {

constexpr u32 namespace_id = 1;
constexpr u32 force_unit_access = 1u << 30; ///< of dword 12
constexpr u32 deallocate_attribute = 4;     ///< of dataset management's dword 11

} // namespace

std::span<const Controller::CommandRow> Controller::nvm_commands() {
    static constexpr std::array<CommandRow, 6> rows{{
        {flush, "nvme.flush", &Controller::flush_command, effect_supported},
        {write, "nvme.write", &Controller::write_command, effect_supported | effect_logical_block_change},
        {read, "nvme.read", &Controller::read_command, effect_supported},
        {compare, "nvme.compare", &Controller::compare_command, effect_supported},
        {write_zeroes, "nvme.write-zeroes", &Controller::write_zeroes_command,
         effect_supported | effect_logical_block_change},
        {dataset_management, "nvme.dataset-management", &Controller::dataset_command,
         effect_supported | effect_logical_block_change},
    }};
    return rows;
}

Status Controller::blocks(const Command& c, bool transfers, u64& offset, u64& length) const {
    if (c.nsid != namespace_id)
        return invalid_namespace;
    const u64 first = c.dw10 | static_cast<u64>(c.dw11) << 32, count = (c.dw12 & 0xffff) + 1;
    if (transfers && count * block_size > largest_transfer)
        return invalid_field;
    if (first >= block_count() || count > block_count() - first)
        return lba_out_of_range;
    offset = first * block_size;
    length = count * block_size;
    return success;
}

Status Controller::to_host(const Command& c, std::span<const u8> data) {
    Pieces pieces;
    if (const Status s = resolve_prps([this](DeviceAddress a, std::span<u8> d) { return dma_read(a, d); }, c.prp1,
                                      c.prp2, data.size(), pieces))
        return s;
    for (const Pieces::Piece& p : pieces.all()) {
        if (!dma_write(p.address, data.first(p.length)))
            return data_transfer_error;
        data = data.subspan(p.length);
    }
    return success;
}

Status Controller::from_host(const Command& c, std::span<u8> data) {
    Pieces pieces;
    if (const Status s = resolve_prps([this](DeviceAddress a, std::span<u8> d) { return dma_read(a, d); }, c.prp1,
                                      c.prp2, data.size(), pieces))
        return s;
    for (const Pieces::Piece& p : pieces.all()) {
        if (!dma_read(p.address, data.first(p.length)))
            return data_transfer_error;
        data = data.subspan(p.length);
    }
    return success;
}

Status Controller::image_result(const Expected<>& result, Status failure) {
    if (result.ok())
        return success;
    ++media_errors_;
    glass().odd(Topic::devices, "nvme.host-failed", {{"controller", name()}, {"why", result.error().message}});
    if (options_.host_failed)
        options_.host_failed(result.error());
    return failure;
}

Controller::Reply Controller::flush_command(const Command& c) {
    if (c.nsid != namespace_id && c.nsid != broadcast_namespace)
        return invalid_namespace;
    return image_result(image_.flush(), write_fault);
}

Controller::Reply Controller::read_command(const Command& c) {
    u64 offset = 0, length = 0;
    if (const Status s = blocks(c, true, offset, length))
        return s;
    const std::span<u8> data(buffer_.data(), length);
    if (const Status s = image_result(image_.read(offset, data), unrecovered_read_error))
        return s;
    ++reads_;
    blocks_read_ += length / block_size;
    return to_host(c, data);
}

Controller::Reply Controller::write_command(const Command& c) {
    u64 offset = 0, length = 0;
    if (const Status s = blocks(c, true, offset, length))
        return s;
    if (image_.read_only())
        return namespace_write_protected;
    const std::span<u8> data(buffer_.data(), length);
    if (const Status s = from_host(c, data))
        return s;
    if (const Status s = image_result(image_.write(offset, data), write_fault))
        return s;
    ++writes_;
    blocks_written_ += length / block_size;
    if ((c.dw12 & force_unit_access) || !features_[volatile_write_cache])
        return image_result(image_.flush(), write_fault);
    return success;
}

Controller::Reply Controller::compare_command(const Command& c) {
    u64 offset = 0, length = 0;
    if (const Status s = blocks(c, true, offset, length))
        return s;
    const std::span<u8> wanted(buffer_.data(), length);
    if (const Status s = from_host(c, wanted))
        return s;
    std::array<u8, page_size> piece;
    for (u64 done = 0; done < length; done += page_size) {
        const u64 n = std::min(length - done, page_size);
        if (const Status s = image_result(image_.read(offset + done, {piece.data(), n}), unrecovered_read_error))
            return s;
        if (std::memcmp(piece.data(), wanted.data() + done, n) != 0)
            return compare_failure;
    }
    ++reads_;
    blocks_read_ += length / block_size;
    return success;
}

Controller::Reply Controller::write_zeroes_command(const Command& c) {
    u64 offset = 0, length = 0;
    if (const Status s = blocks(c, false, offset, length))
        return s;
    if (image_.read_only())
        return namespace_write_protected;
    ++writes_;
    return image_result(image_.discard(offset, length), write_fault);
}

Controller::Reply Controller::dataset_command(const Command& c) {
    constexpr unsigned range_size = 16;
    if (c.nsid != namespace_id)
        return invalid_namespace;
    const unsigned count = (c.dw10 & 0xff) + 1;
    const std::span<u8> ranges(buffer_.data(), count * range_size);
    if (const Status s = from_host(c, ranges))
        return s;
    if (!(c.dw11 & deallocate_attribute))
        return success; // hints only
    if (image_.read_only())
        return namespace_write_protected;
    for (unsigned pass = 0; pass < 2; ++pass) // all ranges are looked at before any is deallocated
        for (unsigned i = 0; i < count; ++i) {
            u32 length;
            u64 first;
            std::memcpy(&length, ranges.data() + i * range_size + 4, 4);
            std::memcpy(&first, ranges.data() + i * range_size + 8, 8);
            if (pass == 0 && (first > block_count() || length > block_count() - first))
                return lba_out_of_range;
            if (pass == 1 && length)
                if (const Status s =
                        image_result(image_.discard(first * block_size, u64{length} * block_size), write_fault))
                    return s;
        }
    return success;
}

} // namespace vitrine::nvme
