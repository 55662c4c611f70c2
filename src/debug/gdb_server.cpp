// SPDX-License-Identifier: Apache-2.0
// The gdb stub: the connection, stops and resumptions.
#include "debug/gdb_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

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

// GDB's own numbers of signals, which are Linux's for these.
constexpr unsigned signal_interrupt = 2, signal_trap = 5, signal_segv = 11;

bool readable(int fd) {
    pollfd p{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&p, 1, 0) > 0;
}

} // namespace

Expected<std::unique_ptr<GdbServer>> GdbServer::listen(u16 port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int yes = 1;
    socklen_t size = sizeof address;
    if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || ::listen(fd, 1) < 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
        const std::string why = std::strerror(errno);
        if (fd >= 0)
            ::close(fd);
        return Error(fmt::format("--gdb {}: cannot listen on 127.0.0.1: {}; choose another port, or 0 for a free one",
                                 port, why));
    }
    return std::unique_ptr<GdbServer>(new GdbServer(fd, ntohs(address.sin_port)));
}

GdbServer::GdbServer(int listener, u16 port) : listener_(listener), port_(port) {}

GdbServer::~GdbServer() {
    disconnect();
    if (hooks_)
        hooks_->remove(breakpoints_);
    ::close(listener_);
}

void GdbServer::attach(Machine& m, GdbArchitecture architecture, bool wait, std::shared_ptr<Hooks> hooks) {
    machine_ = &m;
    hooks_ = hooks ? std::move(hooks) : std::make_shared<Hooks>(m);
    hooks_->add(breakpoints_);
    registers_ = gdb_registers(architecture, m.model());
    description_ = target_description(architecture, registers_);
    waiting_ = stopped_ = wait;
    last_stop_ = fmt::format("T{:02x}thread:1;", signal_trap);
}

// ---- the connection -------------------------------------------------------------------------------------------------

bool GdbServer::ready() const {
    return readable(descriptor());
}

void GdbServer::accept() {
    connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection_ < 0)
        return;
    const int yes = 1;
    ::setsockopt(connection_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    reader_ = PacketReader{};
    acknowledge_ = true;
    says_why_ = false;
    waiting_ = false;
    stopped_ = true; // as gdb expects it
    cpu_ = machine_->scheduler().present();
    other_ = false;
    last_stop_ = fmt::format("T{:02x}thread:{:x};", signal_trap, cpu_ + 1);
}

void GdbServer::disconnect() {
    if (connection_ < 0)
        return;
    ::close(connection_);
    connection_ = -1;
    breakpoints_.clear();
    hooks_->update();
    resume(Resume::go);
}

bool GdbServer::receive() {
    if (!connected() || !readable(connection_))
        return false;
    std::array<u8, 4096> buffer;
    const ssize_t n = ::recv(connection_, buffer.data(), buffer.size(), 0);
    if (n > 0)
        reader_.feed({buffer.data(), static_cast<std::size_t>(n)});
    else if (n == 0 || errno != EINTR)
        disconnect();
    return connected();
}

void GdbServer::transmit(std::string_view bytes) {
    while (connected() && !bytes.empty()) {
        const ssize_t n = ::send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0)
            bytes.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            disconnect();
    }
}

void GdbServer::look() {
    if (!connected() && readable(listener_))
        accept();
    while (receive())
        take_packets();
}

void GdbServer::take_packets() {
    while (connected()) {
        const auto item = reader_.next();
        if (!item)
            return;
        switch (item->kind) {
        case PacketReader::Kind::interrupt:
            if (!stopped_) {
                cpu_ = machine_->scheduler().present();
                report(fmt::format("T{:02x}thread:{:x};", signal_interrupt, cpu_ + 1));
            }
            continue;
        case PacketReader::Kind::bad:
            if (acknowledge_)
                transmit("-");
            continue;
        case PacketReader::Kind::packet:
            break;
        }
        if (acknowledge_)
            transmit("+");
        resume_ = Resume::no;
        if (const auto reply = answer(item->body))
            send(*reply);
        if (item->body == "QStartNoAckMode")
            acknowledge_ = false;
        if (item->body.starts_with("D"))
            return disconnect();
        if (resume_ != Resume::no)
            resume(resume_);
    }
}

// ---- stops and resumptions ------------------------------------------------------------------------------------------

void GdbServer::resume(Resume how) {
    stopped_ = false;
    if (over_) { // the dead do not walk
        if (connected())
            send(fmt::format("X{:02x}", signal_segv));
        over_ = {};
        return;
    }
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        if (machine_->cpu(i).stop_reason().kind == StopKind::debugger)
            machine_->cpu(i).clear_stop();
    if (how == Resume::step)
        machine_->cpu(step_cpu_).stop_after_step(true);
}

void GdbServer::report(std::string reason) {
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        machine_->cpu(i).stop_after_step(false);
    last_stop_ = std::move(reason);
    stopped_ = true;
    send(last_stop_);
}

void GdbServer::stopped() {
    if (!connected()) // gone in the middle of a step
        return resume(Resume::go);
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        if (machine_->cpu(i).stop_reason().kind == StopKind::debugger)
            cpu_ = i;
    other_ = false;
    std::string why;
    Cpu& cpu = selected();
    if (const auto hit = breakpoints_.take_hit()) {
        static constexpr const char* kinds[] = {"watch", "rwatch", "awatch"};
        why = fmt::format("{}:{:x};", kinds[static_cast<unsigned>(hit->kind)], hit->address);
    } else if (const auto kind = breakpoints_.at(cpu.linear_rip().value);
               kind && says_why_ && cpu.linear_rip().value == cpu.rip && cpu.stop_reason().text == "breakpoint") {
        // Where the code segment has a base, gdb's pc is not the breakpoint's address: it is told of a mere trap.
        why = *kind == Breakpoints::Kind::software ? "swbreak:;" : "hwbreak:;";
    } else if (const std::string& text = cpu.stop_reason().text; text.starts_with("VM ") || (text == "breakpoint" && !kind)) {
        console(text == "breakpoint" ? "a breakpoint of the monitor's\n" : text + "\n"); // what the monitor was asked to wait for
    }
    report(fmt::format("T{:02x}thread:{:x};{}", signal_trap, cpu_ + 1, why));
}

void GdbServer::ended(const Ending& ending) {
    if (!connected())
        return;
    if (ending.kind == EndingKind::triple_fault && !over_) {
        over_ = ending;
        for (unsigned i = 0; i < machine_->cpus(); ++i)
            if (machine_->cpu(i).stop_reason().kind == StopKind::triple_fault)
                cpu_ = i;
        console(ending.text + "\n");
        return report(fmt::format("T{:02x}thread:{:x};", signal_segv, cpu_ + 1));
    }
    send(fmt::format("W{:02x}", std::max(0, machine::status_of(ending)) & 0xff));
    over_ = {};
    disconnect();
}

void GdbServer::console(std::string_view text) {
    constexpr std::size_t piece = PacketReader::largest / 4;
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        const std::string_view part = text.substr(0, piece);
        send("O" + to_hex({reinterpret_cast<const u8*>(part.data()), part.size()}));
    }
}

} // namespace vitrine::debug
