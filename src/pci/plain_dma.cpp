// SPDX-License-Identifier: Apache-2.0
// Plain DMA: RAM page by page, devices piece by piece, and what is refused.
#include "pci/plain_dma.h"

#include "pci/function.h"

#include <algorithm>
#include <cstring>

namespace vitrine::pci {

namespace {

constexpr u64 msi_base = 0xfee0'0000, msi_size = 0x10'0000;

bool wraps(DeviceAddress a, std::size_t n) {
    return n && a.value + (n - 1) < a.value;
}

unsigned piece_at(u64 address, u64 left) {
    unsigned n = 8;
    while (n > left || !is_aligned(address, n))
        n /= 2;
    return n;
}

} // namespace

bool PlainDma::refuse(std::string_view why, Requester requester, u64 address) {
    space_.glass().odd(Topic::pci, why, {{"requester", requester.id}, {"address", address}});
    return false;
}

bool PlainDma::device_piece(Requester requester, u64 address, unsigned size, bool write, u8* data) {
    if (address - msi_base < msi_size) {
        if (!write || size != 4 || !is_aligned(address, 4))
            return refuse("dma.interrupt-address", requester, address);
        u32 value;
        std::memcpy(&value, data, 4);
        msi_.message(requester, address, value);
        return true;
    }
    Region* region = space_.mmio().find(address);
    if (!region)
        return refuse("dma.nobody-answers", requester, address);
    const Function* target = dynamic_cast<const Function*>(region->device);
    if (!target)
        return refuse("dma.not-a-function", requester, address);
    if (target->is_one_device_with(requester.id))
        return refuse("dma.own-registers", requester, address);
    if (busy_)
        return refuse("dma.nested", requester, address);
    Access a{.size = size, .write = write, .requester = requester};
    if (write)
        std::memcpy(&a.value, data, size);
    busy_ = true;
    space_.mmio().access(address, a);
    busy_ = false;
    if (!write)
        std::memcpy(data, &a.value, size);
    return true;
}

bool PlainDma::read(Requester requester, DeviceAddress from, std::span<u8> data) {
    if (wraps(from, data.size())) {
        std::fill(data.begin(), data.end(), u8{0xff});
        return refuse("dma.wraps", requester, from.value);
    }
    while (!data.empty()) {
        u64 n = std::min<u64>(data.size(), page_size - from.page_offset());
        if (const u8* host = space_.host(Physical{from.value})) {
            std::memcpy(data.data(), host, n);
        } else {
            n = piece_at(from.value, data.size());
            if (!device_piece(requester, from.value, static_cast<unsigned>(n), false, data.data())) {
                std::fill(data.begin(), data.end(), u8{0xff});
                return false;
            }
        }
        data = data.subspan(n);
        from = from + n;
    }
    return true;
}

bool PlainDma::write(Requester requester, DeviceAddress to, std::span<const u8> data) {
    if (wraps(to, data.size()))
        return refuse("dma.wraps", requester, to.value);
    while (!data.empty()) {
        u64 n = std::min<u64>(data.size(), page_size - to.page_offset());
        if (u8* host = space_.host(Physical{to.value})) {
            space_.note_write(Physical{to.value}, n, requester);
            std::memcpy(host, data.data(), n);
        } else {
            n = piece_at(to.value, data.size());
            u8 piece[8];
            std::memcpy(piece, data.data(), n);
            if (!device_piece(requester, to.value, static_cast<unsigned>(n), true, piece))
                return false;
        }
        data = data.subspan(n);
        to = to + n;
    }
    return true;
}

} // namespace vitrine::pci
