// SPDX-License-Identifier: Apache-2.0
// The keyboard controller: commands, translation of scan codes, A20 and reset.
#include "chipset/i8042.h"

namespace vitrine {

namespace {

enum : u8 { status_obf = 0x01, status_system = 0x04, status_command = 0x08, status_unlocked = 0x10 };

enum : u8 {
    mode_interrupt = 0x01,
    mode_system = 0x04,
    mode_disable_keyboard = 0x10,
    mode_disable_aux = 0x20,
    mode_translate = 0x40
};

enum : u8 {
    read_memory = 0x20,  // to 3Fh
    write_memory = 0x60, // to 7Fh
    disable_aux = 0xa7,
    enable_aux = 0xa8,
    test_aux = 0xa9,
    self_test = 0xaa,
    test_keyboard = 0xab,
    disable_keyboard = 0xad,
    enable_keyboard = 0xae,
    read_input_port = 0xc0,
    read_output_port = 0xd0,
    write_output_port_command = 0xd1,
    write_keyboard_buffer = 0xd2,
    write_aux_buffer = 0xd3,
    write_aux = 0xd4,
    disable_a20 = 0xdd,
    enable_a20 = 0xdf,
    pulse_output = 0xf0, // to FFh
};

enum : u8 { output_reset = 0x01, output_a20 = 0x02 }; // reset is active low

// Set 2 to set 1, as the controller's ROM has it; break codes get bit 7 from the F0h before them.
// clang-format off
constexpr u8 set1[0x88] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54, 0x85, 0x86, 0x87,
};
// clang-format on

} // namespace

I8042::I8042(Bus& ports, Glass& glass, Line irq1, Actions actions)
    : glass_(glass), irq_(std::move(irq1)), actions_(std::move(actions)),
      regions_{Region{.device = this, .name = "i8042.data", .size = 1, .index = 0, .max_size = 1},
               Region{.device = this, .name = "i8042.command", .size = 1, .index = 1, .max_size = 1}} {
    ports.map(regions_[0], 0x60);
    ports.map(regions_[1], 0x64);
    reset(Reset::cold);
}

void I8042::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    keyboard_.reset();
    memory_ = {};
    // As firmware leaves it: translation on, interrupt on, no second port.
    memory_[0] = mode_translate | mode_disable_aux | mode_system | mode_interrupt;
    full_ = last_was_command_ = breaking_ = false;
    system_flag_ = true;
    expects_ = 0;
    output_port_ = output_reset | output_a20;
    update();
}

u8 I8042::translated(u8 code) {
    if (!(memory_[0] & mode_translate))
        return code;
    const u8 make = code < sizeof set1 ? set1[code] : code;
    const u8 result = static_cast<u8>(breaking_ && make < 0x80 ? make | 0x80 : make);
    breaking_ = false;
    return result;
}

void I8042::put(u8 value) {
    output_ = value;
    full_ = true;
}

void I8042::update() {
    // The keyboard is clocked in while the buffer is empty. Answers pass the translation like keys, as on the real
    // thing.
    while (!full_ && keyboard_.has_output() && !(memory_[0] & mode_disable_keyboard)) {
        const u8 code = keyboard_.take();
        if (code == 0xf0 && (memory_[0] & mode_translate)) {
            breaking_ = true;
            continue;
        }
        put(translated(code));
    }
    const bool level = full_ && (memory_[0] & mode_interrupt);
    if (level != irq_level_) {
        irq_level_ = level;
        irq_.set(level);
    }
}

void I8042::write_output_port(u8 value) {
    const u8 before = output_port_;
    output_port_ = value;
    if ((before ^ value) & output_a20 && actions_.a20)
        actions_.a20(value & output_a20);
    if (!(value & output_reset) && actions_.reset)
        actions_.reset();
}

void I8042::command(u8 value) {
    last_was_command_ = true;
    expects_ = 0;
    if (value >= pulse_output) { // bits 3:0 clear say which output pins to pulse low
        if (!(value & output_reset) && actions_.reset)
            actions_.reset();
        return;
    }
    if (value >= read_memory && value < read_memory + 0x20)
        return put(memory_[value - read_memory]);
    if (value >= write_memory && value < write_memory + 0x20) {
        expects_ = value;
        return;
    }
    switch (value) {
    case self_test:
        memory_[0] |= mode_disable_keyboard | mode_disable_aux;
        system_flag_ = true;
        return put(0x55);
    case test_keyboard:
        return put(0x00);
    case test_aux:
        return put(0x01); // clock line stuck low: there is no second port
    case disable_keyboard:
        memory_[0] |= mode_disable_keyboard;
        return;
    case enable_keyboard:
        memory_[0] &= static_cast<u8>(~mode_disable_keyboard);
        return;
    case disable_aux:
        memory_[0] |= mode_disable_aux;
        return;
    case enable_aux:
        return; // it stays disabled: software sees by it that there is none
    case read_input_port:
        return put(0x80);
    case read_output_port:
        return put(static_cast<u8>(output_port_ | (full_ ? 0x10 : 0)));
    case disable_a20:
        return write_output_port(output_port_ & static_cast<u8>(~output_a20));
    case enable_a20:
        return write_output_port(output_port_ | output_a20);
    case write_output_port_command:
    case write_keyboard_buffer:
    case write_aux_buffer:
    case write_aux:
        expects_ = value;
        return;
    default:
        glass_.odd(Topic::chipset, "i8042.unknown-command", {{"command", value}});
        return;
    }
}

void I8042::data(u8 value) {
    last_was_command_ = false;
    const u8 command = expects_;
    expects_ = 0;
    if (command >= write_memory && command < write_memory + 0x20) {
        memory_[command - write_memory] = command == write_memory ? value | mode_disable_aux : value;
        if (command == write_memory)
            system_flag_ = value & mode_system;
        return;
    }
    switch (command) {
    case write_output_port_command:
        return write_output_port(value);
    case write_keyboard_buffer:
    case write_aux_buffer:
        return put(value); // without a second port its loop comes back as the keyboard's
    case write_aux:
        return put(0xfe); // nobody there: the controller's time-out answer
    default:
        memory_[0] &= static_cast<u8>(~mode_disable_keyboard); // talking to the keyboard opens its clock
        keyboard_.command(value);
    }
}

void I8042::receive(std::span<const u8> codes) {
    for (const u8 code : codes)
        if (!keyboard_.key(code))
            glass_.odd(Topic::chipset, "keyboard.lost-scan-code", {{"code", code}});
    update();
}

void I8042::access(Region& region, Access& a) {
    const auto value = static_cast<u8>(a.value);
    if (a.write) {
        if (region.index == 1)
            command(value);
        else
            data(value);
    } else if (region.index == 1) {
        a.value = static_cast<u8>(status_unlocked | (full_ ? status_obf : 0) | (system_flag_ ? status_system : 0) |
                                  (last_was_command_ ? status_command : 0));
        return;
    } else {
        a.value = output_;
        if (full_) {
            full_ = false;
            // The line drops between two bytes, so that each is an edge of its own.
            irq_level_ = false;
            irq_.set(false);
        }
    }
    update();
}

void I8042::state(Visitor& v) {
    v.field("keyboard", keyboard_);
    v.field("memory", memory_);
    v.field("output", output_);
    v.field("full", full_);
    v.field("last-was-command", last_was_command_);
    v.field("system-flag", system_flag_);
    v.field("expects", expects_);
    v.field("output-port", output_port_);
    v.field("breaking", breaking_);
    v.field("irq", irq_level_);
}

} // namespace vitrine
