// SPDX-License-Identifier: Apache-2.0
// Invalidation descriptors of 128 bits; freestanding. Intel VT-d, "Queued Invalidation Interface".
#pragma once

#include "words/bits.h"

namespace vitrine::vtd {

inline constexpr u64 descriptor_bytes = 16;

enum class DescriptorType : u8 { context_cache = 1, iotlb = 2, device_tlb = 3, interrupt_entry_cache = 4, wait = 5 };

/// Four bits here and three further ones.
struct AnyDescriptor {
    Field type{0, 3, ro, "TYPE", "type"};
    Field type_high{9, 11, ro, "TYPE", "type, upper bits"};
} inline constexpr any_descriptor;

struct ContextDescriptor {
    Field granularity{4, 5, ro, "G", "granularity"};
    Field domain{16, 31, ro, "DID", "domain-id"};
    Field source{32, 47, ro, "SID", "source-id"};
    Field function_mask{48, 49, ro, "FM", "function mask"};
} inline constexpr context_descriptor;

struct IotlbDescriptorLow {
    Field granularity{4, 5, ro, "G", "granularity"};
    Field drain_writes{6, ro, "DW", "drain writes"};
    Field drain_reads{7, ro, "DR", "drain reads"};
    Field domain{16, 31, ro, "DID", "domain-id"};
} inline constexpr iotlb_descriptor_low;

struct IotlbDescriptorHigh {
    Field mask{0, 5, ro, "AM", "address mask"};
    Field hint{6, ro, "IH", "invalidation hint"};
    Field address{12, 63, ro, "ADDR", "address"};
} inline constexpr iotlb_descriptor_high;

struct InterruptDescriptor {
    Field selective{4, ro, "G", "granularity: index-selective"};
    Field index_mask{27, 31, ro, "IM", "index mask"};
    Field index{32, 47, ro, "IIDX", "interrupt index"};
} inline constexpr interrupt_descriptor;

struct WaitDescriptorLow {
    Field interrupt{4, ro, "IF", "interrupt flag"};
    Field status_write{5, ro, "SW", "status write"};
    Field fence{6, ro, "FN", "fence flag"};
    Field data{32, 63, ro, "STATUS", "status data"};
} inline constexpr wait_descriptor_low;

struct WaitDescriptorHigh {
    Field address{2, 63, ro, "ADDR", "status address"};
} inline constexpr wait_descriptor_high;

} // namespace vitrine::vtd
