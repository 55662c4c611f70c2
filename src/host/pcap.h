// SPDX-License-Identifier: Apache-2.0
// A capture file (pcap with nanoseconds) that tshark and tcpdump read.
#pragma once

#include "base/error.h"
#include "base/ports.h"

#include <memory>
#include <string>
#include <string_view>

namespace vitrine::host {

/// Times in the file are `epoch` (seconds since 1970) and the virtual time since power on. What the host refuses to write is
/// told once on standard error; the machine goes on. `property` is who asks, in messages.
Expected<std::unique_ptr<FrameWitness>> open_pcap(const std::string& path, i64 epoch, std::string_view property = "pcap");

} // namespace vitrine::host
