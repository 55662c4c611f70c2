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

/// The captures of one adapter. Pool 0's is opened at once, so that a wrong name is an error before the run; the others when something passes.
class Captures {
public:
    std::unique_ptr<FrameWitness> port;

    Expected<> open_pools(Machine& machine, const std::string& prefix) {
        machine_ = &machine;
        prefix_ = prefix;
        pools_[0] = TRY(open(0));
        return {};
    }

    FrameWitness* of_pool(unsigned pool) {
        if (prefix_.empty())
            return nullptr;
        const auto [found, is_new] = pools_.try_emplace(pool);
        if (is_new) {
            Expected<std::unique_ptr<FrameWitness>> made = open(pool);
            if (made.ok())
                found->second = std::move(made).value();
            else
                machine_->request({EndingKind::refused, 0, made.error().message});
        }
        return found->second.get();
    }

private:
    Expected<std::unique_ptr<FrameWitness>> open(unsigned pool) {
        return host::open_pcap(fmt::format("{}-pool{}.pcap", prefix_, pool), machine_->config().rtc, "pcap_pools");
    }

    Machine* machine_ = nullptr;
    std::string prefix_;
    std::map<unsigned, std::unique_ptr<FrameWitness>> pools_;
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
    const auto captures = std::make_shared<Captures>();
    if (const std::string* file = device.property("pcap")) {
        captures->port = TRY(host::open_pcap(*file, m.config().rtc));
        options.capture = captures->port.get();
    }
    if (const std::string* prefix = device.property("pcap_pools"))
        TRY(captures->open_pools(m, *prefix));
    options.pool_capture = [captures](unsigned pool) { return captures->of_pool(pool); };
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
