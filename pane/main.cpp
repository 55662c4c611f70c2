// SPDX-License-Identifier: Apache-2.0
// Pane's way from the boot loader to its guests, step by step.
#include "pane/adapter/adapter.h"
#include "pane/console/console.h"
#include "pane/guest/guest.h"
#include "pane/kernel/acpi.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/time.h"
#include "pane/pci/pci.h"
#include "pane/report.h"
#include "pane/schedule.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/msrs.h"
#include "pane/vtd/posted.h"
#include "pane/vtd/vtd.h"

namespace vitrine::pane {

constinit MachineTables machine;
constinit Config config;

namespace {

/// What each processor needs before guests may run on it.
void prepare(Cpu& cpu) {
    if (xcr0_allowed() != 1)
        write_cr4(read_cr4() | control::cr4_osxsave | control::cr4_osfxsr);
    else
        write_cr4(read_cr4() | control::cr4_osfxsr);
    vmx_on(cpu);
}

void main_of_another(Cpu& cpu) {
    prepare(cpu);
    run_processor(cpu);
}

} // namespace

extern "C" [[noreturn]] void pane_main(u32 magic, u32 information) {
    serial_start();
    say("\nPane, a full-time hypervisor");
    read_boot_information(magic, information, boot);
    if (boot.module_count == 0)
        panic("there is no boot module; the first one is the configuration");
    read_config(boot.modules[0].name, boot.modules[0].text(), config);
    failure_exit = {config.failure_port, config.failure_value};
    memory_start(boot);
    report_start();
    read_acpi(machine);
    interrupts_start();
    Cpu& cpu = cpu_start(0);
    time_start();
    apic_measure_timer(tsc_frequency());
    route_interrupts(machine.io_apic, machine.serial_pin, cpu.apic_id);
    read_machine_clock();
    say("pane: {} processors, {} MiB free, TSC at {} kHz, {}", machine.processor_count, free_memory() >> 20, tsc_frequency() / 1000,
        machine.pm1_control && machine.has_sleep_type ? "ACPI power off" : "no ACPI power off");
    pci_start(machine);
    vmx_check();
    prepare(cpu);
    vtd_start(machine, config);
    posted_start();

    adapter_start(config);
    for (unsigned n = 0; n < config.guest_count; ++n) {
        guests[n] = make<Guest>();
        guest_count = n + 1;
        guests[n]->start(config.guests[n], n);
        say("pane: guest {} '{}': {} MiB at {x}, {} processors, {}", n + 1, config.guests[n].name, config.guests[n].memory >> 20,
            guests[n]->memory, config.guests[n].cpus, config.guests[n].kernel);
    }
    console_start(config.console);
    start_processors(machine.apic_ids, machine.processor_count, main_of_another);
    adapter_open();
    run_processor(cpu);
}

} // namespace vitrine::pane
