// SPDX-License-Identifier: Apache-2.0
// The Linux/x86 boot protocol: where the setup header and the zero page keep what; from Documentation/arch/x86/boot.rst
// and zero-page.rst.
#pragma once

#include "words/bits.h"
#include "words/integers.h"

namespace vitrine::firmware::linux_boot {

/// A field of the setup header: its offset in the file and in the zero page alike.
template <class T>
struct HeaderField {
    using type = T;
    u16 offset;
};

// clang-format off
inline constexpr HeaderField<u8>  setup_sects          {0x1f1};
inline constexpr HeaderField<u32> syssize              {0x1f4}; ///< protected-mode code in units of 16 bytes
inline constexpr HeaderField<u16> vid_mode             {0x1fa};
inline constexpr HeaderField<u16> boot_flag            {0x1fe};
inline constexpr HeaderField<u8>  jump_length          {0x201}; ///< the header ends at 202h + this
inline constexpr HeaderField<u32> header_magic         {0x202};
inline constexpr HeaderField<u16> version              {0x206};
inline constexpr HeaderField<u8>  type_of_loader       {0x210};
inline constexpr HeaderField<u8>  loadflags            {0x211};
inline constexpr HeaderField<u32> code32_start         {0x214};
inline constexpr HeaderField<u32> ramdisk_image        {0x218};
inline constexpr HeaderField<u32> ramdisk_size         {0x21c};
inline constexpr HeaderField<u32> cmd_line_ptr         {0x228};
inline constexpr HeaderField<u32> initrd_addr_max      {0x22c}; ///< highest byte, not one past it
inline constexpr HeaderField<u32> kernel_alignment     {0x230}; ///< 2.05
inline constexpr HeaderField<u8>  relocatable_kernel   {0x234}; ///< 2.05
inline constexpr HeaderField<u8>  min_alignment        {0x235}; ///< 2.10, a power of two
inline constexpr HeaderField<u16> xloadflags           {0x236}; ///< 2.12
inline constexpr HeaderField<u32> cmdline_size         {0x238}; ///< 2.06, without the final zero
inline constexpr HeaderField<u64> setup_data           {0x250}; ///< 2.09
inline constexpr HeaderField<u64> pref_address         {0x258}; ///< 2.10
inline constexpr HeaderField<u32> init_size            {0x260}; ///< 2.10
// The zero page alone:
inline constexpr HeaderField<u64> acpi_rsdp_addr       {0x070}; ///< 2.14
inline constexpr HeaderField<u8>  e820_entries         {0x1e8};
inline constexpr HeaderField<u32> alt_mem_k            {0x1e0};
// clang-format on

inline constexpr u16 header_start = 0x1f1;
inline constexpr u16 header_limit = 0x290; ///< what follows in the zero page is not the header's
inline constexpr u16 e820_table = 0x2d0;
inline constexpr unsigned e820_max = 128;
inline constexpr u64 zero_page_size = 4096;
inline constexpr u64 sector = 512;

inline constexpr u16 boot_flag_value = 0xaa55;
inline constexpr u32 magic = 0x5372'6448; ///< "HdrS"

inline constexpr u8 loaded_high = bit(0);
inline constexpr u8 loader_unassigned = 0xff;
inline constexpr u16 vid_mode_normal = 0xffff;

inline constexpr u16 xlf_kernel_64 = bit(0);
inline constexpr u64 entry_64 = 0x200; ///< from the start of the protected-mode code

/// Kernels of protocols that do not say how much memory decompression needs get this many times their size.
inline constexpr u64 init_size_guess = 4;

} // namespace vitrine::firmware::linux_boot
