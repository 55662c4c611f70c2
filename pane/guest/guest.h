// SPDX-License-Identifier: Apache-2.0
// A guest: its memory, its virtual processors and its devices, virtual and assigned. Nothing in it refers to another guest.
#pragma once

#include "pane/assigned/assigned.h"
#include "pane/config/config.h"
#include "pane/devices/io_apic.h"
#include "pane/devices/pic.h"
#include "pane/devices/pit.h"
#include "pane/devices/rtc.h"
#include "pane/devices/small.h"
#include "pane/devices/uart.h"
#include "pane/guest/statistics.h"
#include "pane/guest/vcpu.h"
#include "pane/virtio/device.h"
#include "pane/vmx/ept.h"
#include "pane/vtd/domain.h"

namespace vitrine::pane {

struct BootInformation;

struct Guest {
    enum class Request : u8 { none, reset, stop };
    static constexpr unsigned first_network = 2, virtio_slots = first_network + GuestConfig::most_networks;

    GuestConfig config;
    unsigned number = 0;
    u64 memory = 0; ///< where its guest-physical 0 lies in the machine
    u64 apic_access_page = 0, io_bitmaps = 0;
    Ept ept;
    Vcpu* vcpus[Config::most_cpus]{};
    unsigned vcpu_count = 0;

    Pic pic;
    Pit pit;
    Rtc rtc;
    Uart uart;
    IoApic io_apic;
    PowerManagement power;
    PciConfiguration pci;
    VirtioDevice virtio[virtio_slots]; ///< console, disk, networks
    u64 disk = 0, disk_size = 0;       ///< a copy of the boot module, which the guest may write to

    Assigned* assigned[GuestConfig::most_devices]{};
    unsigned assigned_count = 0;
    Domain domain;         ///< what its devices reach: its memory, at the same addresses
    u64 device_memory = 0; ///< bytes given out of Assigned's window
    unsigned device_entries = 0, device_vectors = 0;

    Statistics statistics;
    u64 port_writes[65536]{};
    Ending ending = Ending::none;
    const char* why = "";
    bool paused = false;
    Request request = Request::none;
    u64 used = 0; ///< TSC ticks of all its processors, for fair shares
    u64 started = 0, ended = 0;
    u64 resets = 0;

    /// Takes memory and boots the guest; panics when the machine has too little.
    void start(const GuestConfig& guest_config, unsigned index);

    /// Devices and processors as at power on, memory cleared, images loaded anew.
    void power_on();

    bool alive() const { return ending == Ending::none; }
    bool schedulable() const { return alive() && !paused && request == Request::none; }

    /// Guest-physical memory as Pane sees it; null unless all of it is the guest's.
    u8* at(u64 gpa, u64 size) const {
        return gpa < config.memory && size <= config.memory - gpa ? reinterpret_cast<u8*>(memory + gpa) : nullptr;
    }

    /// The ISA interrupt's line, towards the 8259s and the I/O APIC.
    void set_irq(unsigned irq, bool level);

    /// An interrupt that only the I/O APIC has a pin for.
    void set_pin(unsigned pin, bool level) { io_apic.set_line(*this, pin, level); }

    /// To all processors that it names; how many it was news for.
    unsigned deliver(const Message& m);

    u64 next_event() const;
    void advance(u64 now);

    /// The guest's run is over.
    void end(Ending how, const char* reason);
};

extern Guest* guests[Config::most_guests];
extern unsigned guest_count;
extern BootInformation boot;

} // namespace vitrine::pane
