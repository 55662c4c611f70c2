// SPDX-License-Identifier: Apache-2.0
// The 8259's logic. A line is a level; an edge-triggered request is latched by its rise and lost by its fall before the acknowledge.
#include "pane/devices/pic.h"

#include "pane/guest/guest.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/serial.h"

namespace vitrine::pane {

namespace {

constexpr u8 bit8(unsigned n) { return static_cast<u8>(1 << n); }

} // namespace

/// The line of highest priority among `lines`; -1 for none.
int PicChip::highest(u8 lines) const {
    for (unsigned n = 0; n < 8; ++n) {
        const unsigned line = (lowest_ + 1 + n) & 7;
        if (lines & bit8(line))
            return static_cast<int>(line);
    }
    return -1;
}

int PicChip::candidate() const {
    const int wanted = highest(irr_ & static_cast<u8>(~imr_));
    if (wanted < 0)
        return -1;
    u8 serving = isr_;
    if (special_mask_)
        serving &= static_cast<u8>(~imr_); // masked lines in service block nobody
    if (fully_nested_ && wanted >= 0 && bit8(static_cast<unsigned>(wanted)) == slave_bit_)
        serving &= static_cast<u8>(~slave_bit_); // the slave may interrupt itself
    const int blocking = highest(serving);
    if (blocking >= 0 && rank(static_cast<unsigned>(blocking)) <= rank(static_cast<unsigned>(wanted)))
        return -1;
    return wanted;
}

void PicChip::set_line(unsigned line, bool level) {
    const u8 mask = bit8(line);
    const bool was = lines_ & mask;
    lines_ = static_cast<u8>(level ? lines_ | mask : lines_ & ~mask);
    const bool by_level = level_mode_ || (elcr & mask);
    if (level && (by_level || !was))
        irr_ |= mask;
    else if (!level)
        irr_ &= static_cast<u8>(~mask);
}

void PicChip::begin_service(unsigned line) {
    const u8 mask = bit8(line);
    if (!level_mode_ && !(elcr & mask))
        irr_ &= static_cast<u8>(~mask);
    if (!automatic_eoi_)
        isr_ |= mask;
    else if (rotate_on_aeoi_)
        lowest_ = static_cast<u8>(line);
}

u8 PicChip::acknowledge() {
    const int line = candidate();
    if (line < 0)
        return base_ + 7;
    begin_service(static_cast<unsigned>(line));
    return static_cast<u8>(base_ + line);
}

void PicChip::end_of_interrupt(unsigned line, bool rotate) {
    isr_ &= static_cast<u8>(~bit8(line));
    if (rotate)
        lowest_ = static_cast<u8>(line);
}

PicWord PicChip::write(bool odd, u8 value) {
    if (odd) {
        const u8 which = expected_;
        switch (which) {
        case 2:
            base_ = value & 0xf8;
            expected_ = single_ ? (wants_icw4_ ? 4 : 0) : 3;
            return PicWord::icw2;
        case 3: // the wiring of master and slave is fixed on a PC
            expected_ = wants_icw4_ ? 4 : 0;
            return PicWord::icw3;
        case 4:
            automatic_eoi_ = value & 2;
            fully_nested_ = value & 0x10;
            expected_ = 0;
            return PicWord::icw4;
        default: imr_ = value; return PicWord::ocw1;
        }
    }
    if (value & 0x10) { // ICW1
        wants_icw4_ = value & 1;
        single_ = value & 2;
        level_mode_ = value & 8;
        imr_ = isr_ = irr_ = 0;
        lowest_ = 7;
        automatic_eoi_ = rotate_on_aeoi_ = fully_nested_ = special_mask_ = read_isr_ = poll_ = false;
        expected_ = 2;
        return PicWord::icw1;
    }
    if (value & 8) { // OCW3
        if (value & 0x40)
            special_mask_ = value & 0x20;
        if (value & 4)
            poll_ = true;
        else if (value & 2)
            read_isr_ = value & 1;
        return PicWord::ocw3;
    }
    // OCW2: rotate, specific, end of interrupt; and the line.
    const bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
    const unsigned named = value & 7;
    if (eoi) {
        const int line = specific ? static_cast<int>(named) : highest(special_mask_ ? isr_ & static_cast<u8>(~imr_) : isr_);
        if (line >= 0)
            end_of_interrupt(static_cast<unsigned>(line), rotate);
    } else if (specific && rotate) {
        lowest_ = static_cast<u8>(named); // set priority
    } else if (!specific) {
        rotate_on_aeoi_ = rotate;
    }
    return PicWord::ocw2;
}

u8 PicChip::read(bool odd) {
    if (poll_) { // the next read is the acknowledge
        poll_ = false;
        const int line = candidate();
        if (line < 0)
            return 0;
        begin_service(static_cast<unsigned>(line));
        return static_cast<u8>(0x80 | line);
    }
    return odd ? imr_ : read_isr_ ? isr_ : irr_;
}

void Pic::cascade() { master_.set_line(2, slave_.candidate() >= 0); }

void Pic::set_line(unsigned irq, bool level) {
    if (irq >= 8)
        slave_.set_line(irq - 8, level);
    else
        master_.set_line(irq, level);
    cascade();
}

void Pic::trace(Guest& guest, u16 port, const char* verb, u8 value) const {
    if (!guest.config.trace)
        return;
    const auto& name = guest.config.name;
    print(serial_out, "[{}] VM exit 30: {} {-5x} {-4x}", name, verb, port, value);
    for (const PicChip* c : {&master_, &slave_})
        print(serial_out, " | {}: IRR {-4x} ISR {-4x} IMR {-4x} base {-4x}", c == &master_ ? "virtual master" : "slave", c->request(),
              c->in_service(), c->mask(), c->vector_base());
    const PhysicalPicState physical = physical_pic();
    say(" | physical: IMR {x} {x}", physical.master_mask, physical.slave_mask);
}

void Pic::write(Guest& guest, u16 port, u8 value) {
    if (port == 0x4d0 || port == 0x4d1) {
        // Timer, keyboard and cascade, clock and coprocessor are always edges.
        const bool slave = port == 0x4d1;
        (slave ? slave_ : master_).elcr = value & (slave ? 0xde : 0xf8);
        ++words[slave][static_cast<unsigned>(PicWord::elcr)];
    } else {
        const bool slave = port >= 0xa0;
        const PicWord word = (slave ? slave_ : master_).write(port & 1, value);
        ++words[slave][static_cast<unsigned>(word)];
    }
    cascade();
    trace(guest, port, "OUT", value);
}

u8 Pic::read(Guest& guest, u16 port) {
    if (port == 0x4d0 || port == 0x4d1)
        return (port == 0x4d1 ? slave_ : master_).elcr;
    const u8 value = (port >= 0xa0 ? slave_ : master_).read(port & 1);
    cascade();
    trace(guest, port, "IN ", value);
    return value;
}

u8 Pic::acknowledge(Guest& guest) {
    const int line = master_.candidate();
    u8 vector = master_.acknowledge();
    unsigned irq = line < 0 ? 7 : static_cast<unsigned>(line);
    if (line == 2) {
        const int inner = slave_.candidate();
        vector = slave_.acknowledge();
        irq = inner < 0 ? 15 : 8 + static_cast<unsigned>(inner);
    }
    ++acknowledged[irq];
    cascade();
    if (guest.config.trace)
        say("[{}] VM entry: the virtual 8259s' IRQ {} is acknowledged, interrupt {x} injected", guest.config.name, irq, vector);
    return vector;
}

} // namespace vitrine::pane
