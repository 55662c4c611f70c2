// SPDX-License-Identifier: Apache-2.0
// A virtual processor: a VMCS, the registers that it does not hold, a local APIC, and what is to be injected.
#pragma once

#include "pane/devices/local_apic.h"
#include "pane/kernel/processor.h"
#include "pane/vtd/posted.h"
#include "pane/vmx/instructions.h"

namespace vitrine::pane {

struct Cpu;
struct Guest;

/// An interrupt message on its way to local APICs.
struct Message {
    u8 vector;
    apic::DeliveryMode mode;
    bool logical, level;
    u32 destination;
};

/// An event for VM entry, in the form of the interruption-information field.
struct Event {
    u32 information = 0, error_code = 0, length = 0;

    explicit operator bool() const { return information != 0; }
};

/// Registers that neither a VMCS nor Registers holds; switched when a processor goes from one Vcpu to another.
struct SlowState {
    static constexpr unsigned most_msrs = 8;

    u64 msrs[most_msrs]{};
    u64 dr[4]{}, dr6 = 0xffff'0ff0;
    u64 xcr0 = 1;
    u64 cr2 = 0;
    u8* fpu = nullptr; ///< an XSAVE area
};

/// How a boot protocol wants the first processor to begin.
struct EntryState {
    enum class Mode : u8 { protected_mode, long_mode } mode = Mode::protected_mode;
    u64 rip = 0, rax = 0, rbx = 0, rsi = 0, rsp = 0;
    u64 cr3 = 0; ///< for long mode
};

struct Vcpu {
    PostedDescriptor posted{};

    enum class State : u8 { wait_for_sipi, runnable, halted };

    Registers registers{};
    Guest* guest = nullptr;
    unsigned number = 0;
    State state = State::wait_for_sipi;
    LocalApic apic;
    SlowState slow;
    u64 vmcs = 0, msr_bitmap = 0;
    u16 vpid = 0;
    u32 secondary = 0;

    Cpu* on = nullptr;   ///< where its VMCS is current
    Cpu* last = nullptr; ///< where it was current last
    bool launched = false;
    Event event;               ///< to be injected at the next entry
    bool nmi_pending = false;
    bool init_pending = false, sipi_pending = false; ///< taken by the processor that runs it next
    u8 sipi_page = 0;
    u64 ran = 0;               ///< TSC ticks
    u64 slice_end = 0;

    // What the last exit left, for waking up while the VMCS is elsewhere.
    bool interrupts_open = false;

    void start(Guest& owner, unsigned index);

    /// The first processor's beginning.
    void begin(const EntryState& entry);

    /// Fills the VMCS, which must be current. Real mode at `cs`:0, or as the loader wants it afterwards.
    void reset_vmcs(u16 cs);

    /// Its state goes into this processor, or is saved from it.
    void load(Cpu& cpu);
    void unload();

    /// What came by INIT and SIPI, its VMCS being current.
    void take_signals();

    /// What is pending becomes an injection, a window or the processor's own business.
    void prepare_entry();
    void inject_exception(u8 vector, u32 error_code = 0, bool has_error_code = false);
    void skip_instruction();

    bool receive(const Message& m);

    /// Something is pending that this processor must look at: wakes it or makes it exit.
    void notify();
    bool can_wake();

    /// Its guest has a device whose interrupts may be posted.
    bool uses_posting() const;

    /// Device interrupts that no processor has taken out of the descriptor go to the local APIC.
    void take_posted();
    void apic_mode_changed();
    u64 pin_based() const;

    u64& gpr(unsigned n) { return (&registers.rax)[n]; }
};

} // namespace vitrine::pane
