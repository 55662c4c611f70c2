// SPDX-License-Identifier: Apache-2.0
// What `vitrine run` was asked for: the machine, and how it is run and watched.
#pragma once

#include "machine/config.h"
#include "machine/pace.h"
#include "base/clock.h"

#include <optional>
#include <string>
#include <vector>

namespace vitrine::app {

struct RunOptions {
    machine::MachineConfig config;
    std::vector<std::string> serial; ///< stdio, file:PATH, unix:PATH, none
    std::optional<std::string> monitor;
    std::optional<u16> gdb;
    bool gdb_i386 = false; ///< gdb is told of a 32-bit processor
    bool wait_gdb = false;
    bool no_reboot = false;
    machine::PaceMode pace = machine::PaceMode::automatic;
    u64 stop_after = never;   ///< virtual nanoseconds
    u64 stop_at = never;      ///< instructions
    u64 hash_every = never;   ///< instructions
    u64 snapshot_at = never;  ///< instructions
    std::string snapshot_file, restore, record, replay;
    std::vector<std::string> trace; ///< topics
    std::string trace_file;
    bool stats = false, json = false, tap = false;
    bool perf_map = false; ///< names of translated code for perf on the host
    std::string junit;
    std::string report; ///< of the glass: a page, or - for text alone
    bool escapes_without_terminal = false; ///< Ctrl-A works on pipes too
    bool quiet = false;                    ///< nothing about the guest's odd behaviour on standard error
    std::vector<std::string> given;        ///< names of options; a restored or replayed machine must not contradict its file
};

} // namespace vitrine::app
