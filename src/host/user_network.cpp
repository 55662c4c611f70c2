// SPDX-License-Identifier: Apache-2.0
// The user-mode network: libslirp, driven by virtual time. What it answers by itself (ARP, DHCP, its own address) it answers in the
// same call, so that only the host's sockets bring anything that is not the same in every run. No IPv6: its router advertisements
// come at random times.
#include "host/descriptor.h"
#include "host/network.h"

#include <algorithm>
#include <deque>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <sys/epoll.h>

namespace vitrine::host {

namespace {

class UserNetwork final : public Network {
public:
    ~UserNetwork() override {
        if (slirp_)
            ::slirp_cleanup(slirp_);
    }

    Expected<> start(const std::string& id, const NetworkProperties& properties);

    void receive(std::span<const u8> frame) override {
        ::slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
    }

    bool take(std::vector<u8>& frame) override {
        if (frames_.empty())
            look();
        if (frames_.empty())
            return false;
        frame = std::move(frames_.front());
        frames_.pop_front();
        return true;
    }

    bool open() const override { return true; }

    int waits_on() override {
        fill();
        if (fds_.empty())
            return -1;
        waiter_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
        for (const pollfd& p : fds_) {
            epoll_event event{.events = static_cast<u32>(p.events), .data = {}};
            ::epoll_ctl(waiter_.get(), EPOLL_CTL_ADD, p.fd, &event);
        }
        return waiter_.get();
    }

    bool interactive() const override { return !fds_.empty(); }

    void set_time(u64 now) override { now_ = now; }

private:
    static UserNetwork& self(void* opaque) { return *static_cast<UserNetwork*>(opaque); }

    struct Timer {
        SlirpTimerCb act;
        void* what;
        i64 due = -1; ///< virtual milliseconds; -1: not set
    };

    void fill() {
        fds_.clear();
        u32 timeout = 0;
        ::slirp_pollfds_fill(
            slirp_, &timeout,
            [](int fd, int events, void* opaque) {
                auto& fds = self(opaque).fds_;
                short wanted = 0;
                if (events & SLIRP_POLL_IN)
                    wanted |= POLLIN;
                if (events & SLIRP_POLL_OUT)
                    wanted |= POLLOUT;
                if (events & SLIRP_POLL_PRI)
                    wanted |= POLLPRI;
                fds.push_back({.fd = fd, .events = wanted, .revents = 0});
                return static_cast<int>(fds.size() - 1);
            },
            this);
    }

    void look() {
        for (const auto& timer : timers_)
            if (timer->due >= 0 && timer->due <= static_cast<i64>(now_ / 1'000'000)) {
                timer->due = -1;
                timer->act(timer->what);
            }
        fill();
        const bool failed = !fds_.empty() && ::poll(fds_.data(), fds_.size(), 0) < 0;
        ::slirp_pollfds_poll(
            slirp_, failed,
            [](int index, void* opaque) {
                const short got = self(opaque).fds_[static_cast<std::size_t>(index)].revents;
                int events = 0;
                if (got & POLLIN)
                    events |= SLIRP_POLL_IN;
                if (got & POLLOUT)
                    events |= SLIRP_POLL_OUT;
                if (got & POLLPRI)
                    events |= SLIRP_POLL_PRI;
                if (got & POLLERR)
                    events |= SLIRP_POLL_ERR;
                if (got & POLLHUP)
                    events |= SLIRP_POLL_HUP;
                return events;
            },
            this);
    }

    Slirp* slirp_ = nullptr;
    SlirpCb callbacks_{};
    std::deque<std::vector<u8>> frames_;
    std::vector<pollfd> fds_;
    std::vector<std::unique_ptr<Timer>> timers_;
    Descriptor waiter_;
    u64 now_ = 0;
};

bool address_of(const std::string& text, in_addr& out) { return ::inet_pton(AF_INET, text.c_str(), &out) == 1; }

struct Forward {
    bool udp = false;
    in_addr host{}, guest{};
    int host_port = 0, guest_port = 0;
};

/// "tcp:[HOST]:PORT-[GUEST]:PORT"
bool parse_forward(const std::string& text, in_addr first_guest, Forward& f) {
    const auto number = [](const std::string& digits, int& port) {
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        return error == std::errc{} && end == digits.data() + digits.size() && port > 0 && port < 65536;
    };
    const std::size_t first = text.find(':'), dash = text.find('-');
    if (first == std::string::npos || dash == std::string::npos || dash < first)
        return false;
    const std::string protocol = text.substr(0, first), outer = text.substr(first + 1, dash - first - 1), inner = text.substr(dash + 1);
    const std::size_t outer_colon = outer.rfind(':'), inner_colon = inner.rfind(':');
    if ((protocol != "tcp" && protocol != "udp" && !protocol.empty()) || outer_colon == std::string::npos || inner_colon == std::string::npos)
        return false;
    f.udp = protocol == "udp";
    f.host.s_addr = htonl(INADDR_ANY);
    f.guest = first_guest;
    return (outer_colon == 0 || address_of(outer.substr(0, outer_colon), f.host)) && number(outer.substr(outer_colon + 1), f.host_port) &&
           (inner_colon == 0 || address_of(inner.substr(0, inner_colon), f.guest)) && number(inner.substr(inner_colon + 1), f.guest_port);
}

Expected<> UserNetwork::start(const std::string& id, const NetworkProperties& properties) {
    std::string net = "10.0.2.0/24", hostname = "vitrine";
    std::vector<std::string> forwards;
    SlirpConfig config{};
    config.version = 1;
    for (const auto& [key, value] : properties) {
        if (key == "net")
            net = value;
        else if (key == "hostname")
            hostname = value;
        else if (key == "hostfwd")
            forwards.push_back(value);
        else if (key == "restrict" && (value == "on" || value == "off"))
            config.restricted = value == "on";
        else
            return Error("--net " + id + ": kind=user has no '" + key + "=" + value +
                         "'; there are net=A.B.C.D/N, hostfwd=tcp:[HOST]:PORT-[GUEST]:PORT, restrict=on|off and hostname=NAME");
    }
    const std::size_t slash = net.find('/');
    int width = 0;
    if (slash != std::string::npos)
        std::from_chars(net.data() + slash + 1, net.data() + net.size(), width);
    if (!address_of(net.substr(0, slash), config.vnetwork) || width < 8 || width > 27)
        return Error("--net " + id + ": net=" + net + " must be a network such as 10.0.2.0/24, with 8 to 27 bits");
    const u32 mask = ~0u << (32 - width), base = ntohl(config.vnetwork.s_addr) & mask;
    const auto address = [&](u32 n) { return in_addr{htonl(base + n)}; };
    config.in_enabled = true;
    config.vnetwork = address(0);
    config.vnetmask.s_addr = htonl(mask);
    config.vhost = address(2);
    config.vnameserver = address(3);
    config.vdhcp_start = address(15);
    config.vhostname = hostname.c_str();

    callbacks_.send_packet = [](const void* data, std::size_t size, void* opaque) {
        const u8* from = static_cast<const u8*>(data);
        self(opaque).frames_.emplace_back(from, from + size);
        return static_cast<ssize_t>(size);
    };
    callbacks_.guest_error = [](const char*, void*) {};
    callbacks_.clock_get_ns = [](void* opaque) { return static_cast<i64>(self(opaque).now_); };
    callbacks_.timer_new = [](SlirpTimerCb act, void* what, void* opaque) -> void* {
        auto& timers = self(opaque).timers_;
        timers.push_back(std::make_unique<Timer>(Timer{act, what}));
        return timers.back().get();
    };
    callbacks_.timer_free = [](void* timer, void* opaque) {
        std::erase_if(self(opaque).timers_, [timer](const auto& t) { return t.get() == timer; });
    };
    callbacks_.timer_mod = [](void* timer, i64 due, void*) { static_cast<Timer*>(timer)->due = due; };
    callbacks_.register_poll_fd = [](int, void*) {};
    callbacks_.unregister_poll_fd = [](int, void*) {};
    callbacks_.notify = [](void*) {};
    slirp_ = ::slirp_new(&config, &callbacks_, this);
    if (!slirp_)
        return Error("--net " + id + ": libslirp could not begin", Status::host_short);
    for (const std::string& text : forwards) {
        Forward f;
        if (!parse_forward(text, config.vdhcp_start, f))
            return Error("--net " + id + ": hostfwd=" + text + " must be tcp:[HOST]:PORT-[GUEST]:PORT (or udp:)");
        if (::slirp_add_hostfwd(slirp_, f.udp, f.host, f.host_port, f.guest, f.guest_port) < 0)
            return Error("--net " + id + ": hostfwd=" + text + ": the host gives no port " + std::to_string(f.host_port) + ": " +
                             std::strerror(errno),
                         Status::host_short);
    }
    fill(); // forwards wait for somebody from the beginning
    return {};
}

} // namespace

Expected<std::unique_ptr<Network>> open_user_network(const std::string& id, const NetworkProperties& properties) {
    auto network = std::make_unique<UserNetwork>();
    TRY(network->start(id, properties));
    return std::unique_ptr<Network>(std::move(network));
}

} // namespace vitrine::host
