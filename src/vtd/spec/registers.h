// SPDX-License-Identifier: Apache-2.0
// The remapping unit's registers as the manual prints them; freestanding. Intel VT-d, "Register Descriptions".
#pragma once

#include "words/bits.h"
#include "words/integers.h"

namespace vitrine::vtd {

inline constexpr u64 default_base = 0xfed9'0000, region_size = 0x1000;

/// Where the records and the IOTLB registers lie is the implementation's choice, which CAP and ECAP tell.
inline constexpr u64 fault_records_at = 0x100, iotlb_registers_at = 0x200;
inline constexpr unsigned fault_records = 8;

/// MAMV: a page-selective invalidation takes at most 2^18 pages.
inline constexpr unsigned most_address_mask = 18;

enum Offset : u16 {
    version_at = 0x000,
    capability_at = 0x008,
    extended_capability_at = 0x010,
    global_command_at = 0x018,
    global_status_at = 0x01c,
    root_table_at = 0x020,
    context_command_at = 0x028,
    fault_status_at = 0x034,
    fault_event_at = 0x038, ///< control, data, address, upper address: four registers
    protected_enable_at = 0x064,
    protected_low_base_at = 0x068,
    protected_low_limit_at = 0x06c,
    protected_high_base_at = 0x070,
    protected_high_limit_at = 0x078,
    queue_head_at = 0x080,
    queue_tail_at = 0x088,
    queue_address_at = 0x090,
    completion_status_at = 0x09c,
    completion_event_at = 0x0a0, ///< control, data, address, upper address
    queue_error_at = 0x0b0,
    interrupt_table_at = 0x0b8,
    invalidate_address_at = iotlb_registers_at,
    iotlb_invalidate_at = iotlb_registers_at + 8,
};

struct Version {
    Field minor{0, 3, ro, "MIN", "minor version"};
    Field major{4, 7, ro, "MAX", "major version"};
} inline constexpr version;

struct Capability {
    Field domains{0, 2, ro, "ND", "number of domains supported: 2^(4 + 2 ND)"};
    Field advanced_fault_log{3, ro, "AFL", "advanced fault logging"};
    Field write_buffer_flush{4, ro, "RWBF", "required write-buffer flushing"};
    Field protected_low{5, ro, "PLMR", "protected low-memory region"};
    Field protected_high{6, ro, "PHMR", "protected high-memory region"};
    Field caching_mode{7, ro, "CM", "caching mode"};
    Field address_widths{8, 12, ro, "SAGAW", "supported adjusted guest address widths"};
    Field guest_address_width{16, 21, ro, "MGAW", "maximum guest address width, less one"};
    Field zero_length_read{22, ro, "ZLR", "zero length read"};
    Field fault_offset{24, 33, ro, "FRO", "fault-recording register offset, in units of 16 bytes"};
    Field large_pages{34, 37, ro, "SLLPS", "second stage large page support: 2M, 1G"};
    Field page_selective{39, ro, "PSI", "page selective invalidation"};
    Field fault_records{40, 47, ro, "NFR", "number of fault-recording registers, less one"};
    Field address_mask{48, 53, ro, "MAMV", "maximum address mask value"};
    Field drain_writes{54, ro, "DWD", "write draining"};
    Field drain_reads{55, ro, "DRD", "read draining"};
    Field posted_interrupts{59, ro, "PI", "posted interrupts support"};
} inline constexpr capability;

struct ExtendedCapability {
    Field coherent{0, ro, "C", "page-walk coherency"};
    Field queue{1, ro, "QI", "queued invalidation support"};
    Field device_tlb{2, ro, "DT", "device-TLB support"};
    Field interrupt_remapping{3, ro, "IR", "interrupt remapping support"};
    Field extended_interrupt_mode{4, ro, "EIM", "extended interrupt mode"};
    Field pass_through{6, ro, "PT", "pass through"};
    Field snoop_control{7, ro, "SC", "snoop control"};
    Field iotlb_offset{8, 17, ro, "IRO", "IOTLB register offset, in units of 16 bytes"};
    Field handle_mask{20, 23, ro, "MHMV", "maximum handle mask value"};
} inline constexpr extended_capability;

struct GlobalCommand {
    Field compatibility{23, wo, "CFI", "compatibility format interrupt"};
    Field set_interrupt_table{24, wo, "SIRTP", "set interrupt remap table pointer"};
    Field interrupt_remapping{25, wo, "IRE", "interrupt remapping enable"};
    Field queue{26, wo, "QIE", "queued invalidation enable"};
    Field write_buffer_flush{27, wo, "WBF", "write buffer flush"};
    Field set_root_table{30, wo, "SRTP", "set root table pointer"};
    Field translation{31, wo, "TE", "translation enable"};
} inline constexpr global_command;

struct GlobalStatus {
    Field compatibility{23, ro, "CFIS", "compatibility format interrupt status"};
    Field interrupt_table{24, ro, "IRTPS", "interrupt remapping table pointer status"};
    Field interrupt_remapping{25, ro, "IRES", "interrupt remapping enable status"};
    Field queue{26, ro, "QIES", "queued invalidation enable status"};
    Field write_buffer_flush{27, ro, "WBFS", "write buffer flush status"};
    Field root_table{30, ro, "RTPS", "root table pointer status"};
    Field translation{31, ro, "TES", "translation enable status"};
} inline constexpr global_status;

struct RootTable {
    Field mode{10, 11, rw, "TTM", "translation table mode"};
    Field address{12, 63, rw, "RTA", "root table address"};
} inline constexpr root_table;

struct ContextCommand {
    Field domain{0, 15, rw, "DID", "domain-id"};
    Field source{16, 31, rw, "SID", "source-id"};
    Field function_mask{32, 33, rw, "FM", "function mask"};
    Field actual{59, 60, ro, "CAIG", "context actual invalidation granularity"};
    Field requested{61, 62, rw, "CIRG", "context invalidation request granularity"};
    Field invalidate{63, rw, "ICC", "invalidate context-cache"};
} inline constexpr context_command;

enum class Granularity : u8 { reserved = 0, global = 1, domain = 2, selective = 3 };

struct FaultStatus {
    Field overflow{0, rw1c, "PFO", "primary fault overflow"};
    Field pending{1, ro, "PPF", "primary pending fault"};
    Field queue_error{4, rw1c, "IQE", "invalidation queue error"};
    Field completion_error{5, rw1c, "ICE", "invalidation completion error"};
    Field time_out{6, rw1c, "ITE", "invalidation time-out error"};
    Field index{8, 15, ro, "FRI", "fault record index"};
} inline constexpr fault_status;

struct EventControl { // of the fault event and of the invalidation completion event
    Field pending{30, ro, "IP", "interrupt pending"};
    Field mask{31, rw, "IM", "interrupt mask"};
} inline constexpr event_control;

struct EventData {
    Field data{0, 15, rw, "IMD", "interrupt message data"};
} inline constexpr event_data;

struct EventAddress {
    Field address{2, 31, rw, "MA", "message address"};
} inline constexpr event_address;

struct EventUpperAddress {
    Field address{0, 31, rw, "MUA", "message upper address"};
} inline constexpr event_upper_address;

struct ProtectedEnable {
    Field status{0, ro, "PRS", "protected region status"};
    Field enable{31, rw, "EPM", "enable protected memory"};
} inline constexpr protected_enable;

/// Base and limit of both regions have a grain of 2 MiB: the bits below are zero.
struct ProtectedLow {
    Field address{21, 31, rw, "PLM", "protected low-memory base or limit"};
} inline constexpr protected_low;

struct ProtectedHigh {
    Field address{21, 63, rw, "PHM", "protected high-memory base or limit"};
} inline constexpr protected_high;

struct QueueHead {
    Field head{4, 18, ro, "QH", "queue head, in bytes from the base"};
} inline constexpr queue_head;

struct QueueTail {
    Field tail{4, 18, rw, "QT", "queue tail, in bytes from the base"};
} inline constexpr queue_tail;

struct QueueAddress {
    Field size{0, 2, rw, "QS", "queue size: 2^QS pages"};
    Field width{11, rw, "DW", "descriptor width: 256 bits"};
    Field address{12, 63, rw, "IQA", "invalidation queue base address"};
} inline constexpr queue_address;

struct CompletionStatus {
    Field complete{0, rw1c, "IWC", "invalidation wait descriptor complete"};
} inline constexpr completion_status;

struct QueueError {
    Field information{0, 3, ro, "IQEI", "invalidation queue error information"};
} inline constexpr queue_error;

struct InterruptTable {
    Field size{0, 3, rw, "S", "size: 2^(S + 1) entries"};
    Field extended{11, rw, "EIME", "extended interrupt mode enable"};
    Field address{12, 63, rw, "IRTA", "interrupt remapping table address"};
} inline constexpr interrupt_table;

struct InvalidateAddress {
    Field mask{0, 5, wo, "AM", "address mask"};
    Field hint{6, wo, "IH", "invalidation hint"};
    Field address{12, 63, wo, "ADDR", "address"};
} inline constexpr invalidate_address;

struct IotlbInvalidate {
    Field domain{32, 47, rw, "DID", "domain-id"};
    Field drain_writes{48, rw, "DW", "drain writes"};
    Field drain_reads{49, rw, "DR", "drain reads"};
    Field actual{57, 58, ro, "IAIG", "IOTLB actual invalidation granularity"};
    Field requested{60, 61, rw, "IIRG", "IOTLB invalidation request granularity"};
    Field invalidate{63, rw, "IVT", "invalidate IOTLB"};
} inline constexpr iotlb_invalidate;

struct FaultRecordLow {
    Field information{12, 63, ro, "FI", "fault info: page address, or interrupt index in bits 63:48"};
} inline constexpr fault_record_low;

struct FaultRecordHigh { // bits 127:64
    Field source{0, 15, ro, "SID", "source identifier"};
    Field reason{32, 39, ro, "FR", "fault reason"};
    Field address_type{60, 61, ro, "AT", "address type"};
    Field read{62, ro, "T", "type: a read request"};
    Field fault{63, rw1c, "F", "fault"};
} inline constexpr fault_record_high;

} // namespace vitrine::vtd
