// SPDX-License-Identifier: Apache-2.0
// The names of what an adapter counts.
#include "vtc/counters.h"

namespace vitrine::vtc {

namespace {

// clang-format off
constexpr CounterRow<PortCounters> port_rows[] = {
    {"rx-frames",            &PortCounters::rx_frames},
    {"rx-bytes",             &PortCounters::rx_bytes},
    {"tx-frames",            &PortCounters::tx_frames},
    {"tx-bytes",             &PortCounters::tx_bytes},
    {"looped-back",          &PortCounters::looped_back},
    {"dropped.runt",         &PortCounters::runt},
    {"dropped.link-down",    &PortCounters::link_down},
    {"dropped.hears-itself", &PortCounters::deaf},
    {"dropped.receiver-off", &PortCounters::receiver_off},
    {"dropped.no-filter",    &PortCounters::no_filter},
    {"dropped.vlan",         &PortCounters::vlan},
    {"dropped.pool-off",     &PortCounters::pool_off},
    {"dropped.too-long",     &PortCounters::too_long},
    {"dropped.no-room",      &PortCounters::no_room},
    {"dropped.tx-link-down", &PortCounters::tx_link_down},
    {"resets",               &PortCounters::resets},
    {"rx-control",           &PortCounters::rx_control},
    {"tx-control",           &PortCounters::tx_control},
};

constexpr CounterRow<PoolCounters> pool_rows[] = {
    {"rx-frames",              &PoolCounters::rx_frames},
    {"rx-bytes",               &PoolCounters::rx_bytes},
    {"rx-multicast",           &PoolCounters::rx_multicast},
    {"tx-frames",              &PoolCounters::tx_frames},
    {"tx-bytes",               &PoolCounters::tx_bytes},
    {"looped",                 &PoolCounters::looped},
    {"stayed",                 &PoolCounters::stayed},
    {"dropped.no-descriptor",  &PoolCounters::no_descriptor},
    {"dropped.queue-off",      &PoolCounters::not_enabled},
    {"dropped.too-long",       &PoolCounters::too_long},
    {"dropped.flow-director",  &PoolCounters::unwanted},
    {"dropped.spoofed",        &PoolCounters::spoofed},
    {"dropped.bad-descriptor", &PoolCounters::bad_descriptor},
};

constexpr CounterRow<QueueCounters> queue_rows[] = {
    {"rx-frames",       &QueueCounters::rx_frames},
    {"rx-bytes",        &QueueCounters::rx_bytes},
    {"tx-frames",       &QueueCounters::tx_frames},
    {"tx-bytes",        &QueueCounters::tx_bytes},
    {"dropped.rx",      &QueueCounters::rx_lost},
    {"dropped.tx",      &QueueCounters::tx_refused},
};
// clang-format on

// A counter without a row would be no state, and nobody would see it.
static_assert(std::size(port_rows) * sizeof(u64) == sizeof(PortCounters));
static_assert(std::size(pool_rows) * sizeof(u64) == sizeof(PoolCounters));
static_assert(std::size(queue_rows) * sizeof(u64) == sizeof(QueueCounters));

} // namespace

std::span<const CounterRow<PortCounters>> rows_of(const PortCounters&) { return port_rows; }

std::span<const CounterRow<PoolCounters>> rows_of(const PoolCounters&) { return pool_rows; }

std::span<const CounterRow<QueueCounters>> rows_of(const QueueCounters&) { return queue_rows; }

} // namespace vitrine::vtc
