// SPDX-License-Identifier: Apache-2.0
// The manual's sections that rules refer to, by title; their numbers in one edition stand here and nowhere else.
#pragma once

namespace vitrine::vtx {

struct Section {
    const char* title;
    const char* number; ///< Intel SDM volume 3C, order number 326019-079 (March 2023); written from memory, not looked up
};

namespace sdm {
inline constexpr Section execution_controls{"VM-Execution Control Fields", "27.2.1.1"};
inline constexpr Section exit_controls{"VM-Exit Control Fields", "27.2.1.2"};
inline constexpr Section entry_controls{"VM-Entry Control Fields", "27.2.1.3"};
inline constexpr Section host_control_registers{"Checks on Host Control Registers, MSRs, and SSP", "27.2.2"};
inline constexpr Section host_segments{"Checks on Host Segment and Descriptor-Table Registers", "27.2.3"};
inline constexpr Section address_space_size{"Checks Related to Address-Space Size", "27.2.4"};
inline constexpr Section guest_control_registers{"Checks on Guest Control Registers, Debug Registers, and MSRs", "27.3.1.1"};
inline constexpr Section guest_segments{"Checks on Guest Segment Registers", "27.3.1.2"};
inline constexpr Section guest_tables{"Checks on Guest Descriptor-Table Registers", "27.3.1.3"};
inline constexpr Section guest_rip_rflags{"Checks on Guest RIP, RFLAGS, and SSP", "27.3.1.4"};
inline constexpr Section guest_non_register{"Checks on Guest Non-Register State", "27.3.1.5"};
inline constexpr Section guest_pdptes{"Checks on Guest Page-Directory-Pointer-Table Entries", "27.3.1.6"};
inline constexpr Section invept{"INVEPT - Invalidate Translations Derived from EPT", "31.3"};
inline constexpr Section invvpid{"INVVPID - Invalidate Translations Based on VPID", "31.3"};
} // namespace sdm

} // namespace vitrine::vtx
