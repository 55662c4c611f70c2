// SPDX-License-Identifier: Apache-2.0
// What `vitrine devices`, `vitrine cpus` and `vitrine explain` print: the tables themselves.
#pragma once

#include "base/error.h"
#include "glass/glass.h"

#include <span>
#include <string>
#include <string_view>

namespace vitrine::app {

std::string devices_text();
std::string cpus_text();

struct TopicRow {
    Topic topic;
    const char* meaning;
};

std::span<const TopicRow> topic_rows();

struct StatusRow {
    int status;
    const char* meaning;
};

/// Exit statuses that no ending has.
std::span<const StatusRow> other_statuses();

/// Device, CPU model, CPU feature, exception, MSR, CPUID leaf, event, topic, option, outcome or exit status.
Expected<std::string> explain_text(std::string_view what);

} // namespace vitrine::app
