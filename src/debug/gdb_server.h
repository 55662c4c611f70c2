// SPDX-License-Identifier: Apache-2.0
// A gdb remote stub on a loopback TCP port: the processors are threads, the machine stands still while gdb thinks.
#pragma once

#include "debug/breakpoints.h"
#include "debug/gdb_registers.h"
#include "debug/hooks.h"
#include "debug/packets.h"
#include "machine/machine.h"
#include "vtx/other_level.h"

#include <functional>
#include <memory>
#include <string>

namespace vitrine::debug {

/// Whoever runs the machine calls look() now and then, and runs it only while holds() is false. Nothing here waits.
class GdbServer {
public:
    /// Listens on 127.0.0.1:`port`; 0 takes any free port (see port()).
    static Expected<std::unique_ptr<GdbServer>> listen(u16 port);
    ~GdbServer();
    GdbServer(const GdbServer&) = delete;
    GdbServer& operator=(const GdbServer&) = delete;

    u16 port() const { return port_; }

    /// The machine to be debugged. With `wait` it is held until a gdb has come and let it run. `hooks`: those that others use too.
    void attach(machine::Machine& m, GdbArchitecture architecture, bool wait, std::shared_ptr<Hooks> hooks = nullptr);

    /// Answers gdb's `monitor` command; without one it says that there is none.
    void set_monitor(std::function<std::string(std::string_view line)> monitor) { monitor_ = std::move(monitor); }

    bool connected() const { return connection_ >= 0; }

    /// Becomes readable when gdb comes or says something.
    int descriptor() const { return connected() ? connection_ : listener_; }

    bool ready() const;

    /// Takes whatever gdb has sent.
    void look();

    /// gdb has the machine stopped (or is waited for).
    bool holds() const { return stopped_ && (connected() || waiting_); }

    bool killed() const { return killed_; }

    /// A processor stopped for the debugger.
    void stopped();

    /// The machine's run is over. After a triple fault gdb may still look at the machine, which then holds() until it
    /// has seen enough.
    void ended(const machine::Ending& ending);

    /// One packet, as it comes from gdb, answered as it goes to gdb; nothing for those that are answered later. For
    /// tests.
    std::optional<std::string> answer(std::string_view packet);

private:
    enum class Resume : u8 { no, go, step };

    GdbServer(int listener, u16 port);

    void accept();
    void disconnect();
    bool receive(); ///< bytes into the reader; false: nothing was there
    void transmit(std::string_view bytes);

    void send(std::string_view body) { transmit(framed(body)); }

    void take_packets();
    void resume(Resume how);
    void report(std::string reason);
    void console(std::string_view text); ///< shown by gdb

    std::string query(std::string_view packet);
    std::string transfer(std::string_view packet);
    std::string monitor(std::string_view hex);
    std::string threads() const;
    std::vector<unsigned> thread_ids() const;
    /// The level beside the one that the processor is in: 0 the hypervisor of the guest that runs, or the VMCS of the guest that ran last.
    std::optional<u64> other_level(unsigned cpu) const;
    /// While it is there, the selected processor shows the selected level. Null: its own.
    std::unique_ptr<vtx::OtherLevel> look_at_selected();
    std::string register_text(const GdbRegister& r, bool of_other_level);
    std::string read_registers();
    std::string write_registers(std::string_view hex);
    std::string read_register(std::string_view rest);
    std::string write_register(std::string_view rest);
    std::string read_memory(std::string_view rest);
    std::string write_memory(std::string_view rest, bool binary);
    std::string set_breakpoint(std::string_view rest, bool insert);
    std::string thread_command(std::string_view rest);
    Resume resumption(std::string_view actions);
    bool select(std::string_view thread, unsigned& cpu, bool& other) const;

    Cpu& selected() { return machine_->cpu(cpu_); }

    int listener_, connection_ = -1;
    u16 port_;
    PacketReader reader_;
    bool acknowledge_ = true; ///< until gdb asks for no-acknowledgement mode
    bool says_why_ = false;   ///< gdb understands `swbreak` and `hwbreak`
    bool stopped_ = false, waiting_ = false, killed_ = false;
    machine::Ending over_; ///< the machine's end, while gdb still looks at it
    machine::Machine* machine_ = nullptr;
    unsigned cpu_ = 0, step_cpu_ = 0;
    bool other_ = false; ///< selected is not what the processor runs, but the level above or below it
    Resume resume_ = Resume::no; ///< what the packet that is being handled asks for
    Breakpoints breakpoints_;
    std::shared_ptr<Hooks> hooks_;
    std::vector<GdbRegister> registers_;
    std::string description_;
    std::function<std::string(std::string_view)> monitor_;
    std::string last_stop_;
};

} // namespace vitrine::debug
