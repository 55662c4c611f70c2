// SPDX-License-Identifier: Apache-2.0
// Prints what was counted, and ends the machine: switched off exactly when all guests ended as their configuration says.
#include "pane/report.h"

#include "pane/adapter/adapter.h"
#include "pane/console/console.h"
#include "pane/guest/guest.h"
#include "pane/kernel/acpi.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/time.h"
#include "pane/vmx/ports.h"
#include "pane/vtd/faults.h"

#include "vtx/spec/exits.h"

namespace vitrine::pane {

extern MachineTables machine;
extern Config config;

namespace {

u64 code_at_start;
u64 next_live; ///< TSC at which the live figures are due

u64 milliseconds(u64 ticks) { return scale(ticks, 1000, tsc_frequency()); }

void figure(const Guest& g, const char* what, u64 value) {
    if (value)
        say("[{}] {-44}{12}", g.config.name, what, value);
}

template <unsigned long N> u64 sum(const u64 (&counters)[N]) {
    u64 all = 0;
    for (const u64 n : counters)
        all += n;
    return all;
}

void exits(const Guest& g) {
    figure(g, "VM exits", sum(g.statistics.exits));
    for (const vtx::ExitRow& row : vtx::exit_rows)
        if (const u64 n = g.statistics.exits[static_cast<unsigned>(row.reason)])
            say("[{}]   exit {-2} {-35}{12}", g.config.name, static_cast<unsigned>(row.reason), row.name, n);
}

void ports(const Guest& g) {
    figure(g, "intercepted port writes", sum(g.port_writes));
    for (unsigned port = 0; port < 65536; ++port)
        if (const u64 n = g.port_writes[port])
            say("[{}]   port {-8x}{-33}{12}", g.config.name, port, device_at(static_cast<u16>(port)) ? device_at(static_cast<u16>(port)) : "nothing there", n);
    for (unsigned chip = 0; chip < 2; ++chip)
        for (unsigned w = 0; w < static_cast<unsigned>(PicWord::count); ++w)
            if (const u64 n = g.pic.words[chip][w])
                say("[{}]   8259 {} {-32}{12}", g.config.name, chip ? "slave " : "master", pic_word_names[w], n);
}

struct VirtualInterrupts {
    u64 timers = 0, ipis = 0, all = 0;
};

VirtualInterrupts virtual_interrupts(const Guest& g) {
    VirtualInterrupts v;
    for (unsigned n = 0; n < g.vcpu_count; ++n) {
        v.timers += g.vcpus[n]->apic.timer_interrupts;
        v.ipis += g.vcpus[n]->apic.ipis;
    }
    v.all = g.statistics.from_8259 + v.timers + v.ipis;
    for (const u64 n : g.io_apic.delivered)
        v.all += n;
    return v;
}

void interrupts(const Guest& g) {
    const Statistics& s = g.statistics;
    figure(g, "physical interrupts taken while it ran", s.physical_interrupts);
    const auto [timers, ipis, all] = virtual_interrupts(g);
    // With virtual-interrupt delivery the processor takes those of the local APICs out of the virtual-APIC page itself.
    figure(g, "virtual interrupts", all);
    figure(g, "  injected by Pane at VM entries", s.injected);
    figure(g, "  of these from the 8259s", s.from_8259);
    for (unsigned n = 0; n < 16; ++n)
        if (g.pic.acknowledged[n])
            say("[{}]   8259 IRQ {-35}{12}", g.config.name, n, g.pic.acknowledged[n]);
    for (unsigned pin = 0; pin < IoApic::pins; ++pin)
        if (g.io_apic.delivered[pin])
            say("[{}]   I/O APIC pin {-31}{12}", g.config.name, pin, g.io_apic.delivered[pin]);
    figure(g, "local APIC timer interrupts", timers);
    figure(g, "inter-processor interrupts", ipis);
    figure(g, "exceptions injected", s.exceptions_injected);
    if (!g.assigned_count)
        return;
    // A posted interrupt that finds the guest running passes without anybody's notice; a remapping unit's own counters have them all.
    say("[{}] {-44}{12}", g.config.name, "device interrupts, remapped through Pane", s.device_interrupts);
    say("[{}] {-44}{12}", g.config.name, "posted interrupts, taken by Pane for it", s.posted_taken);
}

void devices(const Guest& g) {
    for (const VirtioDevice& d : g.virtio)
        if (d.kind() && (d.sent || d.received || d.dropped))
            say("[{}] virtio {-8} from the guest {} ({} bytes), to it {} ({} bytes), interrupts {}, dropped {}", g.config.name,
                d.kind()->name, d.sent, d.bytes_out, d.received, d.bytes_in, d.interrupts, d.dropped);
    adapter_report(g);
    figure(g, "characters sent by ttyS0", g.uart.sent);
    figure(g, "accesses to device memory", g.statistics.device_accesses);
    figure(g, "  of these to its devices' own", g.statistics.device_accesses_trapped);
    figure(g, "accesses to its devices' configuration", g.statistics.config_accesses);
    figure(g, "device interrupts refused", g.statistics.refused_interrupts);
    figure(g, "DMA faults", g.statistics.dma_faults);
    figure(g, "interrupt faults", g.statistics.interrupt_faults);
    for (unsigned n = 0; n < g.assigned_count; ++n)
        say("[{}] device {} is its {}", g.config.name, FunctionName(g.assigned[n]->function().id), FunctionName(g.assigned[n]->own_id()));
    figure(g, "EPT violations where nothing is", g.statistics.ept_violations);
    figure(g, "accesses to ports where nothing is", g.statistics.foreign_ports);
    figure(g, "accesses to MSRs refused", g.statistics.refused_msrs);
}

/// Three lines: sums, exits by reason, the 8259s by register.
void live(const Guest& g) {
    say("[{}] live at {} ms: {} VM exits, {} EPT violations, {} port writes; interrupts: {} physical, {} virtual", g.config.name,
        milliseconds_since_start(), sum(g.statistics.exits), g.statistics.exits[static_cast<unsigned>(vtx::ExitReason::ept_violation)],
        sum(g.port_writes), g.statistics.physical_interrupts, virtual_interrupts(g).all);
    print(serial_out, "[{}] live exits:", g.config.name);
    for (const vtx::ExitRow& row : vtx::exit_rows)
        if (const u64 count = g.statistics.exits[static_cast<unsigned>(row.reason)])
            print(serial_out, " {} {},", row.name, count);
    print(serial_out, "\n[{}] live 8259s:", g.config.name);
    for (unsigned chip = 0; chip < 2; ++chip)
        for (unsigned w = 0; w < static_cast<unsigned>(PicWord::count); ++w)
            if (const u64 count = g.pic.words[chip][w])
                print(serial_out, " {} {} {},", chip ? "slave" : "master", pic_word_names[w], count);
    say(" {} interrupts", g.statistics.from_8259);
}

} // namespace

void report_start() { code_at_start = code_checksum(); }

u64 report_live(u64 now) {
    if (!config.live)
        return ~0ull;
    if (now < next_live)
        return next_live;
    const bool first = !next_live;
    next_live = now + config.live * tsc_frequency();
    for (unsigned n = 0; n < guest_count && !first && console_shared(); ++n)
        if (guests[n]->alive())
            live(*guests[n]);
    return next_live;
}

void report_line(const Guest& g) {
    say("{-12} {-9} {} MiB, {} processors, ran {} ms of {} ms, {} VM entries{}", g.config.name,
        g.paused ? "paused" : ending_names[static_cast<unsigned>(g.ending)], g.config.memory >> 20, g.vcpu_count, milliseconds(g.used),
        milliseconds((g.alive() ? rdtsc() : g.ended) - g.started), g.statistics.entries, g.paused ? ", waits for resume" : "");
}

void report_guest(const Guest& g) {
    report_line(g);
    exits(g);
    ports(g);
    interrupts(g);
    devices(g);
}

void report_all() {
    for (unsigned n = 0; n < guest_count; ++n)
        report_guest(*guests[n]);
    for (unsigned n = 0; n < cpu_count; ++n) {
        const Cpu& c = *cpus[n];
        say("processor {}: idle {} ms; interrupts taken: timer {}, from other processors {}, serial port {}", n, milliseconds(c.idle),
            c.interrupts[vector::timer], c.interrupts[vector::kick], c.interrupts[vector::serial]);
        u64 devices = 0;
        for (unsigned v = vector::first_device; v <= vector::last_device; ++v)
            devices += c.interrupts[v];
        if (const u64 wakes = c.interrupts[vector::posted_wake], late = c.interrupts[vector::posted]; devices || wakes || late)
            say("processor {}: interrupts of devices: {} for Pane, {} posted ones that woke a guest, {} that came while Pane ran", n, devices, wakes, late);
    }
    adapter_report();
    const PhysicalPicState p = physical_pic();
    say("the machine's own 8259s: masks {x} {x}, as Pane left them", p.master_mask, p.slave_mask);
}

void finish() {
    look_at_faults();
    say("\npane: all guests have ended after {} ms", milliseconds_since_start());
    report_all();
    bool good = physical_pic().master_mask == 0xff && physical_pic().slave_mask == 0xff;
    const bool intact = code_checksum() == code_at_start;
    say("pane: its own code is {}", intact ? "unchanged" : "CHANGED");
    good &= intact;
    for (unsigned n = 0; n < guest_count; ++n) {
        const Guest& g = *guests[n];
        if (g.ending != g.config.ends) {
            good = false;
            say("pane: guest '{}' was to end with {} and ended with {}: {}", g.config.name, ending_names[static_cast<unsigned>(g.config.ends)],
                ending_names[static_cast<unsigned>(g.ending)], g.why);
        }
    }
    if (!good) {
        say("PANE-FAILED");
        stop_machine();
    }
    say("PANE-DONE all guests ended as they should");
    power_off(machine);
    panic("this machine cannot be switched off by ACPI");
}

} // namespace vitrine::pane
