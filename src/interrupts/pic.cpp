// SPDX-License-Identifier: Apache-2.0
// The 8259A pair at work: priorities, initialisation and operation commands, cascade.
#include "interrupts/pic.h"

namespace vitrine {

namespace {

enum : u8 { // ICW4
    icw4_aeoi = 0x02,
    icw4_special_fully_nested = 0x10,
};

} // namespace

// An edge must stay high until it is acknowledged: a request that has gone away gives the default vector 7.
void Pic8259::set_input(unsigned n, bool level) {
    const u8 mask = static_cast<u8>(1u << n);
    if (level && !(levels_ & mask))
        edges_ |= mask;
    if (!level)
        edges_ &= static_cast<u8>(~mask);
    levels_ = static_cast<u8>(level ? levels_ | mask : levels_ & ~mask);
}

int Pic8259::highest(u8 set) const {
    for (unsigned r = 0; r < 8; ++r)
        if (const unsigned n = (lowest_ + 1 + r) & 7; set & (1u << n))
            return static_cast<int>(n);
    return -1;
}

int Pic8259::request() const {
    const int wanted = highest(requests() & static_cast<u8>(~imr_));
    if (wanted < 0 || init_step_ != 0)
        return -1;
    u8 inhibiting = isr_;
    if (special_mask_) // what is in service but masked inhibits nobody
        inhibiting &= static_cast<u8>(~imr_);
    // Special fully nested: the slave may interrupt again while it is in service.
    if (master_ && (icw4_ & icw4_special_fully_nested) && wanted == 2)
        inhibiting &= static_cast<u8>(~4u);
    const int serving = highest(inhibiting);
    return serving < 0 || rank(static_cast<unsigned>(wanted)) < rank(static_cast<unsigned>(serving)) ? wanted : -1;
}

unsigned Pic8259::acknowledge() {
    const int n = request();
    if (n < 0)
        return 7;
    const u8 mask = static_cast<u8>(1u << n);
    edges_ &= static_cast<u8>(~mask);
    if (!(icw4_ & icw4_aeoi))
        isr_ |= mask;
    else if (rotate_in_aeoi_)
        lowest_ = static_cast<u8>(n);
    return static_cast<unsigned>(n);
}

void Pic8259::initialise(u8 icw1) {
    edges_ = imr_ = isr_ = 0;
    lowest_ = 7;
    special_mask_ = read_isr_ = poll_ = false;
    expects_icw4_ = icw1 & 1;
    single_ = icw1 & 2;
    if (!expects_icw4_) {
        icw4_ = 0;
        rotate_in_aeoi_ = false;
    }
    init_step_ = 2;
}

void Pic8259::end_of_interrupt(int n) {
    if (n >= 0)
        isr_ &= static_cast<u8>(~(1u << n));
}

void Pic8259::operation_command_2(u8 value) {
    const int level = value & 7;
    // Masked inputs in service are passed over by the non-specific EOI of special mask mode.
    const int current = highest(special_mask_ ? isr_ & static_cast<u8>(~imr_) : isr_);
    switch (value >> 5) { // R, SL, EOI
    case 0:
        rotate_in_aeoi_ = false;
        break;
    case 1:
        end_of_interrupt(current);
        break;
    case 2:
        break; // no operation
    case 3:
        end_of_interrupt(level);
        break;
    case 4:
        rotate_in_aeoi_ = true;
        break;
    case 5:
        end_of_interrupt(current);
        if (current >= 0)
            lowest_ = static_cast<u8>(current);
        break;
    case 6:
        lowest_ = static_cast<u8>(level);
        break;
    case 7:
        end_of_interrupt(level);
        lowest_ = static_cast<u8>(level);
        break;
    }
}

void Pic8259::write(bool a0, u8 value, Glass& glass) {
    if (!a0) {
        if (value & 0x10) {
            if (value & 0x08)
                glass.odd(Topic::interrupts, "pic.level-bit-ignored", {{"icw1", value}});
            initialise(value);
        } else if (value & 0x08) { // OCW3
            if (value & 0x02)
                read_isr_ = value & 1;
            poll_ = value & 0x04;
            if (value & 0x40)
                special_mask_ = value & 0x20;
        } else {
            operation_command_2(value);
        }
        return;
    }
    switch (init_step_) {
    case 2:
        icw2_ = value & 0xf8;
        init_step_ = single_ ? (expects_icw4_ ? 4 : 0) : 3;
        break;
    case 3:
        icw3_ = value;
        if (value != (master_ ? 0x04 : 0x02))
            glass.odd(Topic::interrupts, "pic.cascade-not-as-wired", {{"icw3", value}});
        init_step_ = expects_icw4_ ? 4 : 0;
        break;
    case 4:
        icw4_ = value;
        if (!(value & 1))
            glass.odd(Topic::interrupts, "pic.8080-mode", {{"icw4", value}});
        init_step_ = 0;
        break;
    default:
        imr_ = value;
        break;
    }
}

u8 Pic8259::read(bool a0) {
    if (poll_) { // the poll command turns the next read into an acknowledgement
        poll_ = false;
        return output() ? static_cast<u8>(0x80 | acknowledge()) : u8{0};
    }
    if (a0)
        return imr_;
    return read_isr_ ? isr_ : requests();
}

void Pic8259::reset() {
    const u8 levels = levels_;
    *this = Pic8259(master_);
    levels_ = levels;
}

void Pic8259::state(Visitor& v) {
    v.field("levels", levels_);
    v.field("edges", edges_);
    v.field("imr", imr_);
    v.field("isr", isr_);
    v.field("elcr", elcr_);
    v.field("icw2", icw2_);
    v.field("icw3", icw3_);
    v.field("icw4", icw4_);
    v.field("lowest", lowest_);
    v.field("init-step", init_step_);
    v.field("expects-icw4", expects_icw4_);
    v.field("single", single_);
    v.field("read-isr", read_isr_);
    v.field("poll", poll_);
    v.field("special-mask", special_mask_);
    v.field("rotate-in-aeoi", rotate_in_aeoi_);
    if (v.loading()) {
        lowest_ &= 7;
        if (init_step_ > 4 || init_step_ == 1)
            v.refuse("pic: no such step of initialisation");
    }
}

Pic::Pic(Bus& ports, Glass& glass, Line output)
    : glass_(glass), output_(std::move(output)),
      regions_{Region{.device = this, .name = "pic.master", .size = 2, .index = 0, .max_size = 1},
               Region{.device = this, .name = "pic.slave", .size = 2, .index = 1, .max_size = 1},
               Region{.device = this, .name = "pic.elcr", .size = 2, .index = 2, .max_size = 2}} {
    ports.map(regions_[0], 0x20);
    ports.map(regions_[1], 0xa0);
    ports.map(regions_[2], 0x4d0);
}

void Pic::set_input(unsigned irq, bool level) {
    if (irq < 8)
        master_.set_input(irq, level);
    else
        slave_.set_input(irq - 8, level);
    update();
}

void Pic::update() {
    master_.set_input(2, slave_.output());
    if (master_.output() == output_level_)
        return;
    output_level_ = !output_level_;
    output_.set(output_level_);
}

u8 Pic::acknowledge() {
    unsigned n = master_.acknowledge();
    u8 vector = static_cast<u8>(master_.base_vector() + n);
    if (n == 2) {
        n = 8 + slave_.acknowledge();
        vector = static_cast<u8>(slave_.base_vector() + n - 8);
        master_.set_input(2, false); // INT of the slave drops with INTA, so that its next request is an edge
    }
    glass_.tell(Topic::interrupts, "pic.acknowledge", {{"irq", n}, {"vector", vector}});
    update();
    return vector;
}

void Pic::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    master_.reset();
    slave_.reset();
    update();
}

void Pic::access(Region& region, Access& a) {
    if (region.index == 2) {
        for (unsigned i = 0; i < a.size; ++i) {
            Pic8259& chip = a.offset + i == 0 ? master_ : slave_;
            if (a.write)
                chip.set_elcr(static_cast<u8>(a.value >> (8 * i)));
            else
                a.value |= u64{chip.elcr()} << (8 * i);
        }
    } else {
        Pic8259& chip = region.index == 0 ? master_ : slave_;
        if (a.write)
            chip.write(a.offset, static_cast<u8>(a.value), glass_);
        else
            a.value = chip.read(a.offset);
    }
    update();
}

void Pic::state(Visitor& v) {
    v.field("master", master_);
    v.field("slave", slave_);
    v.field("output", output_level_);
}

} // namespace vitrine
