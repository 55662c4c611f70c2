// SPDX-License-Identifier: Apache-2.0
// The prompt's line and its table of commands.
#include "pane/console/prompt.h"

#include "pane/console/console.h"
#include "pane/guest/guest.h"
#include "pane/kernel/cpu.h"
#include "pane/report.h"
#include "pane/schedule.h"
#include "pane/vmx/exits.h"

namespace vitrine::pane {

namespace {

char line[80];
unsigned length;

void list(Guest*) {
    for (unsigned n = 0; n < guest_count; ++n)
        report_line(*guests[n]);
}

void stats(Guest* g) {
    if (g)
        return report_guest(*g);
    report_all();
}

void pause(Guest* g) {
    g->paused = true;
    for (unsigned n = 0; n < g->vcpu_count; ++n)
        g->vcpus[n]->notify();
}

void resume(Guest* g) {
    g->paused = false;
    for (unsigned n = 0; n < g->vcpu_count; ++n)
        if (g->vcpus[n]->state == Vcpu::State::runnable)
            woken(*g->vcpus[n]);
}

void request(Guest* g, Guest::Request what) {
    g->request = what;
    for (unsigned n = 0; n < g->vcpu_count; ++n)
        g->vcpus[n]->notify(); // out of the guest, so that its processors let go of it
}

void show_processors(Guest* g) {
    for (unsigned n = 0; n < g->vcpu_count; ++n) {
        Vcpu& v = *g->vcpus[n];
        if (v.on && v.on != &this_cpu()) {
            say("[{}] processor {} runs on processor {}: pause the guest first", g->config.name, n, v.on->number);
            continue;
        }
        if (this_cpu().running)
            this_cpu().running->unload();
        v.load(this_cpu());
        dump(v);
        v.unload();
    }
}

struct Command {
    std::string_view name;
    bool wants_guest;
    void (*run)(Guest* g);
    const char* what;
};

void help(Guest*);

// clang-format off
constexpr Command commands[] = {
    {"help",    false, help,            "what there is"},
    {"list",    false, list,            "the guests"},
    {"stats",   false, stats,           "figures of all guests, or of one"},
    {"console", false, console_focus,   "gives a guest the terminal; without a name, all"},
    {"pause",   true,  pause,           "the guest gets no time"},
    {"resume",  true,  resume,          "it gets time again"},
    {"reset",   true,  [](Guest* g) { request(g, Guest::Request::reset); }, "power off and on"},
    {"stop",    true,  [](Guest* g) { request(g, Guest::Request::stop); },  "power off"},
    {"dump",    true,  show_processors, "the guest's processors"},
};
// clang-format on

void help(Guest*) {
    for (const Command& c : commands)
        say("  {-8}{-9}{}", c.name, c.wants_guest ? "GUEST" : "", c.what);
}

void execute(std::string_view text) {
    const u64 space = text.find(' ');
    const std::string_view verb = text.substr(0, space), name = space == text.npos ? "" : text.substr(space + 1);
    Guest* g = nullptr;
    for (unsigned n = 0; n < guest_count; ++n)
        if (guests[n]->config.name == name)
            g = guests[n];
    for (const Command& c : commands) {
        if (c.name != verb)
            continue;
        if (!g && (c.wants_guest || !name.empty()))
            return say("pane: there is no guest '{}'", name);
        return c.run(g);
    }
    if (!verb.empty())
        say("pane: '{}' is no command; help lists them", verb);
}

} // namespace

bool prompt_busy() { return length != 0; }

void prompt_show() { print(serial_out, "\npane> "); }

bool prompt_key(char c) {
    if (c == '\r' || c == '\n') {
        serial_put('\n');
        execute({line, length});
        const bool said_something = length != 0;
        length = 0;
        if (said_something)
            prompt_show();
        return !said_something; // an empty line leaves the prompt
    }
    if (c == 8 || c == 127) {
        if (length) {
            --length;
            print(serial_out, "\b \b");
        }
    } else if (c >= ' ' && length < sizeof line) {
        line[length++] = c;
        serial_put(c);
    }
    return false;
}

} // namespace vitrine::pane
