// SPDX-License-Identifier: Apache-2.0
// Entries of the tables in memory: root, context, second-stage and interrupt remapping entries, and the posted-interrupt descriptor; freestanding. Intel VT-d, "Translation Structure Formats".
#pragma once

#include "words/bits.h"

namespace vitrine::vtd {

struct RootEntry { // 128 bits; the upper half is reserved
    Field present{0, rw, "P", "present"};
    Field context_table{12, 63, rw, "CTP", "context-table pointer"};
} inline constexpr root_entry;

struct ContextLow {
    Field present{0, rw, "P", "present"};
    Field fault_disable{1, rw, "FPD", "fault processing disable"};
    Field type{2, 3, rw, "TT", "translation type"};
    Field table{12, 63, rw, "SSPTPTR", "second-stage page-table pointer"};
} inline constexpr context_low;

struct ContextHigh { // bits 127:64
    Field width{0, 2, rw, "AW", "address width"};
    Field available{3, 6, rw, "AVAIL", "for software"};
    Field domain{8, 23, rw, "DID", "domain identifier"};
} inline constexpr context_high;

enum class TranslationType : u8 { translate = 0, translate_all = 1, pass_through = 2, reserved = 3 };

struct SecondStage {
    Field read{0, rw, "R", "read"};
    Field write{1, rw, "W", "write"};
    Field large{7, rw, "PS", "page size"};
    Field snoop{11, rw, "SNP", "snoop behaviour"};
    Field address{12, 51, rw, "ADDR", "address"};
    Field transient{62, rw, "TM", "transient mapping"};
} inline constexpr second_stage;

struct RemappedLow { // an interrupt remapping entry, IM = 0
    Field present{0, rw, "P", "present"};
    Field fault_disable{1, rw, "FPD", "fault processing disable"};
    Field logical{2, rw, "DM", "destination mode"};
    Field redirection_hint{3, rw, "RH", "redirection hint"};
    Field level{4, rw, "TM", "trigger mode"};
    Field delivery_mode{5, 7, rw, "DLM", "delivery mode"};
    Field available{8, 11, rw, "AVAIL", "for software"};
    Field posted{15, rw, "IM", "IRTE mode: posted"};
    Field vector{16, 23, rw, "V", "vector"};
    Field destination{32, 63, rw, "DST", "destination id"};
} inline constexpr remapped_low;

struct PostedLow { // an interrupt remapping entry, IM = 1
    Field present{0, rw, "P", "present"};
    Field fault_disable{1, rw, "FPD", "fault processing disable"};
    Field available{8, 11, rw, "AVAIL", "for software"};
    Field urgent{14, rw, "URG", "urgent"};
    Field posted{15, rw, "IM", "IRTE mode: posted"};
    Field vector{16, 23, rw, "VV", "virtual vector"};
    Field descriptor_low{38, 63, rw, "PDAL", "posted descriptor address 31:6"};
} inline constexpr posted_low;

struct RemappedHigh { // bits 127:64, of both modes
    Field source{0, 15, rw, "SID", "source identifier"};
    Field qualifier{16, 17, rw, "SQ", "source-id qualifier"};
    Field validation{18, 19, rw, "SVT", "source validation type"};
} inline constexpr remapped_high;

struct PostedHigh {
    Field descriptor_high{32, 63, rw, "PDAH", "posted descriptor address 63:32"};
} inline constexpr posted_high;

enum class SourceValidation : u8 { none = 0, source = 1, buses = 2, reserved = 3 };

/// The posted-interrupt descriptor: 256 requests, then this quadword.
inline constexpr u64 descriptor_size = 64, descriptor_control_at = 32;

struct DescriptorControl {
    Field outstanding{0, rw, "ON", "outstanding notification"};
    Field suppress{1, rw, "SN", "suppress notification"};
    Field vector{16, 23, rw, "NV", "notification vector"};
    Field destination{32, 63, rw, "NDST", "notification destination"};
} inline constexpr descriptor_control;

/// An interrupt request of remappable format: bits of the address.
struct RemappableAddress {
    Field handle_high{2, ro, "HANDLE", "handle bit 15"};
    Field subhandle_valid{3, ro, "SHV", "subhandle valid"};
    Field remappable{4, ro, "IF", "interrupt format: remappable"};
    Field handle{5, 19, ro, "HANDLE", "handle bits 14:0"};
} inline constexpr remappable_address;

struct RemappableData {
    Field subhandle{0, 15, ro, "SUBHANDLE", "subhandle"};
} inline constexpr remappable_data;

} // namespace vitrine::vtd
