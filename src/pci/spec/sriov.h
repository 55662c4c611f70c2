// SPDX-License-Identifier: Apache-2.0
// Single root I/O virtualization: the capability's registers, relative to the structure. (PCI Express Base 5.0, Single Root I/O
// Virtualization and Sharing, SR-IOV Extended Capability.)
#pragma once

#include "words/bits.h"

namespace vitrine::pci {

struct SrIovControl {
    static constexpr unsigned offset = 8, width = 2;
    static constexpr const char* name = "SRIOVCTL";
    Field vf_enable{0, rw, "VFE", "VF enable"};
    Field vf_memory_space_enable{3, rw, "VFMSE", "VF MSE: the VFs' memory space is decoded"};
    Field ari_capable_hierarchy{4, rw, "ARICH", "ARI capable hierarchy"};
} inline constexpr sriov_control;

enum SrIovOffset : u8 {
    sriov_capabilities = 0x04,
    sriov_status = 0x0a,
    sriov_initial_vfs = 0x0c,
    sriov_total_vfs = 0x0e,
    sriov_num_vfs = 0x10,
    sriov_dependency = 0x12,
    sriov_first_offset = 0x14,
    sriov_stride = 0x16,
    sriov_vf_device = 0x1a,
    sriov_supported_page_sizes = 0x1c,
    sriov_system_page_size = 0x20,
    sriov_vf_bar0 = 0x24,
    sriov_migration_state = 0x3c,
};

inline constexpr unsigned sriov_length = 0x40;
inline constexpr u32 sriov_page_sizes = 0x553; ///< 4K, 8K, 64K, 256K, 1M, 4M: what every device must support

} // namespace vitrine::pci
