// SPDX-License-Identifier: Apache-2.0
// Reset control and its relatives.
#include "chipset/reset_ports.h"

namespace vitrine {

namespace {

enum Ports : u32 { cf9, port92, port80 };

enum : u8 { cf9_system_reset = 0x02, cf9_reset_cpu = 0x04, cf9_full_reset = 0x08 };

enum : u8 { fast_init = 0x01, fast_a20 = 0x02 };

} // namespace

ResetPorts::ResetPorts(Bus& ports, Glass& glass, ResetActions actions)
    : glass_(glass), actions_(std::move(actions)),
      regions_{Region{.device = this, .name = "reset-control", .size = 1, .index = cf9, .max_size = 1},
               Region{.device = this, .name = "port92", .size = 1, .index = port92, .max_size = 1},
               Region{.device = this, .name = "post-code", .size = 1, .index = port80, .max_size = 1}} {
    ports.map(regions_[0], 0xcf9);
    ports.map(regions_[1], 0x92);
    ports.map(regions_[2], 0x80);
}

void ResetPorts::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    control_ = 0;
    fast_ = fast_a20;
    keyboard_a20_ = true;
    update_a20();
}

void ResetPorts::ask(Reset kind) {
    glass_.tell(Topic::chipset, "reset.asked", {{"kind", static_cast<u64>(kind)}});
    if (actions_.reset)
        actions_.reset(kind);
}

void ResetPorts::update_a20() {
    const bool open = (fast_ & fast_a20) || keyboard_a20_;
    if (open == a20_)
        return;
    a20_ = open;
    if (actions_.a20)
        actions_.a20(open);
}

void ResetPorts::keyboard_a20(bool open) {
    keyboard_a20_ = open;
    update_a20();
}

void ResetPorts::access(Region& region, Access& a) {
    const auto value = static_cast<u8>(a.value);
    switch (region.index) {
    case cf9: {
        if (!a.write) {
            a.value = control_;
            return;
        }
        const bool rises = value & cf9_reset_cpu && !(control_ & cf9_reset_cpu);
        control_ = value & (cf9_system_reset | cf9_reset_cpu | cf9_full_reset);
        if (!rises)
            return;
        if (!(value & cf9_system_reset))
            return ask(Reset::init);
        return ask(value & cf9_full_reset ? Reset::cold : Reset::warm);
    }
    case port92: {
        if (!a.write) {
            a.value = fast_;
            return;
        }
        const bool rises = value & fast_init && !(fast_ & fast_init);
        fast_ = value & (fast_init | fast_a20);
        update_a20();
        if (rises)
            ask(Reset::init);
        return;
    }
    default:
        if (!a.write) {
            a.value = post_code_;
            return;
        }
        post_code_ = value;
        glass_.tell(Topic::chipset, "post-code", {{"code", value}});
    }
}

void ResetPorts::state(Visitor& v) {
    v.field("control", control_);
    v.field("fast", fast_);
    v.field("post-code", post_code_);
    v.field("keyboard-a20", keyboard_a20_);
    v.field("a20", a20_);
    if (v.loading() && actions_.a20)
        actions_.a20(a20_);
}

} // namespace vitrine
