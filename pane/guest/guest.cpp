// SPDX-License-Identifier: Apache-2.0
// Building a guest, ending it, and the wires between its devices.
#include "pane/guest/guest.h"

#include "pane/adapter/adapter.h"
#include "pane/boot/multiboot.h"
#include "pane/guest/load.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/time.h"
#include "pane/schedule.h"
#include "pane/vmx/capabilities.h"
#include "pane/vtd/vtd.h"

#include <cstring>

namespace vitrine::pane {

constinit Guest* guests[Config::most_guests]{};
constinit unsigned guest_count = 0;
constinit BootInformation boot;

namespace {

constexpr u64 virtio_base = 0xd000'0000;
constexpr unsigned virtio_first_pin = 16;
constexpr u64 io_bitmap_size = 8192;

const BootModule& module_of(const GuestConfig& config, std::string_view name) {
    const BootModule* m = boot.module(name);
    if (!m) {
        for (unsigned n = 0; n < boot.module_count; ++n)
            say("  module {}: {}", n, boot.modules[n].name);
        panic("guest '{}' names '{}', and the boot loader gave no such module", config.name, name);
    }
    return *m;
}

} // namespace

void Guest::start(const GuestConfig& guest_config, unsigned index) {
    config = guest_config;
    number = index;
    module_of(config, config.kernel);
    if (!config.initrd.empty())
        module_of(config, config.initrd);
    memory = try_allocate(config.memory, large_page);
    if (!memory)
        panic("guest '{}' wants {} MiB, and {} MiB are free", config.name, config.memory >> 20, free_memory() >> 20);
    ept.build(memory, config.memory);
    if (vmx_use.apic_accesses) {
        apic_access_page = allocate(page_size);
        ept.map_page(GuestPhysical{0xfee0'0000}, apic_access_page);
    }
    if (config.device_count) {
        if (vtd_use.on) {
            domain.start();
            domain.map(DeviceAddress{0}, memory, config.memory);
        }
        for (; assigned_count < config.device_count; ++assigned_count) {
            assigned[assigned_count] = make<Assigned>();
            assigned[assigned_count]->start(*this, config.devices[assigned_count], assigned_count + 1);
        }
    }
    io_bitmaps = allocate(io_bitmap_size);
    memset(reinterpret_cast<void*>(io_bitmaps), 0xff, io_bitmap_size); // every port exits
    for (vcpu_count = 0; vcpu_count < config.cpus; ++vcpu_count) {
        vcpus[vcpu_count] = make<Vcpu>();
        vcpus[vcpu_count]->start(*this, vcpu_count);
    }
    if (!config.disk.empty()) {
        const BootModule& image = module_of(config, config.disk);
        disk_size = image.memory.size & ~511ull;
        disk = allocate(disk_size ? disk_size : 512);
    }
    power_on();
}

void Guest::power_on() {
    for (unsigned n = 0; n < assigned_count; ++n)
        assigned[n]->cut(); // before the memory is anything else's
    if (started)
        clear_pages(memory, config.memory);
    if (disk)
        memcpy(reinterpret_cast<void*>(disk), boot.module(config.disk)->data(), disk_size);
    pic = Pic{};
    pit = Pit{};
    uart = Uart{};
    io_apic = IoApic{};
    power = PowerManagement{};
    pci = PciConfiguration{};
    rtc = Rtc{};
    rtc.start();
    const VirtioKind* kinds[virtio_slots] = {&virtio_console, disk ? &virtio_block : nullptr};
    for (unsigned n = 0; n < config.network_count; ++n)
        kinds[first_network + n] = config.networks[n].vmdq ? &virtio_vmdq : &virtio_network;
    for (unsigned n = 0; n < virtio_slots; ++n)
        if (kinds[n])
            virtio[n].start(*this, *kinds[n], virtio_base + n * VirtioDevice::window, virtio_first_pin + n);
    for (unsigned n = 0; n < assigned_count; ++n)
        assigned[n]->power_on();
    ending = Ending::none;
    adapter_power_on(*this);
    started = rdtsc();
    for (unsigned n = 0; n < vcpu_count; ++n)
        vcpus[n]->start(*this, n);
    vcpus[0]->begin(load_image(*this, module_of(config, config.kernel), config.initrd.empty() ? nullptr : &module_of(config, config.initrd)));
}

void Guest::set_irq(unsigned irq, bool level) {
    pic.set_line(irq, level);
    io_apic.set_line(*this, irq == 0 ? 2 : irq, level);
    if (pic.asserted())
        vcpus[0]->notify();
}

unsigned Guest::deliver(const Message& m) {
    unsigned news = 0;
    for (unsigned n = 0; n < vcpu_count; ++n) {
        Vcpu& v = *vcpus[n];
        if (!v.apic.is_destination(m.destination, m.logical))
            continue;
        news += v.receive(m);
        if (m.mode == apic::DeliveryMode::lowest_priority)
            break; // the first is as good as any: all are equally busy with one class of interrupts
    }
    return news;
}

u64 Guest::next_event() const {
    u64 at = pit.next_event();
    const auto earlier = [&](u64 other) { at = other < at ? other : at; };
    earlier(rtc.next_event());
    for (unsigned n = 0; n < vcpu_count; ++n)
        earlier(vcpus[n]->apic.deadline());
    return at;
}

void Guest::advance(u64 now) {
    pit.advance(*this, now);
    rtc.advance(*this, now);
    for (unsigned n = 0; n < vcpu_count; ++n)
        vcpus[n]->apic.advance(now);
}

void Guest::end(Ending how, const char* reason) {
    if (!alive())
        return;
    ending = how;
    why = reason;
    ended = rdtsc();
    for (unsigned n = 0; n < assigned_count; ++n)
        assigned[n]->cut();
    for (unsigned n = 0; n < vcpu_count; ++n)
        vcpus[n]->notify();
    guest_has_ended(*this);
}

} // namespace vitrine::pane
