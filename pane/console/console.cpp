// SPDX-License-Identifier: Apache-2.0
// Output: raw for the guest that has the terminal, by whole lines with its name when all share it. Input: Ctrl-T and a key, or the guest's.
#include "pane/console/console.h"

#include "pane/console/prompt.h"
#include "pane/guest/guest.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"

namespace vitrine::pane {

namespace {

/// What a guest said while another had the terminal, or since its last line's end.
struct Backlog {
    static constexpr unsigned size = 4096;

    char text[size]{};
    unsigned start = 0, count = 0;

    void add(char c) {
        text[(start + count) % size] = c;
        if (count < size)
            ++count;
        else
            start = (start + 1) % size;
    }

    void print() {
        for (unsigned n = 0; n < count; ++n)
            serial_put(text[(start + n) % size]);
        start = count = 0;
    }
};

constexpr char escape = 'T' & 31;
constexpr unsigned longest_line = 1024;

constinit Backlog backlogs[Config::most_guests];
Guest* focus;          ///< null: all
bool at_prompt = true; ///< keys go there
bool escaped;
bool to_virtio[Config::most_guests]; ///< keys go to hvc0, not to ttyS0
u64 interrupts_seen = ~0ull;

void switch_key(char c) {
    if (c >= '1' && c < static_cast<char>('1' + guest_count)) {
        console_focus(guests[c - '1']);
    } else if (c == 'a') {
        console_focus(nullptr);
    } else if (c == 'p') {
        at_prompt = true;
        prompt_show();
    } else if (c == 'v' && focus) {
        to_virtio[focus->number] = !to_virtio[focus->number];
        say("\npane: keys go to {} of {}", to_virtio[focus->number] ? "hvc0" : "ttyS0", focus->config.name);
    } else if (c == escape && focus) {
        focus->uart.receive(*focus, static_cast<u8>(c));
    } else {
        say("\npane: Ctrl-T and 1 to {}: a guest; a: all; p: the prompt; v: ttyS0 or hvc0; Ctrl-T: itself", guest_count);
    }
}

void key(char c) {
    if (escaped) {
        escaped = false;
        return switch_key(c);
    }
    if (c == escape) {
        escaped = true;
        return;
    }
    if (at_prompt || !focus) {
        if (prompt_key(c) && focus)
            at_prompt = false;
        return;
    }
    if (!to_virtio[focus->number] || !virtio_console_receive(*focus, static_cast<u8>(c)))
        focus->uart.receive(*focus, static_cast<u8>(c));
}

} // namespace

void console_start(std::string_view name) {
    serial_interrupts_on();
    if (name == "all")
        return;
    for (unsigned n = 0; n < guest_count; ++n)
        if (guests[n]->config.name == name) {
            focus = guests[n];
            at_prompt = false;
        }
    if (!focus)
        panic("the configuration's console is '{}', and no guest has this name", name);
}

void console_focus(Guest* g) {
    if (focus)
        serial_put('\n');
    focus = g;
    at_prompt = !g;
    say("pane: {} has the terminal", g ? g->config.name : "everybody");
    if (g)
        backlogs[g->number].print();
    else
        prompt_show();
}

bool console_shared() { return !focus && !prompt_busy(); }

void console_write(Guest& g, char c) {
    if (focus == &g) {
        serial_put(c == '\n' ? '\r' : c);
        if (c == '\n')
            serial_put('\n');
        return;
    }
    Backlog& b = backlogs[g.number];
    if (focus) {
        b.add(c);
        return;
    }
    if (c == '\r')
        return;
    if (c != '\n')
        b.add(c);
    if (c == '\n' || b.count == longest_line)
        console_flush(g);
}

void console_flush(Guest& g) {
    Backlog& b = backlogs[g.number];
    if (focus || (!b.count && !g.alive()))
        return;
    print(serial_out, "[{}] ", g.config.name);
    b.print();
    serial_put('\n');
}

void console_poll() {
    const u64 seen = cpus[0]->interrupts[vector::serial];
    if (seen == interrupts_seen)
        return;
    interrupts_seen = seen;
    for (int c = serial_get(); c >= 0; c = serial_get())
        key(static_cast<char>(c));
}

} // namespace vitrine::pane
