// SPDX-License-Identifier: Apache-2.0
// The adapter that Pane drives: one port, its pools for guests' queues, its virtual functions.
#pragma once

#include "pane/adapter/chip.h"
#include "pane/adapter/pool.h"
#include "pane/adapter/virtual_function.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/time.h"
#include "pane/pci/pci.h"

namespace vitrine::pane {

struct Port {
    static constexpr unsigned most_pools = 8, most_virtual_functions = 63;
    static constexpr unsigned first_address = 1; ///< entry of pool 0's exact address; entry 0 is the port's own

    const Chip* chip = nullptr;
    Function* function = nullptr;
    u64 registers = 0;
    Mac address{}; ///< its own, from its EEPROM
    bool link = false;
    u64 link_changes = 0;

    Pool pools[most_pools]; ///< the first one is the adapter's pool number `first_pool`
    unsigned pool_count = 0, first_pool = 0;
    VirtualFunction virtual_functions[most_virtual_functions];
    unsigned virtual_function_count = 0, silenced = 0;

    u64 interrupts = 0;

    /// Interrupts that are looked at within a window; then virtual functions are not heard until it is over, whatever
    /// they do.
    static constexpr unsigned most_interrupts = 40;
    u64 window_end = 0; ///< TSC
    unsigned in_window = 0;
    bool deaf = false;
    u64 deafened = 0;

    u64 spoofed = 0, missed = 0; ///< as far as the counters have been read, which reading clears
    u32 multicast[128]{};        ///< what MTA holds

    u32 read(u32 offset) const { return *reinterpret_cast<volatile u32*>(registers + offset); }

    void write(u32 offset, u32 value) { *reinterpret_cast<volatile u32*>(registers + offset) = value; }

    void change(u32 offset, u32 set, u32 clear = 0) { write(offset, (read(offset) & ~clear) | set); }

    /// False: the bits have not become so in that time.
    bool wait(u32 offset, u32 mask, u32 value, u64 limit_in_microseconds) const {
        const u64 start = rdtsc(), limit = microseconds(limit_in_microseconds);
        while ((read(offset) & mask) != value)
            if (rdtsc() - start > limit)
                return false;
        return true;
    }

    /// Locally administered: the last bytes of the port's own address, and the pool's number.
    Mac address_of(unsigned pool) const {
        return {{0x52, 0x50, address.bytes[3], address.bytes[4], address.bytes[5], static_cast<u8>(pool)}};
    }
};

extern Port adapter_port;

/// "52:50:49:54:00:01", for messages.
struct MacName {
    char text[18];

    explicit MacName(const Mac& mac);

    operator std::string_view() const { return {text, 17}; }
};

// filters.cpp
/// Bits of VMOLR that both chips have.
namespace pool_takes {
inline constexpr u32 untagged = 1u << 24, multicast_hash = 1u << 25, broadcasts = 1u << 27, all_multicast = 1u << 28;
inline constexpr u32 strip_vlan = 1u << 30; ///< the 82576's alone
} // namespace pool_takes

void filter_address(Port& port, unsigned entry, const Mac& mac, u64 pools);
/// False: there is no room for one more VLAN.
bool filter_vlan(Port& port, unsigned pool, u16 vlan, bool on);
void filter_forget_vlans(Port& port, unsigned pool);
/// The multicast table as all virtual functions together want it.
void filter_multicast(Port& port);
void pool_enable(Port& port, unsigned pool, bool on);

// sriov.cpp
/// Switches virtual functions on, and offers them to guests.
void start_virtual_functions(Port& port, unsigned count);

// mailbox.cpp
void mailbox_events(Port& port, u64 now);
/// Tells all virtual functions that something about the port has changed.
void mailbox_ping(Port& port);
/// Those who asked too often are heard again; when the next one is.
u64 mailbox_next(Port& port, u64 now);

} // namespace vitrine::pane
