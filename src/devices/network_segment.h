// SPDX-License-Identifier: Apache-2.0
// A network segment of the machine, as --net makes one: a learning switch between the adapters that are plugged into it and, if
// there is one, the network outside. Frames pass at once; the time that they take is counted by the adapters that send them.
#pragma once

#include "base/device.h"
#include "base/ports.h"
#include "glass/glass.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace vitrine {

class NetworkSegment final : public Device, public FrameSink {
public:
    NetworkSegment(std::string name, Glass& glass, FrameSink* outside) : name_(std::move(name)), glass_(glass), outside_(outside) {}

    /// Plugs `adapter` in; what it sends goes into the sink that is returned, which lives as long as the segment.
    FrameSink& plug(FrameSink& adapter);

    /// A frame from outside.
    void receive(std::span<const u8> frame) override { forward(outside_port, frame); }
    /// What the adapter with most room takes; the others miss what is too much for them.
    std::size_t room() const override;

    std::string_view name() const override { return name_; }
    void reset(Reset kind) override;
    void access(Region&, Access&) override {}
    void state(Visitor& v) override;

    static constexpr std::size_t most_addresses = 1024;

private:
    static constexpr u32 outside_port = ~0u;

    class Plug final : public FrameSink {
    public:
        Plug(NetworkSegment& segment, u32 number, FrameSink& adapter) : segment_(segment), number_(number), adapter_(adapter) {}
        void receive(std::span<const u8> frame) override { segment_.forward(number_, frame); }
        FrameSink& adapter() { return adapter_; }

    private:
        NetworkSegment& segment_;
        u32 number_;
        FrameSink& adapter_;
    };

    void forward(u32 from, std::span<const u8> frame);

    std::string name_;
    Glass& glass_;
    FrameSink* outside_;
    std::vector<std::unique_ptr<Plug>> plugs_;
    std::map<u64, u32> addresses_; ///< where a station was heard last
    u64 frames_ = 0, bytes_ = 0;
};

} // namespace vitrine
