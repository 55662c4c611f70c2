// SPDX-License-Identifier: Apache-2.0
// Building a machine, and the loop that runs it.
#include "machine/machine.h"

#include "firmware/boot.h"
#include "firmware/mtrr.h"
#include "jit/translator.h"
#include "machine/board.h"
#include "machine/boot_state.h"
#include "machine/legacy_hardware.h"
#include "vtd/options.h"
#include "vtx/capability_list.h"
#include "x86/stale.h"

#include <algorithm>

namespace vitrine::machine {

/// The processor's pins, as its local APIC pulls them: an event for another processor than the running one ends the quantum.
class Machine::CpuPins final : public Pins {
public:
    CpuPins(Cpu& cpu, Scheduler& scheduler) : cpu_(cpu), scheduler_(scheduler) {}

    void set_interrupt(bool pending) override {
        cpu_.set_interrupt(pending);
        if (pending)
            tell();
    }
    void nmi() override {
        cpu_.nmi();
        tell();
    }
    void smi() override {
        cpu_.smi();
        tell();
    }
    void init() override {
        cpu_.init();
        tell();
    }
    void sipi(u8 vector) override {
        cpu_.sipi(vector);
        tell();
    }

private:
    void tell() {
        if (scheduler_.present() != cpu_.index())
            scheduler_.end_quantum();
    }

    Cpu& cpu_;
    Scheduler& scheduler_;
};

class Machine::CpuProcessor final : public Processor {
public:
    explicit CpuProcessor(Cpu& cpu) : cpu_(cpu) {}

    RunEnd run(u64 budget, u64& used) override { return cpu_.run(budget, used); }

    bool runnable() const override { return cpu_.activity == Activity::active || cpu_.wakes(); }

    Runner& runner() override { return cpu_; }

private:
    Cpu& cpu_;
};

Machine::Machine(MachineConfig config, std::unique_ptr<Glass> glass, std::unique_ptr<Space> space, CpuModel model)
    : config_(std::move(config)), glass_(std::move(glass)), space_(std::move(space)), model_(std::move(model)),
      scheduler_(clock_), memory_hash_(*space_) {
    glass_->set_place([this] { return Place{clock_.now(), scheduler_.instructions(), scheduler_.present()}; });
    clock_.set_listener([this](const Timer& t) { glass_->tell(Topic::machine, "timer", {{"name", t.name()}}); });
    Interrupts::Options options;
    options.apic_ids.clear();
    for (unsigned n = 0; n < config_.cpus; ++n)
        options.apic_ids.push_back(n);
    options.physical_bits = model_.physical_bits;
    options.x2apic = model_.has(Feature::x2apic);
    options.tsc_deadline = model_.has(Feature::tsc_deadline);
    options.io_apic.id = static_cast<u8>(config_.cpus);
    interrupts_ = std::make_unique<Interrupts>(clock_, *space_, options);
    code_ = std::make_unique<CodeCache>(*space_, model_, *glass_);
    armed_ = std::make_unique<ArmedLines>(*space_);
    armed_->set_woken([this](unsigned cpu) {
        if (scheduler_.present() != cpu)
            scheduler_.end_quantum();
    });
    if (config_.stale)
        tables_ = std::make_unique<TableWatch>(*space_);
    const vtx::Capabilities capabilities = vtx::capabilities_of(config_.vmx).value();
    for (unsigned n = 0; n < config_.cpus; ++n) {
        cpus_.push_back(std::make_unique<Cpu>(CpuWiring{.index = n,
                                                        .space = *space_,
                                                        .clock = clock_,
                                                        .glass = *glass_,
                                                        .code = *code_,
                                                        .armed = *armed_,
                                                        .model = model_,
                                                        .cpu_count = config_.cpus,
                                                        .seed = config_.seed,
                                                        .tables = tables_.get()}));
        cpus_[n]->connect(interrupts_->local_apic(n));
        if (model_.has(Feature::vmx))
            vmx_.push_back(std::make_unique<vtx::Unit>(*cpus_[n], capabilities));
        pins_.push_back(std::make_unique<CpuPins>(*cpus_[n], scheduler_));
        interrupts_->connect(n, *pins_[n]);
        processors_.push_back(std::make_unique<CpuProcessor>(*cpus_[n]));
        scheduler_.add(*processors_[n]);
    }
    if (config_.engine != Engine::interpreter) {
        translator_ = std::make_unique<jit::Translator>(config_.code_cache);
        code_->connect(translator_.get());
        for (auto& cpu : cpus_)
            cpu->connect(*translator_);
    }
}

Machine::~Machine() { set_bug_context(nullptr, nullptr); }

Expected<std::unique_ptr<Machine>> Machine::create(MachineConfig config, const Streams& streams,
                                                   std::unique_ptr<Glass> glass) {
    TRY(check_host());
    CpuModel model = TRY(find_cpu_model(config.cpu));
    TRY(vtx::capabilities_of(config.vmx));
    if (!config.iommu.empty())
        TRY(vtd::parse_options(config.iommu));
    if (!config.vmx.empty())
        model.set(Feature::vmx);
    std::unique_ptr<Space> space = TRY(Space::create(config.memory, *glass));
    std::unique_ptr<Machine> m(new Machine(std::move(config), std::move(glass), std::move(space), std::move(model)));
    m->board_ = TRY(Board::create(*m, streams));
    return m;
}

Expected<> Machine::power_on() {
    TRY(reset(Reset::cold));
    pace_.start(clock_.now());
    return {};
}

/// Processors and interrupt controllers, and what firmware then does to the chipset.
Expected<> Machine::reset_hardware(Reset kind) {
    interrupts_->reset(kind);
    for (auto& cpu : cpus_)
        cpu->reset(kind);
    for (auto& unit : vmx_)
        unit->restarted();
    scheduler_.restart();
    TRY(board_->set_up_without_firmware());
    set_up_legacy_hardware(*this);
    for (unsigned n = 1; n < cpus(); ++n)
        cpus_[n]->activity = Activity::wait_for_sipi;
    return {};
}

/// Everything as after power on, then what firmware leaves behind. Memory that no protocol promises to be zero keeps its contents.
Expected<> Machine::reset(Reset kind) {
    board_->reset(kind);
    TRY(reset_hardware(kind));
    if (!config_.kernel)
        return {};

    const auto file = [](const BootFile& f) { return firmware::File{f.option, f.name, f.data}; };
    firmware::BootRequest request;
    request.kernel = file(*config_.kernel);
    request.program_name = config_.kernel->name;
    request.append = config_.append;
    if (config_.initrd)
        request.initrd = file(*config_.initrd);
    for (const BootFile& module : config_.modules)
        request.modules.push_back({file(module), module.text.empty() ? module.name : module.name + " " + module.text});
    const firmware::BootState state = TRY(firmware::boot(request, board_->description(), *space_));
    for (auto& cpu : cpus_)
        TRY(apply_msrs(state, *cpu));
    apply(state, *cpus_[0]);
    glass_->tell(Topic::machine, "boot", {{"protocol", state.protocol}, {"rip", state.rip}});
    return {};
}

void Machine::request(Ending ending) {
    if (!pending_)
        pending_ = std::move(ending);
    if (Runner* runner = clock_.runner())
        runner->interrupt_slice();
}

void Machine::request_reset(Reset kind) {
    // INIT# without firmware in ROM would run into nothing; what a BIOS makes of it is a reset.
    reset_pending_ = kind == Reset::cold ? Reset::cold : Reset::warm;
    if (Runner* runner = clock_.runner())
        runner->interrupt_slice();
}

void Machine::request_sleep() {
    sleep_pending_ = true;
    if (Runner* runner = clock_.runner())
        runner->interrupt_slice();
}

void Machine::request_wake() {
    wake_pending_ = true;
    if (Runner* runner = clock_.runner())
        runner->interrupt_slice();
}

/// S3: only memory and what wakes keep their power. Processors that nobody starts stay out of the way meanwhile.
void Machine::fall_asleep() {
    for (auto& cpu : cpus_) {
        cpu->reset(Reset::cold);
        cpu->activity = Activity::wait_for_sipi;
    }
    for (auto& unit : vmx_)
        unit->restarted();
}

/// What a BIOS does when it finds that the board was asleep.
Expected<> Machine::resume() {
    const u32 vector = firmware::waking_vector(*space_);
    if (vector == 0 || vector > 0xf'ffff)
        return reset(Reset::warm);
    board_->resume();
    TRY(reset_hardware(Reset::warm));
    firmware::BootState state;
    state.every_processor = firmware::memory_types(board_->description());
    for (auto& cpu : cpus_)
        TRY(apply_msrs(state, *cpu));
    Cpu& boot_processor = *cpus_[0];
    Segment& code = boot_processor.segments[cs];
    code.selector = static_cast<u16>(vector >> 4);
    code.base = u64{code.selector} << 4;
    boot_processor.rip = vector & 15;
    boot_processor.mode_changed();
    glass_->tell(Topic::machine, "resume", {{"vector", vector}});
    return {};
}

Ending Machine::ending_of_stop(Cpu& cpu) {
    const StopReason& reason = cpu.stop_reason();
    switch (reason.kind) {
    case StopKind::triple_fault:
        if (config_.triple_fault_resets) {
            glass_->odd(Topic::machine, "triple-fault", {{"cpu", cpu.index()}});
            request_reset(Reset::warm);
            return {};
        }
        return {EndingKind::triple_fault, 0, reason.text};
    case StopKind::unimplemented:
        return {EndingKind::unimplemented, 0, reason.text};
    case StopKind::debugger:
        return {EndingKind::debugger, 0, reason.text};
    case StopKind::none:
        break;
    }
    VERIFY(false && "a processor stopped without a reason");
    return {};
}

/// What must be done at a slice border before anything runs on. The order is part of what makes runs equal.
Ending Machine::at_border(u64 until_instructions, u64 until_time) {
    clock_.fire();
    inputs_.deliver(clock_.now());
    if (reset_pending_) {
        const Reset kind = *std::exchange(reset_pending_, std::nullopt);
        if (no_reboot)
            return {EndingKind::reset, 0, {}};
        if (auto again = reset(kind); !again.ok())
            return {EndingKind::refused, 0, again.error().message};
    }
    if (std::exchange(sleep_pending_, false))
        fall_asleep();
    if (std::exchange(wake_pending_, false))
        if (auto awake = resume(); !awake.ok())
            return {EndingKind::refused, 0, awake.error().message};
    if (pending_)
        return std::exchange(pending_, {});
    if (scheduler_.instructions() >= until_instructions)
        return {EndingKind::instructions, 0, {}};
    if (clock_.now() >= until_time)
        return {EndingKind::time, 0, {}};
    switch (inputs_.wish()) {
    case host::Wish::quit:
        return {EndingKind::quit, 0, {}};
    case host::Wish::monitor:
        return {EndingKind::monitor, 0, {}};
    case host::Wish::debugger:
        return {EndingKind::debugger, 0, {}};
    case host::Wish::none:
        break;
    }
    if (const Error* refused = inputs_.refused())
        return {EndingKind::refused, 0, refused->message};
    return {};
}

/// No interrupt wakes any processor: what is left are NMIs, which only a device that was told to sends.
bool Machine::deaf() const {
    return std::all_of(cpus_.begin(), cpus_.end(), [](const auto& cpu) {
        switch (cpu->activity) {
        case Activity::hlt:
            return !(cpu->flags & rflags::if_);
        case Activity::wait_for_sipi:
        case Activity::shutdown:
            return true;
        default:
            return false;
        }
    });
}

/// No processor can run: time goes to the next thing that happens.
Ending Machine::skip_idle(u64 until_time) {
    // A machine that has been deaf for so long stays so.
    constexpr u64 patience = 60 * nanoseconds_per_second;
    const u64 now = clock_.now();
    u64 until = std::min({clock_.next_due(), inputs_.next_instant(), until_time});
    if (deaf()) {
        const u64 end = scheduler_.last_ran() + patience;
        if (now >= end)
            return {EndingKind::halted, 0,
                    "all processors are halted with interrupts off, and in a minute no NMI has come: nothing would ever happen again"};
        until = std::min(until, end);
    }
    if (until == never && !inputs_.open())
        return {EndingKind::halted, 0,
                "all processors are halted, no timer is running, and no input can come: nothing would ever happen again"};
    clock_.advance_to(inputs_.idle(now, until, pace_));
    return {};
}

Ending Machine::run(u64 until_instructions, u64 until_time) {
    set_bug_context(
        [](void* context) {
            const auto* m = static_cast<const Machine*>(context);
            return "the machine had executed " + std::to_string(m->instructions()) +
                   " instructions; the same command line comes to the same place";
        },
        this);
    for (;;) {
        if (Ending ending = at_border(until_instructions, until_time))
            return ending;
        const u64 now = clock_.now();
        const u64 most = std::min({until_instructions - scheduler_.instructions(), until_time - now, inputs_.next_instant() - now});
        switch (scheduler_.turn(most)) {
        case Scheduler::Turn::ran:
            pace_.busy(clock_.now());
            break;
        case Scheduler::Turn::idle:
            if (Ending ending = skip_idle(until_time))
                return ending;
            break;
        case Scheduler::Turn::stopped:
            if (Ending ending = ending_of_stop(*cpus_[scheduler_.present()]))
                return ending;
            break;
        }
    }
}

void Machine::end_of_run() {
    for (auto& cpu : cpus_)
        if (Stale* stale = cpu->stale())
            stale->settle();
    if (vtd::Unit* unit = board_->iommu())
        unit->end_of_run();
    for (vtc::Adapter* adapter : board_->adapters())
        adapter->publish_counters();
}

bool Machine::name_for_perf() { return !translator_ || translator_->name_for_perf(); }

std::optional<jit::TranslatorStats> Machine::translator_stats() const {
    return translator_ ? std::optional(translator_->stats()) : std::nullopt;
}

jit::Tier Machine::tier() const {
    return !scheduler_.running() ? jit::Tier::outside : translator_ ? translator_->tier() : jit::Tier::interpreter;
}

u64 Machine::retired() const {
    u64 n = 0;
    for (const auto& cpu : cpus_)
        n += cpu->retired;
    return n;
}

// ---- state --------------------------------------------------------------------------------------------------------------

// The components in the order of every visit: clock, scheduler, space, interrupts, processors, devices.
namespace {
constexpr unsigned fixed_components = 4;
}

unsigned Machine::components() const {
    return fixed_components + cpus() + static_cast<unsigned>(board_->devices().size());
}

std::string Machine::component_name(unsigned n) const {
    static constexpr const char* names[fixed_components] = {"clock", "scheduler", "space", "interrupts"};
    if (n < fixed_components)
        return names[n];
    n -= fixed_components;
    if (n < cpus())
        return "cpu" + std::to_string(n);
    return std::string(board_->devices()[n - cpus()]->name());
}

void Machine::visit(unsigned n, Visitor& v) {
    switch (n) {
    case 0:
        return clock_.state(v);
    case 1:
        return scheduler_.state(v);
    case 2:
        return space_->state(v);
    case 3:
        return interrupts_->state(v);
    default:
        break;
    }
    n -= fixed_components;
    if (n < cpus()) {
        if (vmx_.size() > n) {
            v.begin("vmx");
            vmx_[n]->state(v);
            v.end();
        }
        cpus_[n]->state(v);
        if (v.loading() && vmx_.size() > n)
            vmx_[n]->restored();
        return;
    }
    board_->devices()[n - cpus()]->state(v);
}

void Machine::state(Visitor& v) {
    for (unsigned n = 0; n < components(); ++n) {
        v.begin(component_name(n));
        visit(n, v);
        v.end();
    }
}

std::vector<std::string> Machine::component_names() const {
    std::vector<std::string> names;
    for (unsigned n = 0; n < components(); ++n)
        names.push_back(component_name(n));
    return names;
}

bool Machine::show(std::string_view component, Visitor& v) {
    for (unsigned n = 0; n < components(); ++n)
        if (component_name(n) == component) {
            visit(n, v);
            return true;
        }
    return false;
}

std::vector<std::pair<std::string, Hash128>> Machine::hashes() {
    std::vector<std::pair<std::string, Hash128>> all;
    for (unsigned n = 0; n < components(); ++n) {
        HashVisitor v;
        visit(n, v);
        all.emplace_back(component_name(n), v.take(n + 1));
    }
    all.emplace_back("memory", memory_hash_.renew());
    return all;
}

Hash128 Machine::hash() {
    Hash128 sum = memory_hash_.renew();
    HashVisitor v;
    for (unsigned n = 0; n < components(); ++n) {
        visit(n, v);
        sum += v.take(n + 1);
    }
    return sum;
}

} // namespace vitrine::machine
