// SPDX-License-Identifier: Apache-2.0
// A switch that learns.
#include "devices/network_segment.h"

#include <algorithm>

namespace vitrine {

namespace {

u64 address_at(std::span<const u8> frame, unsigned at) {
    u64 value = 0;
    for (unsigned i = 0; i < 6; ++i)
        value = value << 8 | frame[at + i];
    return value;
}

constexpr u64 group_bit = 1ull << 40;

} // namespace

FrameSink& NetworkSegment::plug(FrameSink& adapter) {
    plugs_.push_back(std::make_unique<Plug>(*this, static_cast<u32>(plugs_.size()), adapter));
    return *plugs_.back();
}

std::size_t NetworkSegment::room() const {
    if (plugs_.empty())
        return ~std::size_t{0};
    // An adapter whose driver takes nothing away must not stop its neighbours: it misses frames, and counts them.
    std::size_t most = 0;
    for (const auto& plug : plugs_)
        most = std::max(most, plug->adapter().room());
    return most;
}

void NetworkSegment::forward(u32 from, std::span<const u8> frame) {
    if (frame.size() < 14) {
        glass_.odd(Topic::devices, "segment.runt", {{"segment", name_}, {"bytes", frame.size()}});
        return;
    }
    ++frames_;
    bytes_ += frame.size();
    const u64 destination = address_at(frame, 0), source = address_at(frame, 6);
    if (!(source & group_bit) && (addresses_.contains(source) || addresses_.size() < most_addresses))
        addresses_[source] = from;
    const auto known = destination & group_bit ? addresses_.end() : addresses_.find(destination);
    const bool all = known == addresses_.end();
    for (u32 n = 0; n < plugs_.size(); ++n)
        if (n != from && (all || known->second == n))
            plugs_[n]->adapter().receive(frame);
    if (outside_ && from != outside_port && (all || known->second == outside_port))
        outside_->receive(frame);
}

void NetworkSegment::reset(Reset kind) {
    if (kind != Reset::cold)
        return;
    addresses_.clear();
    frames_ = bytes_ = 0;
}

void NetworkSegment::state(Visitor& v) {
    v.field("frames", frames_);
    v.field("bytes", bytes_);
    const u64 n = v.count("addresses", addresses_.size(), most_addresses);
    if (v.loading()) {
        addresses_.clear();
        for (u64 i = 0; i < n; ++i) {
            u64 address = 0;
            u32 port = 0;
            v.field("address", address);
            v.field("port", port);
            if (port != outside_port && port >= plugs_.size())
                return v.refuse("a network segment knows a port that it does not have");
            addresses_[address] = port;
        }
        return;
    }
    for (auto& [address, port] : addresses_) {
        u64 a = address;
        v.field("address", a);
        v.field("port", port);
    }
}

} // namespace vitrine
