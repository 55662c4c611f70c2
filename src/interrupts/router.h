// SPDX-License-Identifier: Apache-2.0
// All interrupt controllers of a machine and what connects them: lines, IPIs, messages.
#pragma once

#include "interrupts/io_apic.h"
#include "interrupts/local_apic.h"
#include "interrupts/pic.h"
#include "interrupts/wired_or.h"
#include "memory/space.h"

#include <memory>
#include <vector>

namespace vitrine {

/// Owns the 8259s, the I/O APIC and the local APICs. As MsiSink it is plain delivery, without remapping.
class Interrupts : public MsiSink, private ApicBus {
public:
    struct Options {
        std::vector<u32> apic_ids{0}; ///< one for each processor; the first is the bootstrap processor
        unsigned physical_bits = 46;
        bool x2apic = true;
        bool tsc_deadline = true;
        IoApic::Options io_apic{};
    };

    Interrupts(Clock& clock, Space& space, const Options& options);

    unsigned processors() const { return static_cast<unsigned>(local_.size()); }

    /// The port of processor n; connect() tells it whose pins it drives.
    LocalApic& local_apic(unsigned n) { return *local_[n]; }

    void connect(unsigned n, Pins& pins) { local_[n]->connect(pins); }

    Pic& pic() { return pic_; }

    IoApic& io_apic() { return io_apic_; }

    static constexpr unsigned lines = apic::io_apic_pins;

    /// A line to global system interrupt n, 0 to 23; those below 16 are the ISA interrupts and reach the 8259s too. ISA
    /// interrupt 0 is pin 2 of the I/O APIC, as the MADT must say; 2 is the same line. Each call gives a line of its
    /// own: a global system interrupt is high as long as any of its lines is.
    Line gsi(unsigned n);

    /// A line to input n of the 8259s alone, beside the global system interrupt's: where PIRQs are routed to.
    Line pic_input(unsigned n);

    /// A line to LINT1 of all local APICs: the chipset's NMI.
    Line nmi() { return nmi_.input(); }

    /// From now on the I/O APIC's messages go through interrupt remapping. (Devices take their MsiSink when they are
    /// made.)
    void set_remapping(MsiSink& sink) { io_apic_.set_sink(sink); }

    /// Plain delivery of a message-signalled interrupt in compatibility format.
    void message(Requester requester, u64 address, u32 data) override;

    /// To every local APIC that the message names, or to one of them. Also the way out of interrupt remapping.
    void deliver(const InterruptMessage& message) { deliver(message, nullptr); }

    void reset(Reset kind);
    void state(Visitor& v);

private:
    void ipi(unsigned from, const InterruptMessage& message, apic::Shorthand shorthand) override;

    void broadcast_eoi(u8 vector) override { io_apic_.end_of_interrupt(vector); }

    u8 acknowledge_ext_int() override { return pic_.acknowledge(); }

    void ext_int(bool level);
    void deliver(const InterruptMessage& message, const LocalApic* except);

    Glass& glass_;
    std::vector<std::unique_ptr<LocalApic>> local_;
    IoApic io_apic_;
    Pic pic_;
    std::array<WiredOr, lines> lines_;
    std::array<WiredOr, 16> pic_inputs_;
    WiredOr nmi_;
};

} // namespace vitrine
