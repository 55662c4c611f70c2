// SPDX-License-Identifier: Apache-2.0
// Configuration registers of the 3 Series memory controller hub, device 0 (Intel 3 Series Express Chipset Family datasheet, chapter 5).
#pragma once

#include "words/bits.h"

namespace vitrine::mch {

inline constexpr u16 vendor = 0x8086, device = 0x29c0;

enum Offset : u8 {
    epbar = 0x40,
    mchbar = 0x48,
    ggc = 0x52,
    deven = 0x54,
    pciexbar_low = 0x60,
    pciexbar_high = 0x64,
    dmibar = 0x68,
    pam0 = 0x90,
    lac = 0x97,
    remap_base = 0x98,
    remap_limit = 0x9a,
    smram_offset = 0x9d,
    esmramc_offset = 0x9e,
    tom = 0xa0,
    touud = 0xa2,
    tseg_base = 0xac,
    tolud = 0xb0,
    error_status = 0xc8,
    error_command = 0xca,
    smi_command = 0xcc,
    scratchpad = 0xdc,
};

inline constexpr unsigned pam_registers = 7;

struct Pciexbar {
    static constexpr unsigned offset = pciexbar_low, width = 4;
    static constexpr const char* name = "PCIEXBAR";
    Field enable{0, rw, "PCIEXBAREN", "PCIEXBAR enable"};
    Field length{2, 1, rw, "LENGTH", "length: 256, 128 or 64 MiB"};
    Field address_mask_64{26, rw, "64ADMSK", "64 MiB base address mask"};
    Field address_mask_128{27, rw, "128ADMSK", "128 MiB base address mask"};
    Field base{31, 28, rw, "BASE", "base address, bits 31:28"};
} inline constexpr pciexbar;

/// One byte for two segments; PAM0 has the upper half only.
struct Pam {
    Field low_read{0, rw, "LRE", "lower segment reads from RAM"};
    Field low_write{1, rw, "LWE", "lower segment writes to RAM"};
    Field high_read{4, rw, "HRE", "upper segment reads from RAM"};
    Field high_write{5, rw, "HWE", "upper segment writes to RAM"};
} inline constexpr pam;

struct Smram {
    static constexpr unsigned offset = smram_offset, width = 1;
    static constexpr const char* name = "SMRAM";
    Field base_segment{2, 0, ro, "C_BASE_SEG", "compatible SMM space base segment"};
    Field enable{3, rw, "G_SMRAME", "global SMRAM enable"};
    Field lock{4, rw, "D_LCK", "SMM space locked"};
    Field closed{5, rw, "D_CLS", "SMM space closed"};
    Field open{6, rw, "D_OPEN", "SMM space open"};
} inline constexpr smram;

struct Esmramc {
    static constexpr unsigned offset = esmramc_offset, width = 1;
    static constexpr const char* name = "ESMRAMC";
    Field tseg_enable{0, rw, "T_EN", "TSEG enable"};
    Field tseg_size{2, 1, rw, "TSEG_SZ", "TSEG size: 1, 2 or 8 MiB"};
    Field l2_cached{3, ro, "SM_L2", "SMRAM L2 cache enable"};
    Field l1_cached{4, ro, "SM_L1", "SMRAM L1 cache enable"};
    Field cacheable{5, ro, "SM_CACHE", "SMRAM cacheable"};
    Field invalid_access{6, rw1c, "E_SMERR", "invalid SMRAM access"};
    Field high_enable{7, rw, "H_SMRAME", "high SMRAM enable"};
} inline constexpr esmramc;

} // namespace vitrine::mch
