// SPDX-License-Identifier: Apache-2.0
// A network outside the machine: it takes the machine's frames, and its own are asked for. Asking never waits.
#pragma once

#include "base/error.h"
#include "base/ports.h"
#include "words/integers.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vitrine::host {

/// Frames are from the destination address on, without FCS; receive() is the way out of the machine.
class Network : public FrameSink {
public:
    /// The next frame for the machine, if there is one now.
    virtual bool take(std::vector<u8>& frame) = 0;

    /// Whether more can ever come.
    virtual bool open() const { return true; }

    /// The descriptor that becomes readable when something may have come; -1 where there is nothing to wait for.
    virtual int waits_on() { return -1; }

    /// Somebody outside may be in the middle of something, so idle time should pass as on a clock.
    virtual bool interactive() const { return true; }

    /// Virtual nanoseconds since power on, for protocols with timers.
    virtual void set_time(u64) {}

    /// The host took away what the network stands on.
    virtual const Error* refused() const { return nullptr; }
};

/// "key=value" pairs in order; a key may come more than once where the kind allows it.
using NetworkProperties = std::vector<std::pair<std::string, std::string>>;

/// A network address translator with DHCP, DNS and port forwards (libslirp), which needs no privileges. Properties: net=A.B.C.D/N,
/// hostfwd=tcp:[HOST]:PORT-[GUEST]:PORT (also udp; may be repeated), restrict=on, hostname=NAME.
Expected<std::unique_ptr<Network>> open_user_network(const std::string& id, const NetworkProperties& properties);

/// The host's tap device `ifname`; made if it is not there and the host lets us.
Expected<std::unique_ptr<Network>> open_tap(const std::string& id, const NetworkProperties& properties);

/// A stream to another machine with QEMU's framing: each frame behind its length, 4 bytes, the most significant first. Properties:
/// listen=[HOST]:PORT or connect=HOST:PORT; unix:PATH in place of either.
Expected<std::unique_ptr<Network>> open_socket_network(const std::string& id, const NetworkProperties& properties);

} // namespace vitrine::host
