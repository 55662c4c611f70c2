// SPDX-License-Identifier: Apache-2.0
// The two 8259A interrupt controllers of a PC, cascaded, with the edge/level control registers of the chipset.
// Intel 8259A datasheet; ICH9 datasheet, "8259 Interrupt Controllers". As the chipset has it, ICW1's level bit is
// ignored (ELCR replaces it) and 8080 mode does not exist.
#pragma once

#include "base/device.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>

namespace vitrine {

/// One 8259A: eight inputs, one output.
class Pic8259 {
public:
    explicit Pic8259(bool master) : master_(master) {}

    void set_input(unsigned n, bool level);

    /// Level of the INT output.
    bool output() const { return request() >= 0; }

    /// Both INTA cycles: the number of the input taken, now in service; 7 without being in service when none requests
    /// any more.
    unsigned acknowledge();

    u8 base_vector() const { return icw2_; }

    void write(bool a0, u8 value, Glass& glass);
    u8 read(bool a0);

    /// ELCR bit n: input n is level triggered.
    void set_elcr(u8 value) { elcr_ = value & (master_ ? 0xf8 : 0xde); }

    u8 elcr() const { return elcr_; }

    void reset();
    void state(Visitor& v);

private:
    u8 requests() const { return static_cast<u8>((edges_ & levels_ & ~elcr_) | (levels_ & elcr_)); }

    unsigned rank(unsigned n) const { return (n + 7 - lowest_) & 7; } ///< 0 is the highest priority

    int highest(u8 set) const; ///< of a set of inputs; -1 of none
    int request() const;       ///< the input that should interrupt now; -1 for none
    void initialise(u8 icw1);
    void operation_command_2(u8 value);
    void end_of_interrupt(int n);

    bool master_;
    u8 levels_ = 0; ///< the inputs as they are
    u8 edges_ = 0;  ///< inputs that rose since they were last acknowledged
    u8 imr_ = 0, isr_ = 0, elcr_ = 0;
    u8 icw2_ = 0, icw3_ = 0, icw4_ = 0;
    u8 lowest_ = 7;    ///< the input of lowest priority
    u8 init_step_ = 0; ///< the ICW expected next (2, 3, 4); 0 when initialised
    bool expects_icw4_ = false, single_ = false;
    bool read_isr_ = false, poll_ = false, special_mask_ = false, rotate_in_aeoi_ = false;
};

/// Master and slave on the master's input 2.
class Pic : public Device {
public:
    /// `output` is the master's INT, which goes to LINT0 of the local APICs and to pin 0 of the I/O APIC.
    Pic(Bus& ports, Glass& glass, Line output);

    /// ISA interrupt 0 to 15; 2 is the cascade and not an input.
    void set_input(unsigned irq, bool level);

    bool output() const { return output_level_; }

    /// INTA: the vector.
    u8 acknowledge();

    std::string_view name() const override { return "pic"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    void update();

    Glass& glass_;
    Line output_;
    bool output_level_ = false;
    Pic8259 master_{true}, slave_{false};
    std::array<Region, 3> regions_;
};

} // namespace vitrine
