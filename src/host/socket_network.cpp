// SPDX-License-Identifier: Apache-2.0
// A stream of frames to another machine: another Vitrine, or QEMU (-netdev socket, -netdev stream). One peer at a time; a peer that
// goes away may come again where we listen.
#include "host/descriptor.h"
#include "host/network.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

constexpr std::size_t largest = 65536;     ///< a longer frame is a peer that speaks something else
constexpr std::size_t most_unsent = 4 << 20; ///< what a slow peer may leave lying; more is lost, as on a wire

class SocketNetwork final : public Network {
public:
    SocketNetwork(Descriptor listener, Descriptor peer, std::string remove)
        : listener_(std::move(listener)), peer_(std::move(peer)), remove_(std::move(remove)) {}

    ~SocketNetwork() override {
        if (!remove_.empty())
            ::unlink(remove_.c_str());
    }

    void receive(std::span<const u8> frame) override {
        if (!peer_ || unsent_.size() > most_unsent)
            return;
        const std::size_t n = frame.size();
        const u8 head[] = {static_cast<u8>(n >> 24), static_cast<u8>(n >> 16), static_cast<u8>(n >> 8), static_cast<u8>(n)};
        unsent_.insert(unsent_.end(), head, head + 4);
        unsent_.insert(unsent_.end(), frame.begin(), frame.end());
        send();
    }

    bool take(std::vector<u8>& frame) override {
        accept();
        if (!peer_)
            return false;
        send();
        if (whole(frame))
            return true;
        u8 buffer[65536];
        const ssize_t n = ::recv(peer_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            lose();
            return false;
        }
        if (n > 0)
            got_.insert(got_.end(), buffer, buffer + n);
        return whole(frame);
    }

    bool open() const override { return listener_ || peer_; }

    int waits_on() override { return peer_ ? peer_.get() : listener_.get(); }

    bool interactive() const override { return open(); }

private:
    bool whole(std::vector<u8>& frame) {
        if (got_.size() < 4)
            return false;
        const std::size_t n = static_cast<std::size_t>(got_[0]) << 24 | got_[1] << 16 | got_[2] << 8 | got_[3];
        if (n > largest) {
            lose();
            return false;
        }
        if (got_.size() < 4 + n)
            return false;
        frame.assign(got_.begin() + 4, got_.begin() + static_cast<long>(4 + n));
        got_.erase(got_.begin(), got_.begin() + static_cast<long>(4 + n));
        return true;
    }

    void accept() {
        if (peer_ || !listener_)
            return;
        peer_ = Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }

    void send() {
        while (!unsent_.empty()) {
            const ssize_t n = ::send(peer_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return lose();
            if (n <= 0)
                return;
            unsent_.erase(unsent_.begin(), unsent_.begin() + n);
        }
    }

    void lose() {
        peer_ = Descriptor();
        got_.clear();
        unsent_.clear();
    }

    Descriptor listener_, peer_;
    std::string remove_;
    std::vector<u8> got_, unsent_;
};

struct Wanted {
    std::string id, text;
    bool listen = false;

    Error error(const std::string& what, Status status = Status::usage) const {
        return Error("--net " + id + ": " + (listen ? "listen=" : "connect=") + text + ": " + what, status);
    }
};

Expected<Descriptor> ready(const Wanted& wanted, int family, const sockaddr* address, socklen_t length) {
    Descriptor fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (family != AF_UNIX) {
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const bool good = wanted.listen ? ::bind(fd.get(), address, length) == 0 && ::listen(fd.get(), 1) == 0
                                    : ::connect(fd.get(), address, length) == 0;
    if (!fd || !good)
        return wanted.error(std::strerror(errno), Status::host_short);
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
}

Expected<Descriptor> open_socket(const Wanted& wanted) {
    if (wanted.text.starts_with("unix:")) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = wanted.text.substr(5);
        if (path.empty() || path.size() >= sizeof address.sun_path)
            return wanted.error("the path must have 1 to " + std::to_string(sizeof address.sun_path - 1) + " letters");
        std::memcpy(address.sun_path, path.data(), path.size());
        return ready(wanted, AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    const std::size_t colon = wanted.text.rfind(':');
    if (colon == std::string::npos)
        return wanted.error("must be HOST:PORT or unix:PATH");
    std::string host = wanted.text.substr(0, colon);
    if (host.empty())
        host = "127.0.0.1";
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (const int error = ::getaddrinfo(host.c_str(), wanted.text.c_str() + colon + 1, &hints, &found))
        return wanted.error(::gai_strerror(error));
    auto fd = ready(wanted, found->ai_family, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return fd;
}

} // namespace

Expected<std::unique_ptr<Network>> open_socket_network(const std::string& id, const NetworkProperties& properties) {
    Wanted wanted{.id = id, .text = {}};
    for (const auto& [key, value] : properties) {
        if (key != "listen" && key != "connect")
            return Error("--net " + id + ": kind=socket has no property '" + key + "'; there are listen and connect");
        if (!wanted.text.empty())
            return Error("--net " + id + ": kind=socket wants one of listen and connect");
        wanted.text = value;
        wanted.listen = key == "listen";
    }
    if (wanted.text.empty())
        return Error("--net " + id + ": kind=socket wants listen=[HOST]:PORT or connect=HOST:PORT, or unix:PATH for either");
    Descriptor fd = TRY(open_socket(wanted));
    const std::string remove = wanted.listen && wanted.text.starts_with("unix:") ? wanted.text.substr(5) : "";
    if (wanted.listen)
        return std::unique_ptr<Network>(std::make_unique<SocketNetwork>(std::move(fd), Descriptor(), remove));
    return std::unique_ptr<Network>(std::make_unique<SocketNetwork>(Descriptor(), std::move(fd), remove));
}

} // namespace vitrine::host
