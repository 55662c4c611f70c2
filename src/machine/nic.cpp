// SPDX-License-Identifier: Apache-2.0
// Plugging adapters in: properties, captures, the root port above and the network beside.
#include "machine/nic.h"

#include "host/pcap.h"
#include "machine/board.h"
#include "machine/machine.h"
#include "vtc/i82576.h"
#include "vtc/i82599.h"

#include <charconv>
#include <map>

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr vtc::Mac standard_mac = 0x0256'4954'0000; ///< locally administered; "VIT"

Expected<vtc::Mac> parse_mac(const DeviceConfig& device, const std::string& text) {
    vtc::Mac mac = 0;
    bool good = text.size() == 17;
    for (unsigned i = 0; good && i < 6; ++i) {
        unsigned byte = 0;
        const char* at = text.data() + 3 * i;
        const auto [end, error] = std::from_chars(at, at + 2, byte, 16);
        good = error == std::errc{} && end == at + 2 && (i == 5 || at[2] == ':');
        mac = mac << 8 | byte;
    }
    if (!good || vtc::is_group(mac) || mac == 0)
        return Error("--device " + device.name + ": mac=" + text + " must be the address of one station, such as 02:00:00:00:00:01");
    return mac;
}

/// The captures of one adapter. Those of pools are opened when something passes.
struct Captures {
    std::unique_ptr<FrameWitness> port;
    std::map<unsigned, std::unique_ptr<FrameWitness>> pools;
};

template <class T> Expected<> plug(const DeviceConfig& device, Board& board) {
    Machine& m = board.machine();
    const unsigned n = board.next_number("adapter");
    vtc::Options options{.name = fmt::format("nic{}", n), .mac = standard_mac + n * 0x100};
    if (const std::string* text = device.property("mac"))
        options.mac = TRY(parse_mac(device, *text));
    NetworkSegment* segment = nullptr;
    if (const std::string* id = device.property("net")) {
        segment = board.segment(*id);
        if (!segment)
            return Error("--device " + device.name + ": there is no network '" + *id + "'; --net " + *id + ",kind=user would make one");
    }
    const i64 epoch = m.config().rtc;
    const auto captures = std::make_shared<Captures>();
    if (const std::string* file = device.property("pcap")) {
        captures->port = TRY(host::open_pcap(*file, epoch));
        options.capture = captures->port.get();
    }
    const std::string* prefix = device.property("pcap_pools");
    options.pool_capture = [captures, prefix = prefix ? *prefix : "", epoch](unsigned pool) -> FrameWitness* {
        if (prefix.empty())
            return nullptr;
        auto& capture = captures->pools[pool];
        if (!capture)
            if (auto made = host::open_pcap(fmt::format("{}-pool{}.pcap", prefix, pool), epoch); made.ok())
                capture = std::move(made).value();
        return capture.get();
    };
    auto adapter = std::make_unique<T>(board.platform(), m.clock(), options);
    pci::RootPort* port = TRY(board.plug_root_port(adapter->chip().link));
    port->secondary().attach(*adapter, 0);
    adapter->attach_virtual_functions(port->secondary());
    if (segment)
        adapter->connect(&segment->plug(*adapter));
    board.plug_adapter(std::move(adapter));
    return {};
}

} // namespace

Expected<> plug_i82576(const DeviceConfig& device, Board& board) { return plug<vtc::I82576>(device, board); }

Expected<> plug_i82599(const DeviceConfig& device, Board& board) { return plug<vtc::I82599>(device, board); }

} // namespace vitrine::machine
