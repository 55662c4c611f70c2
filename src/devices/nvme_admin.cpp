// SPDX-License-Identifier: Apache-2.0
// NVMe admin commands on queues, events and features.
#include "devices/nvme.h"

#include "pci/msix.h"

#include <algorithm>
#include <array>

namespace vitrine::nvme {

namespace {

constexpr std::size_t most_awaiting = 4;
constexpr u32 temperature = 303; ///< kelvin, for ever

/// A feature whose value is what was written to it.
struct FeatureRow {
    u8 id;
    const char* name;
    u32 initial;
    u32 writable;
};

// clang-format off
constexpr std::array<FeatureRow, 10> feature_rows{{
    {arbitration,                       "arbitration",                       0,      0xffff'ff07},
    {power_management,                  "power management",                  0,      0x0000'00ff},
    {temperature_threshold,             "temperature threshold",             343,    0x0000'ffff},
    {error_recovery,                    "error recovery",                    0,      0x0000'ffff},
    {volatile_write_cache,              "volatile write cache",              1,      0x0000'0001},
    {number_of_queues,                  "number of queues",                  0,      0},
    {interrupt_coalescing,              "interrupt coalescing",              0,      0x0000'ffff},
    {interrupt_vector_configuration,    "interrupt vector configuration",    0,      0},
    {write_atomicity,                   "write atomicity",                   0,      0x0000'0001},
    {asynchronous_event_configuration,  "asynchronous event configuration",  0,      0x0000'00ff},
}};

// clang-format on

const FeatureRow* feature_row(u8 id) {
    const auto row =
        std::find_if(feature_rows.begin(), feature_rows.end(), [&](const FeatureRow& r) { return r.id == id; });
    return row == feature_rows.end() ? nullptr : &*row;
}

} // namespace

std::span<const Controller::CommandRow> Controller::admin_commands() {
    static constexpr std::array<CommandRow, 10> rows{{
        {delete_io_sq, "nvme.delete-submission-queue", &Controller::delete_submission_queue, effect_supported},
        {create_io_sq, "nvme.create-submission-queue", &Controller::create_submission_queue, effect_supported},
        {get_log_page, "nvme.get-log-page", &Controller::log_page, effect_supported},
        {delete_io_cq, "nvme.delete-completion-queue", &Controller::delete_completion_queue, effect_supported},
        {create_io_cq, "nvme.create-completion-queue", &Controller::create_completion_queue, effect_supported},
        {identify, "nvme.identify", &Controller::identify_command, effect_supported},
        {abort, "nvme.abort", &Controller::abort_command, effect_supported},
        {set_features, "nvme.set-features", &Controller::set_feature, effect_supported},
        {get_features, "nvme.get-features", &Controller::get_feature, effect_supported},
        {asynchronous_event_request, "nvme.asynchronous-event-request", &Controller::await_event, effect_supported},
    }};
    return rows;
}

Controller::Reply Controller::create_completion_queue(const Command& c) {
    const u32 id = c.dw10 & 0xffff, size = (c.dw10 >> 16) + 1, vector = c.dw11 >> 16;
    if (!id || id >= cqs_.size() || cqs_[id].valid)
        return invalid_queue_identifier;
    if (size < 2 || size > largest_io_queue)
        return invalid_queue_size;
    if (!(c.dw11 & 1) || cc.iocqes(regs_.value(cc_offset)) != 4)
        return invalid_field;
    if (c.prp1 % page_size)
        return invalid_prp_offset;
    if (vector >= cqs_.size() || (!msix()->enabled() && vector))
        return invalid_interrupt_vector;
    cqs_[id] = {.valid = true,
                .base = c.prp1,
                .size = size,
                .vector = static_cast<u16>(vector),
                .interrupts = (c.dw11 & 2) != 0};
    return success;
}

Controller::Reply Controller::create_submission_queue(const Command& c) {
    const u32 id = c.dw10 & 0xffff, size = (c.dw10 >> 16) + 1, cq = c.dw11 >> 16;
    if (!cq || cq >= cqs_.size() || !cqs_[cq].valid)
        return completion_queue_invalid;
    if (!id || id >= sqs_.size() || sqs_[id].valid)
        return invalid_queue_identifier;
    if (size < 2 || size > largest_io_queue)
        return invalid_queue_size;
    if (!(c.dw11 & 1) || cc.iosqes(regs_.value(cc_offset)) != 6)
        return invalid_field;
    if (c.prp1 % page_size)
        return invalid_prp_offset;
    sqs_[id] = {.valid = true, .base = c.prp1, .size = size, .cq = static_cast<u16>(cq)};
    return success;
}

Controller::Reply Controller::delete_submission_queue(const Command& c) {
    const u32 id = c.dw10 & 0xffff;
    if (!id || id >= sqs_.size() || !sqs_[id].valid)
        return invalid_queue_identifier;
    sqs_[id] = {};
    return success;
}

Controller::Reply Controller::delete_completion_queue(const Command& c) {
    const u32 id = c.dw10 & 0xffff;
    if (!id || id >= cqs_.size() || !cqs_[id].valid)
        return invalid_queue_identifier;
    if (std::any_of(sqs_.begin(), sqs_.end(), [&](const SubmissionQueue& q) { return q.valid && q.cq == id; }))
        return invalid_queue_deletion;
    cqs_[id] = {};
    return success;
}

Controller::Reply Controller::abort_command(const Command& c) {
    // Commands are carried out as they are fetched; only asynchronous event requests are ever outstanding.
    const u16 queue = static_cast<u16>(c.dw10), command = static_cast<u16>(c.dw10 >> 16);
    const auto found = std::find(awaiting_.begin(), awaiting_.end(), command);
    // Its own completion needs a place as well.
    const CompletionQueue& cq = cqs_[0];
    if (queue == 0 && found != awaiting_.end() && (cq.tail + 2) % cq.size != cq.head && !cq.full()) {
        awaiting_.erase(found);
        complete(0, command, abort_requested);
        return {0, nullptr};
    }
    return {1, nullptr};
}

Controller::Reply Controller::await_event(const Command& c) {
    if (awaiting_.size() >= most_awaiting)
        return asynchronous_event_limit_exceeded;
    awaiting_.push_back(c.cid);
    Reply reply;
    reply.outstanding = true;
    return reply;
}

void Controller::reset_features() {
    features_ = {};
    for (const FeatureRow& row : feature_rows)
        features_[row.id] = row.initial;
    const u32 pairs = static_cast<u32>(sqs_.size()) - 2; // less the admin queue, less one as the value is
    features_[number_of_queues] = pairs << 16 | pairs;
    std::fill(coalescing_disabled_.begin(), coalescing_disabled_.end(), u8{0});
    over_temperature_ = 343;
    under_temperature_ = 0;
    temperature_told_ = false;
}

u32& Controller::threshold(u32 dw11) {
    return (dw11 >> 20 & 3) == 1 ? under_temperature_ : over_temperature_;
}

bool Controller::temperature_critical() const {
    return temperature >= over_temperature_ || (under_temperature_ && temperature <= under_temperature_);
}

Controller::Reply Controller::set_feature(const Command& c) {
    const u8 id = static_cast<u8>(c.dw10);
    const FeatureRow* row = feature_row(id);
    if (!row)
        return invalid_field;
    if (c.dw10 >> 31)
        return feature_not_saveable;
    switch (id) {
    case power_management:
        if (c.dw11 & 0x1f)
            return invalid_field; // one power state
        break;
    case temperature_threshold: {
        const u32 sensor = c.dw11 >> 16 & 0xf, which = c.dw11 >> 20 & 3;
        if ((sensor != 0 && sensor != 0xf) || which > 1)
            return invalid_field;
        threshold(c.dw11) = c.dw11 & 0xffff;
        if (temperature_critical() && !temperature_told_ && (features_[asynchronous_event_configuration] & 2))
            note(EventType::smart, event_temperature, smart); // handed out after this command's completion
        temperature_told_ = temperature_critical();
        return success;
    }
    case error_recovery:
        if (c.dw11 >> 16 & 1)
            return invalid_field; // deallocated blocks give no errors
        break;
    case number_of_queues: {
        const auto in_use = [](const auto& queues) {
            return std::any_of(queues.begin() + 1, queues.end(), [](const auto& q) { return q.valid; });
        };
        if (in_use(sqs_) || in_use(cqs_))
            return command_sequence_error;
        if ((c.dw11 & 0xffff) == 0xffff || c.dw11 >> 16 == 0xffff)
            return invalid_field;
        return {features_[number_of_queues], nullptr}; // all that there are, whatever was asked for
    }
    case interrupt_vector_configuration: {
        const u32 vector = c.dw11 & 0xffff;
        if (vector >= coalescing_disabled_.size())
            return invalid_field;
        coalescing_disabled_[vector] = c.dw11 >> 16 & 1;
        return success;
    }
    default:
        break;
    }
    features_[id] = c.dw11 & row->writable;
    return success;
}

Controller::Reply Controller::get_feature(const Command& c) {
    const u8 id = static_cast<u8>(c.dw10);
    const u32 select = c.dw10 >> 8 & 7;
    const FeatureRow* row = feature_row(id);
    if (!row || select > 3)
        return invalid_field;
    if (select == 3) // supported capabilities: changeable, not saveable, the same for every namespace
        return {4, nullptr};
    const bool current = select == 0;
    switch (id) {
    case temperature_threshold:
        if ((c.dw11 >> 16 & 0xf) != 0 || (c.dw11 >> 20 & 3) > 1)
            return invalid_field;
        return {current ? threshold(c.dw11) : (c.dw11 >> 20 & 3) ? 0 : row->initial, nullptr};
    case number_of_queues:
        return {features_[id], nullptr};
    case interrupt_vector_configuration: {
        const u32 vector = c.dw11 & 0xffff;
        if (vector >= coalescing_disabled_.size())
            return invalid_field;
        return {vector | (current ? static_cast<u32>(coalescing_disabled_[vector]) << 16 : 0), nullptr};
    }
    default:
        return {current ? features_[id] : row->initial, nullptr};
    }
}

} // namespace vitrine::nvme
