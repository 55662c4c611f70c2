// SPDX-License-Identifier: Apache-2.0
// A gdb remote stub on a loopback TCP port: the processors are threads, the machine stands still while gdb thinks.
#pragma once

#include "debug/breakpoints.h"
#include "debug/gdb_registers.h"
#include "debug/packets.h"
#include "machine/machine.h"

#include <functional>
#include <memory>
#include <string>

namespace vitrine::debug {

class GdbServer {
public:
    /// Listens on 127.0.0.1:`port`; 0 takes any free port (see port()).
    static Expected<std::unique_ptr<GdbServer>> listen(u16 port);
    ~GdbServer();
    GdbServer(const GdbServer&) = delete;
    GdbServer& operator=(const GdbServer&) = delete;

    u16 port() const { return port_; }

    /// Runs the machine as Machine::run does, serving gdb. `wait` first waits for gdb to come, with the machine stopped.
    machine::Ending run(machine::Machine& m, u64 until_instructions, u64 until_time, bool wait);

    /// Answers gdb's `monitor` command; without one it says that there is none.
    void set_monitor(std::function<std::string(std::string_view line)> monitor) { monitor_ = std::move(monitor); }

private:
    enum class Resume : u8 { none, go, step, kill };

    GdbServer(int listener, u16 port);

    bool poll_connection(bool wait);
    void disconnect();
    bool receive(bool wait); ///< bytes into the reader; false: gdb has gone
    void send(std::string_view body);
    Resume serve(); ///< handles packets until gdb resumes the machine
    Resume handle(std::string_view packet);
    void hook();
    void report(std::string reason);

    std::string query(std::string_view packet);
    std::string transfer(std::string_view packet);
    std::string read_registers();
    std::string write_registers(std::string_view hex);
    std::string read_register(std::string_view rest);
    std::string write_register(std::string_view rest);
    std::string read_memory(std::string_view rest);
    std::string write_memory(std::string_view rest, bool binary);
    std::string set_breakpoint(std::string_view rest, bool insert);
    std::string thread_command(std::string_view rest);
    Resume resume(std::string_view actions);
    bool select(std::string_view thread, unsigned& cpu) const;

    machine::Ending step(machine::Machine& m, u64 until_time);
    Cpu& selected() { return machine_->cpu(cpu_); }

    int listener_, connection_ = -1;
    u16 port_;
    PacketReader reader_;
    bool acknowledge_ = true, interrupted_ = false, stopped_ = true;
    machine::Machine* machine_ = nullptr;
    unsigned cpu_ = 0, step_cpu_ = 0;
    Breakpoints breakpoints_;
    std::vector<GdbRegister> registers_ = gdb_registers();
    std::string description_ = target_description(registers_);
    std::function<std::string(std::string_view)> monitor_;
    std::string last_stop_ = "S05";
};

} // namespace vitrine::debug
