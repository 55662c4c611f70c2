// SPDX-License-Identifier: Apache-2.0
// The gdb stub: the connection, and the loop that lets the machine run between two stops.
#include "debug/gdb_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace vitrine::debug {

using machine::Ending;
using machine::EndingKind;
using machine::Machine;

namespace {

/// Instructions between two looks at the socket.
constexpr u64 look_every = 2'000'000;

bool readable(int fd, int milliseconds) {
    pollfd p{fd, POLLIN, 0};
    return poll(&p, 1, milliseconds) > 0;
}

} // namespace

Expected<std::unique_ptr<GdbServer>> GdbServer::listen(u16 port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int yes = 1;
    socklen_t size = sizeof address;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || ::listen(fd, 1) < 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
        const std::string why = std::strerror(errno);
        if (fd >= 0)
            close(fd);
        return Error(fmt::format("--gdb {}: cannot listen on 127.0.0.1: {}; choose another port", port, why));
    }
    return std::unique_ptr<GdbServer>(new GdbServer(fd, ntohs(address.sin_port)));
}

GdbServer::GdbServer(int listener, u16 port) : listener_(listener), port_(port) {}

GdbServer::~GdbServer() {
    disconnect();
    close(listener_);
}

bool GdbServer::poll_connection(bool wait) {
    if (connection_ >= 0)
        return true;
    if (!readable(listener_, wait ? -1 : 0))
        return false;
    connection_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection_ < 0)
        return false;
    const int yes = 1;
    setsockopt(connection_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    reader_ = PacketReader{};
    acknowledge_ = true;
    stopped_ = true; // gdb expects a stopped target
    last_stop_ = "S05";
    return true;
}

void GdbServer::disconnect() {
    if (connection_ >= 0)
        close(connection_);
    connection_ = -1;
    breakpoints_.clear();
    stopped_ = false;
    if (machine_)
        hook();
}

bool GdbServer::receive(bool wait) {
    if (!readable(connection_, wait ? -1 : 0))
        return true;
    std::array<u8, 4096> buffer;
    const ssize_t n = recv(connection_, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
        disconnect();
        return false;
    }
    reader_.feed({buffer.data(), static_cast<std::size_t>(n)});
    return true;
}

void GdbServer::send(std::string_view body) {
    const std::string text = framed(body);
    std::size_t done = 0;
    while (connection_ >= 0 && done < text.size()) {
        const ssize_t n = ::send(connection_, text.data() + done, text.size() - done, MSG_NOSIGNAL);
        if (n <= 0)
            return disconnect();
        done += static_cast<std::size_t>(n);
    }
}

/// Processors ask about breakpoints only while there are some.
void GdbServer::hook() {
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        machine_->cpu(i).set_hooks(breakpoints_.empty() ? nullptr : &breakpoints_);
}

void GdbServer::report(std::string reason) {
    last_stop_ = std::move(reason);
    stopped_ = true;
    if (connection_ >= 0)
        send(last_stop_);
}

GdbServer::Resume GdbServer::serve() {
    while (connection_ >= 0) {
        while (auto item = reader_.next()) {
            if (item->kind == PacketReader::Kind::interrupt)
                continue; // it stands still already
            if (item->kind == PacketReader::Kind::bad) {
                if (acknowledge_)
                    (void)!::send(connection_, "-", 1, MSG_NOSIGNAL);
                continue;
            }
            if (acknowledge_)
                (void)!::send(connection_, "+", 1, MSG_NOSIGNAL);
            if (const Resume r = handle(item->body); r != Resume::none)
                return r;
        }
        receive(true);
    }
    return Resume::go;
}

/// Runs until the chosen processor has done one instruction; others may run before, as their turns come.
Ending GdbServer::step(Machine& m, u64 until_time) {
    Cpu& cpu = m.cpu(step_cpu_);
    const u64 retired = cpu.retired, rip = cpu.rip;
    for (u64 n = 0; n < 64 * look_every; ++n) {
        const Ending e = m.run(m.instructions() + 1, until_time);
        if (e.kind != EndingKind::instructions || cpu.retired != retired || cpu.rip != rip)
            return e;
    }
    return {};
}

Ending GdbServer::run(Machine& m, u64 until_instructions, u64 until_time, bool wait) {
    machine_ = &m;
    stopped_ = false;
    if (wait)
        poll_connection(true);
    for (;;) {
        poll_connection(false);
        Resume how = Resume::go;
        if (connection_ >= 0 && stopped_) {
            how = serve();
            if (how == Resume::kill)
                return {.kind = EndingKind::quit, .text = "killed by gdb"};
            stopped_ = false;
            for (unsigned i = 0; i < m.cpus(); ++i)
                if (m.cpu(i).stop_reason().kind == StopKind::debugger)
                    m.cpu(i).clear_stop();
        }
        const Ending ending = how == Resume::step ? step(m, until_time)
                                                  : m.run(std::min(until_instructions, m.instructions() + look_every), until_time);
        if (ending.kind == EndingKind::debugger) {
            const auto hit = breakpoints_.take_hit();
            cpu_ = 0;
            for (unsigned i = 0; i < m.cpus(); ++i)
                if (hit && &m.cpu(i) == hit->cpu)
                    cpu_ = i;
            static constexpr const char* kinds[] = {"watch", "rwatch", "awatch"};
            report(hit && hit->watch ? fmt::format("T05thread:{:x};{}:{:x};", cpu_ + 1, kinds[static_cast<unsigned>(hit->kind)], hit->address)
                                     : fmt::format("T05thread:{:x};", cpu_ + 1));
        } else if (ending.kind == EndingKind::instructions && m.instructions() < until_instructions) {
            if (how == Resume::step) {
                cpu_ = step_cpu_;
                report(fmt::format("T05thread:{:x};", cpu_ + 1));
            } else if (connection_ >= 0 && receive(false)) {
                while (auto item = reader_.next())
                    if (item->kind == PacketReader::Kind::interrupt)
                        report(fmt::format("T02thread:{:x};", cpu_ + 1));
            }
        } else if (how == Resume::step && ending.kind == EndingKind::none) {
            report(fmt::format("T05thread:{:x};", step_cpu_ + 1)); // halted for good
        } else {
            if (connection_ >= 0)
                send(fmt::format("W{:02x}", std::max(0, machine::status_of(ending)) & 0xff));
            machine_ = nullptr;
            return ending;
        }
    }
}

} // namespace vitrine::debug
