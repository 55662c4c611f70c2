// SPDX-License-Identifier: Apache-2.0
// One machine: memory, processors, interrupt controllers and devices on one virtual clock. No globals: a process may hold several.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "glass/glass.h"
#include "interrupts/router.h"
#include "jit/statistics.h"
#include "machine/config.h"
#include "machine/ending.h"
#include "machine/hash_visitor.h"
#include "machine/inputs.h"
#include "machine/memory_hash.h"
#include "machine/pace.h"
#include "machine/scheduler.h"
#include "memory/space.h"
#include "x86/armed_lines.h"
#include "x86/code_cache.h"
#include "x86/cpu.h"
#include "vtx/unit.h"
#include "x86/model.h"
#include "x86/table_watch.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vitrine::machine {

class Board;

/// What the machine is connected to outside. Owned by whoever runs it; must outlive the machine.
struct Streams {
    std::vector<host::Character*> serial; ///< one for each serial port; null: nothing is connected
    std::vector<host::Network*> nets;     ///< one for each --net; null: nothing is outside
};

class Machine {
public:
    /// Builds everything that the configuration names; nothing runs yet. The glass may have been set up before (sinks, topics).
    static Expected<std::unique_ptr<Machine>> create(MachineConfig config, const Streams& streams, std::unique_ptr<Glass> glass);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Power on: cold state, and the kernel with its companions in memory.
    Expected<> power_on();

    /// Runs until the machine ends, the count of instructions or the virtual time is reached (at the first instruction boundary
    /// there or behind), or somebody wishes something. May be called again after `instructions`, `time`, `monitor`, `debugger`.
    Ending run(u64 until_instructions = never, u64 until_time = never);

    /// A reset of the platform by the guest comes back as an ending instead of booting again.
    bool no_reboot = false;

    /// Virtual nanoseconds executed: what the command line calls instructions. Idle time does not count.
    u64 instructions() const { return scheduler_.instructions(); }

    /// Virtual nanoseconds since power on.
    u64 now() const { return clock_.now(); }

    /// Nothing when the interpreter runs everything.
    std::optional<jit::TranslatorStats> translator_stats() const;

    /// What the machine is at just now; the one thing that another thread may ask.
    jit::Tier tier() const;

    /// The translator names its blocks for perf from now on; false when it cannot write the map.
    bool name_for_perf();

    /// Architecturally retired instructions of all processors.
    u64 retired() const;

    /// The hash of the whole state. Only what changed since the last call is hashed again.
    Hash128 hash();

    /// Component by component, for finding where two machines differ.
    std::vector<std::pair<std::string, Hash128>> hashes();

    /// The names of all components, as hashes() gives them (but for memory) and show() takes them.
    std::vector<std::string> component_names() const;

    /// Visits one component, found by the name that hashes() gives. False: there is none.
    bool show(std::string_view component, Visitor& v);

    /// Everything but the contents of RAM, which snapshots write page by page.
    void state(Visitor& v);

    /// The same, one by one: the clock, the scheduler, and so on to the last device. The order is fixed by the configuration.
    unsigned components() const;
    std::string component_name(unsigned n) const;
    void visit(unsigned n, Visitor& v);

    const MachineConfig& config() const { return config_; }
    Glass& glass() { return *glass_; }
    Clock& clock() { return clock_; }
    Space& space() { return *space_; }
    Scheduler& scheduler() { return scheduler_; }
    Inputs& inputs() { return inputs_; }
    Pace& pace() { return pace_; }
    Interrupts& interrupts() { return *interrupts_; }
    Board& board() { return *board_; }
    /// Null unless translations are kept as long as the architecture permits.
    TableWatch* table_watch() { return tables_.get(); }
    ArmedLines& armed_lines() { return *armed_; }
    const CpuModel& model() const { return model_; }
    unsigned cpus() const { return static_cast<unsigned>(cpus_.size()); }
    Cpu& cpu(unsigned n) { return *cpus_[n]; }
    /// Null without VMX.
    vtx::Unit* vmx(unsigned n) { return vmx_.empty() ? nullptr : vmx_[n].get(); }

    /// Ends the run after the present instruction. For devices and for whoever watches.
    void request(Ending ending);

    /// The end of a run: stale uses whose invalidation has not come in time are told, and what devices counted goes to the glass.
    void end_of_run();

    /// Asks for a reset of the platform after the present instruction.
    void request_reset(Reset kind);

    /// Suspend to RAM: after the present instruction the processors lose their power, until request_wake().
    void request_sleep();
    void request_wake();

private:
    friend class Board;
    class CpuPins;
    class CpuProcessor;

    Machine(MachineConfig config, std::unique_ptr<Glass> glass, std::unique_ptr<Space> space, CpuModel model);
    Expected<> reset(Reset kind);
    Expected<> reset_hardware(Reset kind);
    void fall_asleep();
    Expected<> resume();
    Ending at_border(u64 until_instructions, u64 until_time);
    Ending skip_idle(u64 until_time);
    bool deaf() const;
    Ending ending_of_stop(Cpu& cpu);

    MachineConfig config_;
    std::unique_ptr<Glass> glass_;
    Clock clock_;
    std::unique_ptr<Space> space_;
    CpuModel model_;
    Scheduler scheduler_;
    Inputs inputs_;
    Pace pace_;
    std::unique_ptr<Interrupts> interrupts_;
    std::unique_ptr<CodeCache> code_;
    std::unique_ptr<ArmedLines> armed_;
    std::unique_ptr<TableWatch> tables_; ///< null unless translations are kept as long as the architecture permits
    std::unique_ptr<jit::Translator> translator_; ///< null: everything is interpreted
    std::vector<std::unique_ptr<Cpu>> cpus_;
    std::vector<std::unique_ptr<vtx::Unit>> vmx_; ///< one for each processor, or none
    std::vector<std::unique_ptr<CpuPins>> pins_;
    std::vector<std::unique_ptr<CpuProcessor>> processors_;
    std::unique_ptr<Board> board_;
    MemoryHash memory_hash_;
    Ending pending_;
    std::optional<Reset> reset_pending_;
    bool sleep_pending_ = false, wake_pending_ = false; ///< acted upon at the next border, so never part of the state
};

} // namespace vitrine::machine
