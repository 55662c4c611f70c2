// SPDX-License-Identifier: Apache-2.0
// The test device's ports and memory.
#include "devices/pc_testdev.h"

namespace vitrine {

namespace {

enum Regions : u32 { register_ports, flush_port, byte_ports, line_ports, memory_region };

constexpr u64 memory_size = 64_KiB;

} // namespace

PcTestdev::PcTestdev(Bus& ports, Bus& mmio, Glass& glass, std::function<Line(unsigned)> gsi)
    : glass_(glass), memory_(memory_size),
      regions_{
          Region{.device = this, .name = "testdev.data", .size = 4, .index = register_ports, .max_size = 4},
          Region{.device = this, .name = "testdev.flush", .size = 4, .index = flush_port, .min_size = 4, .max_size = 4},
          Region{.device = this,
                 .name = "testdev.bytes",
                 .size = 4,
                 .index = byte_ports,
                 .max_size = 4,
                 .unaligned = true},
          Region{.device = this, .name = "testdev.lines", .size = lines, .index = line_ports, .max_size = 4, .unaligned = true},
          Region{.device = this,
                 .name = "testdev.memory",
                 .size = memory_size,
                 .index = memory_region,
                 .unaligned = true}} {
    for (unsigned n = 0; n < lines; ++n)
        lines_.push_back(gsi(n));
    ports.map(regions_[register_ports], 0xe0);
    ports.map(regions_[flush_port], 0xe4);
    ports.map(regions_[byte_ports], 0xe8);
    ports.map(regions_[line_ports], 0x2000);
    mmio.map(regions_[memory_region], 0xff00'0000);
}

void PcTestdev::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    data_ = 0;
    memory_.assign(memory_size, 0);
    for (Line& line : lines_)
        line.set(false);
}

void PcTestdev::access(Region& region, Access& a) {
    switch (region.index) {
    case register_ports:
    case byte_ports: {
        const unsigned shift = 8 * static_cast<unsigned>(a.offset & 3);
        const u64 mask = low_mask(8 * a.size) << shift;
        if (a.write)
            data_ = static_cast<u32>((data_ & ~mask) | (a.value << shift & mask));
        else
            a.value = (data_ & mask) >> shift;
        return;
    }
    case flush_port:
        if (a.write)
            glass_.tell(Topic::devices, "testdev.flush", {{"page", a.value}});
        return;
    case line_ports:
        if (a.write)
            // Byte by byte, as a bus of that width splits it: a wide write sets several lines.
            for (unsigned i = 0; i < a.size; ++i)
                lines_[a.offset + i].set((a.value >> (8 * i) & 0xff) != 0);
        return;
    default:
        for (unsigned i = 0; i < a.size; ++i) {
            u8& byte = memory_[a.offset + i];
            if (a.write)
                byte = static_cast<u8>(a.value >> (8 * i));
            else
                a.value |= u64{byte} << (8 * i);
        }
    }
}

void PcTestdev::state(Visitor& v) {
    v.field("data", data_);
    v.bytes("memory", memory_);
}

} // namespace vitrine
