// SPDX-License-Identifier: Apache-2.0
// QEMU's firmware configuration interface (its docs/specs/fw_cfg.rst): ports, keys, DMA control bits.
#pragma once

#include "words/bits.h"
#include "words/integers.h"

namespace vitrine::firmware::fw_cfg {

inline constexpr u16 selector_port = 0x510; ///< 16 bits to select; the data byte is at +1
inline constexpr u16 dma_port = 0x514;      ///< 64 bits, big-endian

enum Key : u16 {
    signature = 0x00,
    id = 0x01,
    uuid = 0x02,
    ram_size = 0x03,
    no_graphic = 0x04,
    nb_cpus = 0x05,
    kernel_addr = 0x07,
    kernel_size = 0x08,
    initrd_addr = 0x0a,
    initrd_size = 0x0b,
    boot_menu = 0x0e,
    max_cpus = 0x0f,
    kernel_entry = 0x10,
    kernel_data = 0x11,
    initrd_data = 0x12,
    cmdline_addr = 0x13,
    cmdline_size = 0x14,
    cmdline_data = 0x15,
    setup_addr = 0x16,
    setup_size = 0x17,
    setup_data = 0x18,
    file_directory = 0x19,
    first_file = 0x20,
    irq0_override = 0x8002,
};

inline constexpr u32 id_traditional = bit(0), id_dma = bit(1);

inline constexpr u32 dma_error = bit(0), dma_read = bit(1), dma_skip = bit(2), dma_select = bit(3), dma_write = bit(4);
inline constexpr u64 dma_signature = 0x5145'4d55'2043'4647; ///< "QEMU CFG"
inline constexpr u64 dma_descriptor_size = 16;

inline constexpr u64 file_name_size = 56;
inline constexpr u64 directory_entry_size = 64;

} // namespace vitrine::firmware::fw_cfg
