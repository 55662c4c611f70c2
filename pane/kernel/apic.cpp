// SPDX-License-Identifier: Apache-2.0
// The physical local APIC through MSRs or its page, the timer by TSC deadline or by count, the I/O APIC and the masked 8259s.
#include "pane/kernel/apic.h"

#include "pane/kernel/panic.h"
#include "pane/kernel/processor.h"
#include "pane/kernel/time.h"

#include "interrupts/spec/apic.h"

namespace vitrine::pane {

namespace {

constexpr u64 x2apic_enable = 1 << 10, apic_enable = 1 << 11;
bool x2apic, deadline_timer;
u64 page;
u64 timer_hz; ///< with the divider at 1

u32 read(u16 offset) {
    return x2apic ? static_cast<u32>(rdmsr(apic::msr_of(offset))) : *reinterpret_cast<volatile u32*>(page + offset);
}

void write(u16 offset, u32 value) {
    if (x2apic)
        wrmsr(apic::msr_of(offset), value);
    else
        *reinterpret_cast<volatile u32*>(page + offset) = value;
}

void command(u32 destination, u32 low) {
    if (x2apic)
        return wrmsr(apic::msr_of(apic::interrupt_command), u64{destination} << 32 | low);
    write(apic::interrupt_command_high, destination << 24);
    write(apic::interrupt_command, low);
    while (apic::icr.delivery_status(read(apic::interrupt_command)))
        relax();
}

constexpr u32 delivery(apic::DeliveryMode mode) { return static_cast<u32>(mode) << 8; }

} // namespace

void apic_start() {
    x2apic = cpuid(1).ecx >> 21 & 1;
    deadline_timer = cpuid(1).ecx >> 24 & 1;
    const u64 base = rdmsr(msr::apic_base);
    page = apic::apic_base.base(base) << 12;
    wrmsr(msr::apic_base, base | apic_enable);
    if (x2apic)
        wrmsr(msr::apic_base, base | apic_enable | x2apic_enable);
    write(apic::task_priority, 0);
    write(apic::lvt_lint0, static_cast<u32>(apic::lvt.mask.mask()));
    write(apic::divide_configuration, 0xb); // by 1
    const u32 mode = deadline_timer ? static_cast<u32>(apic::TimerMode::tsc_deadline) << 17 : 0;
    write(apic::lvt_timer, mode | vector::timer);
    write(apic::spurious_vector, static_cast<u32>(apic::svr.enable.mask()) | vector::spurious);
}

u32 apic_id() { return x2apic ? read(apic::id) : read(apic::id) >> 24; }

void apic_end_of_interrupt() { write(apic::eoi, 0); }

void apic_measure_timer(u64 tsc_hz) {
    if (deadline_timer)
        return;
    write(apic::initial_count, ~0u);
    const u64 start = rdtsc();
    while (rdtsc() - start < tsc_hz / 100)
        relax();
    timer_hz = (~0u - read(apic::current_count)) * 100ull;
    write(apic::initial_count, 0);
}

void apic_set_timer(u64 deadline) {
    if (deadline_timer)
        return wrmsr(msr::tsc_deadline, deadline == ~0ull ? 0 : deadline);
    const u64 now = rdtsc();
    if (deadline == ~0ull)
        return write(apic::initial_count, 0);
    const u64 ticks = scale(deadline > now ? deadline - now : 1, timer_hz, tsc_frequency());
    write(apic::initial_count, static_cast<u32>(ticks < 1 ? 1 : ticks > 0xffff'ffff ? 0xffff'ffff : ticks));
}

void apic_send(u32 destination, u8 vector) { command(destination, delivery(apic::DeliveryMode::fixed) | 1 << 14 | vector); }

bool apic_is_x2apic() { return x2apic; }

InterruptRequest apic_request(u32 destination, u8 vector) {
    if (destination > 0xff)
        panic("an interrupt for the processor with APIC id {} needs interrupt remapping", destination);
    const auto& a = apic::msi_address;
    return {a.fee.with(a.destination.with(0, destination), 0xfee), vector};
}

void apic_start_processor(u32 destination, u8 page) {
    command(destination, delivery(apic::DeliveryMode::init) | 1 << 14);
    wait_microseconds(10'000);
    for (unsigned n = 0; n < 2; ++n) {
        command(destination, delivery(apic::DeliveryMode::start_up) | 1 << 14 | page);
        wait_microseconds(200);
    }
}

void route_interrupts(u32 io_apic, u32 serial_pin, u32 destination) {
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    io_apic_route(io_apic, serial_pin, u64{destination} << 56 | vector::serial); // edge, active high, open
}

void io_apic_route(u32 io_apic, u32 pin, u64 entry) {
    const auto write_register = [&](u32 index, u64 value) {
        *reinterpret_cast<volatile u32*>(u64{io_apic}) = index;
        *reinterpret_cast<volatile u32*>(u64{io_apic} + 0x10) = static_cast<u32>(value);
    };
    write_register(0x10 + 2 * pin, apic::redirection.mask.mask());
    write_register(0x11 + 2 * pin, entry >> 32);
    write_register(0x10 + 2 * pin, entry);
}

PhysicalPicState physical_pic() {
    // After reset, and for as long as nobody sends OCW3, port 20h reads the request register.
    return {in8(0x21), in8(0xa1), in8(0x20), in8(0xa0)};
}

} // namespace vitrine::pane
