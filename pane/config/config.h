// SPDX-License-Identifier: Apache-2.0
// What guests there are: the first boot module, a text, read into plain data. pane/README.md shows one.
#pragma once

#include "words/integers.h"

#include <string_view>

namespace vitrine::pane {

/// How a guest's run ends, and how its configuration says that it shall.
enum class Ending : u8 { none, power_off, reset, halt, crash, stopped };

inline constexpr const char* ending_names[] = {"running", "power-off", "reset", "halt", "crash", "stopped"};

/// A virtio network adapter of a guest: on the switch between the guests, or with a queue pair of the physical adapter (VMDq).
struct NetworkConfig {
    bool vmdq = false;
    u16 vlan = 0; ///< of a queue pair: the network that it is on, unseen by the guest; 0: untagged frames
};

/// The physical network adapter that Pane drives.
struct AdapterConfig {
    bool wanted = false, any = false;
    u16 id = 0;                     ///< bus, device and function, unless it is any
    unsigned virtual_functions = 0; ///< to switch on
};

struct GuestConfig {
    static constexpr unsigned most_networks = 4;
    static constexpr unsigned most_devices = 4;

    std::string_view name, kernel, initrd, cmdline, disk;
    u64 memory = 256 << 20;
    unsigned cpus = 1;
    NetworkConfig networks[most_networks];
    unsigned network_count = 0;
    std::string_view devices[most_devices]; ///< "01:00.0", or "vf" for the next virtual function
    unsigned device_count = 0;
    bool trace = false; ///< tell each port access of the 8259s and what follows
    Ending ends = Ending::power_off;
};

struct Config {
    static constexpr unsigned most_guests = 8, most_cpus = 8;

    GuestConfig guests[most_guests];
    unsigned guest_count = 0;
    AdapterConfig adapter;
    std::string_view console = "all";
    bool vtd = true, posted = true; ///< use what there is
    bool stop_at_faults = false;    ///< a fault of its device ends a guest; else it is told and counted
    u64 live = 0; ///< seconds between two lines of live figures; 0: none
    u16 failure_port = 0;
    u8 failure_value = 1;
};

/// Panics with file, line and column where the text is wrong.
void read_config(std::string_view file, std::string_view text, Config& config);

} // namespace vitrine::pane
