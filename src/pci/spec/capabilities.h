// SPDX-License-Identifier: Apache-2.0
// The capability structures: ids, and the bits of their registers. Offsets are relative to the structure. (PCI Power
// Management 1.2; PCI Local Bus 3.0, sections 6.8.1 and 6.8.2; PCI Express Base 5.0,
// sections 7.5.3, 7.7.3, 7.8.4, 7.8.7 and 7.9.3.)
#pragma once

#include "words/bits.h"

namespace vitrine::pci {

enum class CapabilityId : u8 {
    power_management = 0x01,
    msi = 0x05,
    vendor_specific = 0x09,
    express = 0x10,
    msix = 0x11
};

enum class ExtendedId : u16 {
    advanced_error_reporting = 0x0001,
    device_serial_number = 0x0003,
    access_control_services = 0x000d,
    alternative_routing_id = 0x000e,
    single_root_io_virtualization = 0x0010,
};

// Power management

struct PmCapabilities {
    static constexpr unsigned offset = 2, width = 2;
    static constexpr const char* name = "PMC";
    Field version{2, 0, ro, "VER", "version"};
    Field d1_support{9, ro, "D1", "D1 support"};
    Field d2_support{10, ro, "D2", "D2 support"};
    Field pme_support{15, 11, ro, "PME", "PME# support"};
} inline constexpr pm_capabilities;

struct PmControl {
    static constexpr unsigned offset = 4, width = 2;
    static constexpr const char* name = "PMCSR";
    Field power_state{1, 0, rw, "PS", "power state"};
    Field no_soft_reset{3, ro, "NSR", "no soft reset"};
    Field pme_enable{8, ro, "PMEEN", "PME# enable"};
    Field pme_status{15, ro, "PMES", "PME# status"};
} inline constexpr pm_control;

// Message-signalled interrupts

struct MsiControl {
    static constexpr unsigned offset = 2, width = 2;
    static constexpr const char* name = "MSICTL";
    Field enable{0, rw, "EN", "MSI enable"};
    Field multiple_message_capable{3, 1, ro, "MMC", "multiple message capable"};
    Field multiple_message_enable{6, 4, rw, "MME", "multiple message enable"};
    Field address_64{7, ro, "C64", "64-bit address capable"};
    Field per_vector_masking{8, ro, "PVM", "per-vector masking capable"};
} inline constexpr msi_control;

struct MsixControl {
    static constexpr unsigned offset = 2, width = 2;
    static constexpr const char* name = "MSIXCTL";
    Field table_size{10, 0, ro, "SIZE", "table size, less one"};
    Field function_mask{14, rw, "MASK", "function mask"};
    Field enable{15, rw, "EN", "MSI-X enable"};
} inline constexpr msix_control;

inline constexpr unsigned msix_entry_size = 16;
inline constexpr u32 msix_vector_masked = 1; ///< bit 0 of an entry's vector control

// PCI Express

enum class PortType : u8 { endpoint = 0, root_port = 4, integrated_endpoint = 9 };

struct ExpressCapabilities {
    static constexpr unsigned offset = 2, width = 2;
    static constexpr const char* name = "PCIECAP";
    Field version{3, 0, ro, "VER", "capability version"};
    Field port_type{7, 4, ro, "TYPE", "device/port type"};
    Field slot_implemented{8, ro, "SLOT", "slot implemented"};
} inline constexpr express_capabilities;

struct DeviceCapabilities {
    static constexpr unsigned offset = 4, width = 4;
    static constexpr const char* name = "DEVCAP";
    Field max_payload_supported{2, 0, ro, "MPSS", "maximum payload size supported"};
    Field extended_tag_supported{5, ro, "ETAG", "extended tag field supported"};
    Field role_based_error_reporting{15, ro, "RBER", "role-based error reporting"};
    Field function_level_reset{28, ro, "FLRC", "function level reset capability"};
} inline constexpr device_capabilities;

struct DeviceControl {
    static constexpr unsigned offset = 8, width = 2;
    static constexpr const char* name = "DEVCTL";
    Field correctable_enable{0, rw, "CERE", "correctable error reporting enable"};
    Field non_fatal_enable{1, rw, "NFERE", "non-fatal error reporting enable"};
    Field fatal_enable{2, rw, "FERE", "fatal error reporting enable"};
    Field unsupported_request_enable{3, rw, "URRE", "unsupported request reporting enable"};
    Field relaxed_ordering{4, rw, "ROE", "enable relaxed ordering"};
    Field max_payload{7, 5, rw, "MPS", "maximum payload size"};
    Field extended_tag{8, rw, "ETE", "extended tag field enable"};
    Field no_snoop{11, rw, "NSE", "enable no snoop"};
    Field max_read_request{14, 12, rw, "MRRS", "maximum read request size"};
    Field initiate_flr{15, wo, "IFLR", "initiate function level reset"};
} inline constexpr device_control;

struct DeviceStatus {
    static constexpr unsigned offset = 0xa, width = 2;
    static constexpr const char* name = "DEVSTA";
    Field correctable_error{0, rw1c, "CED", "correctable error detected"};
    Field non_fatal_error{1, rw1c, "NFED", "non-fatal error detected"};
    Field fatal_error{2, rw1c, "FED", "fatal error detected"};
    Field unsupported_request{3, rw1c, "URD", "unsupported request detected"};
    Field transactions_pending{5, ro, "TP", "transactions pending"};
} inline constexpr device_status;

struct LinkCapabilities {
    static constexpr unsigned offset = 0xc, width = 4;
    static constexpr const char* name = "LNKCAP";
    Field max_speed{3, 0, ro, "MLS", "maximum link speed"};
    Field max_width{9, 4, ro, "MLW", "maximum link width"};
    Field link_active_reporting{20, ro, "DLLARC", "data link layer link active reporting capable"};
    Field port_number{31, 24, ro, "PN", "port number"};
} inline constexpr link_capabilities;

struct LinkControl {
    static constexpr unsigned offset = 0x10, width = 2;
    static constexpr const char* name = "LNKCTL";
    Field aspm{1, 0, rw, "ASPM", "active state power management control"};
    Field read_completion_boundary{3, rw, "RCB", "read completion boundary"};
    Field common_clock{6, rw, "CCC", "common clock configuration"};
    Field extended_synch{7, rw, "ES", "extended synch"};
} inline constexpr link_control;

struct LinkStatus {
    static constexpr unsigned offset = 0x12, width = 2;
    static constexpr const char* name = "LNKSTA";
    Field speed{3, 0, ro, "CLS", "current link speed"};
    Field width_negotiated{9, 4, ro, "NLW", "negotiated link width"};
    Field slot_clock{12, ro, "SCC", "slot clock configuration"};
    Field link_active{13, ro, "DLLA", "data link layer link active"};
} inline constexpr link_status;

struct RootControl {
    static constexpr unsigned offset = 0x1c, width = 2;
    static constexpr const char* name = "RTCTL";
    Field correctable_serr{0, rw, "SECE", "system error on correctable error enable"};
    Field non_fatal_serr{1, rw, "SENFE", "system error on non-fatal error enable"};
    Field fatal_serr{2, rw, "SEFE", "system error on fatal error enable"};
    Field pme_interrupt{3, rw, "PMEIE", "PME interrupt enable"};
} inline constexpr root_control;

struct DeviceCapabilities2 {
    static constexpr unsigned offset = 0x24, width = 4;
    static constexpr const char* name = "DEVCAP2";
    Field completion_timeout_disable{4, ro, "CTDS", "completion timeout disable supported"};
    Field ari_forwarding{5, ro, "ARIF", "ARI forwarding supported"};
} inline constexpr device_capabilities2;

struct DeviceControl2 {
    static constexpr unsigned offset = 0x28, width = 2;
    static constexpr const char* name = "DEVCTL2";
    Field completion_timeout_disable{4, rw, "CTD", "completion timeout disable"};
    Field ari_forwarding{5, rw, "ARIE", "ARI forwarding enable"};
} inline constexpr device_control2;

struct LinkControl2 {
    static constexpr unsigned offset = 0x30, width = 2;
    static constexpr const char* name = "LNKCTL2";
    Field target_speed{3, 0, rw, "TLS", "target link speed"};
} inline constexpr link_control2;

inline constexpr unsigned express_length = 0x3c;

// Access control services

struct AcsCapability {
    static constexpr unsigned offset = 4, width = 2;
    static constexpr const char* name = "ACSCAP";
    Field source_validation{0, ro, "SV", "source validation"};
    Field translation_blocking{1, ro, "TB", "translation blocking"};
    Field p2p_request_redirect{2, ro, "RR", "peer-to-peer request redirect"};
    Field p2p_completion_redirect{3, ro, "CR", "peer-to-peer completion redirect"};
    Field upstream_forwarding{4, ro, "UF", "upstream forwarding"};
} inline constexpr acs_capability;

struct AcsControl {
    static constexpr unsigned offset = 6, width = 2;
    static constexpr const char* name = "ACSCTL";
    Field source_validation{0, rw, "SV", "source validation enable"};
    Field translation_blocking{1, rw, "TB", "translation blocking enable"};
    Field p2p_request_redirect{2, rw, "RR", "peer-to-peer request redirect enable"};
    Field p2p_completion_redirect{3, rw, "CR", "peer-to-peer completion redirect enable"};
    Field upstream_forwarding{4, rw, "UF", "upstream forwarding enable"};
} inline constexpr acs_control;

// Alternative routing id interpretation

struct AriCapability {
    static constexpr unsigned offset = 4, width = 2;
    static constexpr const char* name = "ARICAP";
    Field next_function{15, 8, ro, "NFN", "next function number"};
} inline constexpr ari_capability;

// Advanced error reporting: one layout for status, mask and severity

inline constexpr u32 aer_uncorrectable = 0x007f'f030; ///< bits 5:4 and 22:12
inline constexpr u32 aer_uncorrectable_severity = 0x0046'2030;
inline constexpr u32 aer_correctable = 0x0000'f1c1; ///< bits 0, 8:6 and 15:12
inline constexpr u32 aer_advisory_non_fatal = 1u << 13;
inline constexpr u32 aer_unsupported_request = 1u << 20;
inline constexpr u32 aer_acs_violation = 1u << 21;

enum AerOffset : u8 {
    aer_uncorrectable_status = 0x04,
    aer_uncorrectable_mask = 0x08,
    aer_uncorrectable_severity_offset = 0x0c,
    aer_correctable_status = 0x10,
    aer_correctable_mask = 0x14,
    aer_capabilities = 0x18,
    aer_header_log = 0x1c,
    aer_root_error_command = 0x2c,
    aer_root_error_status = 0x30,
    aer_error_source = 0x34,
};

} // namespace vitrine::pci
