// SPDX-License-Identifier: Apache-2.0
// The rows of the registers.
#include "vtd/register_rows.h"

#include "vtd/spec/registers.h"

namespace vitrine::vtd {

namespace {

template <class Layout> RegisterRow row(u64 offset, unsigned width, const char* name, const char* meaning, const Layout& layout, u64 reset = 0, bool of_interrupts = false) {
    const auto fields = fields_of(layout);
    return {{offset, width, reset, name, meaning}, {fields.begin(), fields.end()}, of_interrupts};
}

std::vector<RegisterRow> make_rows() {
    constexpr u64 version_1_0 = 0x10, masked = event_control.mask.mask();
    // clang-format off
    std::vector<RegisterRow> rows{
        row(version_at,                 4, "VER",      "version", version, version_1_0),
        row(capability_at,              8, "CAP",      "capability", capability),
        row(extended_capability_at,     8, "ECAP",     "extended capability", extended_capability),
        row(global_command_at,          4, "GCMD",     "global command", global_command),
        row(global_status_at,           4, "GSTS",     "global status", global_status),
        row(root_table_at,              8, "RTADDR",   "root table address", root_table),
        row(context_command_at,         8, "CCMD",     "context command", context_command),
        row(fault_status_at,            4, "FSTS",     "fault status", fault_status),
        row(fault_event_at,             4, "FECTL",    "fault event control", event_control, masked),
        row(fault_event_at + 4,         4, "FEDATA",   "fault event data", event_data),
        row(fault_event_at + 8,         4, "FEADDR",   "fault event address", event_address),
        row(fault_event_at + 12,        4, "FEUADDR",  "fault event upper address", event_upper_address),
        row(protected_enable_at,        4, "PMEN",     "protected memory enable", protected_enable),
        row(protected_low_base_at,      4, "PLMBASE",  "protected low-memory base", protected_low),
        row(protected_low_limit_at,     4, "PLMLIMIT", "protected low-memory limit", protected_low),
        row(protected_high_base_at,     8, "PHMBASE",  "protected high-memory base", protected_high),
        row(protected_high_limit_at,    8, "PHMLIMIT", "protected high-memory limit", protected_high),
        row(queue_head_at,              8, "IQH",      "invalidation queue head", queue_head),
        row(queue_tail_at,              8, "IQT",      "invalidation queue tail", queue_tail),
        row(queue_address_at,           8, "IQA",      "invalidation queue address", queue_address),
        row(completion_status_at,       4, "ICS",      "invalidation completion status", completion_status),
        row(completion_event_at,        4, "IECTL",    "invalidation completion event control", event_control, masked),
        row(completion_event_at + 4,    4, "IEDATA",   "invalidation completion event data", event_data),
        row(completion_event_at + 8,    4, "IEADDR",   "invalidation completion event address", event_address),
        row(completion_event_at + 12,   4, "IEUADDR",  "invalidation completion event upper address", event_upper_address),
        row(queue_error_at,             8, "IQERCD",   "invalidation queue error record", queue_error),
        row(interrupt_table_at,         8, "IRTA",     "interrupt remapping table address", interrupt_table, 0, true),
    };
    // clang-format on
    static constexpr const char* low_names[] = {"FRCD0", "FRCD1", "FRCD2", "FRCD3", "FRCD4", "FRCD5", "FRCD6", "FRCD7"};
    static constexpr const char* high_names[] = {"FRCD0H", "FRCD1H", "FRCD2H", "FRCD3H", "FRCD4H", "FRCD5H", "FRCD6H", "FRCD7H"};
    static_assert(std::size(low_names) == fault_records);
    for (unsigned n = 0; n < fault_records; ++n) {
        rows.push_back(row(fault_records_at + 16 * n, 8, low_names[n], "fault recording, bits 63:0", fault_record_low));
        rows.push_back(row(fault_records_at + 16 * n + 8, 8, high_names[n], "fault recording, bits 127:64", fault_record_high));
    }
    rows.push_back(row(invalidate_address_at, 8, "IVA", "invalidate address", invalidate_address));
    rows.push_back(row(iotlb_invalidate_at, 8, "IOTLB", "IOTLB invalidate", iotlb_invalidate));
    return rows;
}

} // namespace

std::span<const RegisterRow> register_rows() {
    static const std::vector<RegisterRow> rows = make_rows();
    return rows;
}

} // namespace vitrine::vtd
