// SPDX-License-Identifier: Apache-2.0
// A tap device of the host: what the machine sends appears there, and the other way round.
#include "host/descriptor.h"
#include "host/network.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

class Tap final : public Network {
public:
    Tap(Descriptor fd, std::string id) : fd_(std::move(fd)), id_(std::move(id)) {}

    void receive(std::span<const u8> frame) override {
        // A full queue loses frames, as a wire does.
        static_cast<void>(!::write(fd_.get(), frame.data(), frame.size()));
    }

    bool take(std::vector<u8>& frame) override {
        frame.resize(65536);
        const ssize_t n = ::read(fd_.get(), frame.data(), frame.size());
        if (n < 0 && errno != EAGAIN && errno != EINTR && refused_.message.empty())
            refused_ = Error("--net " + id_ + ": the tap device is gone: " + std::strerror(errno), Status::host_short);
        frame.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return n > 0;
    }

    int waits_on() override { return fd_.get(); }

    const Error* refused() const override { return refused_.message.empty() ? nullptr : &refused_; }

private:
    Descriptor fd_;
    std::string id_;
    Error refused_;
};

} // namespace

Expected<std::unique_ptr<Network>> open_tap(const std::string& id, const NetworkProperties& properties) {
    std::string name;
    for (const auto& [key, value] : properties) {
        if (key != "ifname")
            return Error("--net " + id + ": kind=tap has no property '" + key + "'; there is ifname");
        name = value;
    }
    if (name.empty() || name.size() >= IFNAMSIZ)
        return Error("--net " + id + ": kind=tap wants ifname=NAME, of at most 15 letters");
    const auto none = [&](const char* what) {
        return Error("--net " + id + ": the host gives no tap device '" + name + "': " + what + ": " + std::strerror(errno) +
                         "; kind=user needs no privileges",
                     Status::host_short);
    };
    Descriptor fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        return none("/dev/net/tun");
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(fd.get(), TUNSETIFF, &request) != 0)
        return none("TUNSETIFF");
    return std::unique_ptr<Network>(std::make_unique<Tap>(std::move(fd), id));
}

} // namespace vitrine::host
