// SPDX-License-Identifier: Apache-2.0
// Plugging the board together.
#include "machine/board.h"

#include "machine/machine.h"
#include "chipset/spec/acpi_pm.h"
#include "chipset/spec/hpet.h"
#include "devices/pvpanic.h"
#include "machine/boot_state.h"
#include "machine/device_table.h"
#include "machine/entry_watch.h"
#include "pci/assign.h"
#include "vtd/dmar.h"

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr Requester fw_cfg_requester = Requester::function(place::lpc_device << 3);

/// Null without --iommu.
std::unique_ptr<vtd::Unit> make_iommu(Machine& m, DmaPort& plain, vtd::EntryWatch* watch) {
    if (m.config().iommu.empty())
        return nullptr;
    vtd::Options options = vtd::parse_options(m.config().iommu).value();
    options.physical_bits = m.model().physical_bits;
    return std::make_unique<vtd::Unit>(
        vtd::Wiring{m.clock(), m.space(), plain, m.interrupts(), m.interrupts().io_apic().requester(), watch}, options);
}

} // namespace

Board::Board(Machine& m)
    : machine_(m), dma_(m.space(), m.interrupts()), entry_watch_(make_entry_watch(m.table_watch())), iommu_(make_iommu(m, dma_, entry_watch_.get())),
      platform_{m.space().mmio(), m.space().ports(), iommu_ ? static_cast<DmaPort&>(*iommu_) : dma_,
                iommu_ ? static_cast<MsiSink&>(*iommu_) : m.interrupts(), m.glass()},
      root_(platform_),
      host_bridge_(platform_, root_, {m.space().ram_below_4g(), m.space().ram_above_4g()}),
      lpc_(platform_, root_, pirq_lines()),
      hpet_(m.clock(), m.space().mmio(), m.glass(), [&m](unsigned gsi) { return m.interrupts().gsi(gsi); }, platform_.msi, {}),
      pit_(m.clock(), m.space().ports(), hpet_.pit_input()),
      rtc_(m.clock(), m.space().ports(), m.glass(), hpet_.rtc_input(), m.config().rtc),
      pm_(m.clock(), m.space().ports(), m.glass(), Line([this](bool level) {
              sci_level_ = level;
              sci_lines_[sci_gsi_].set(level);
          }),
          {.power_off = [&m] { m.request({EndingKind::power_off, 0, {}}); }, 
           .sleep = [&m](unsigned) { m.request_sleep(); },
           .wake = [&m] { m.request_wake(); }},
          // S1 is not offered: no value of SLP_TYP means it. Programs that do not read \_S3 take 1 for S3, as QEMU's boards have it.
          {.s1 = 0xff, .s3 = 1}),
      reset_ports_(m.space().ports(), m.glass(),
                   {.reset = [&m](Reset kind) { m.request_reset(kind); }, .a20 = {}}),
      i8042_(m.space().ports(), m.glass(), m.interrupts().gsi(1),
             {.reset = [&m] { m.request_reset(Reset::warm); },
              .a20 = [this](bool open) { reset_ports_.keyboard_a20(open); }}),
      fw_cfg_(dma_, fw_cfg_requester, m.glass()) {
    for (const u8 gsi : {9, 10, 11, 20, 21, 22, 23})
        sci_lines_[gsi] = m.interrupts().gsi(gsi);
    root_.bus().attach(host_bridge_, 0);
    root_.bus().attach(lpc_, place::lpc_device);
    lpc_.on_pm_base([this](u16 base, bool decoded) {
        if (decoded)
            pm_.map_at(base);
        else
            pm_.unmap();
    });
    lpc_.on_sci([this](u8 gsi) { route_sci(gsi); });
    rtc_.set_alarm_listener([this] { pm_.rtc_alarm(); });
    rtc_.set_memory_size(m.space().ram_below_4g(), m.space().ram_above_4g());
    m.space().ports().map(fw_cfg_.selector(), 0x510);
    m.space().ports().map(fw_cfg_.dma(), 0x514);
    for (Device* device : std::initializer_list<Device*>{&root_, &host_bridge_, &lpc_, &hpet_, &pit_, &rtc_, &pm_,
                                                         &reset_ports_, &i8042_, &fw_cfg_})
        add(*device);
    if (m.config().qemu_board)
        root_.take_byte_addresses();
    if (iommu_) {
        m.interrupts().set_remapping(*iommu_);
        iommu_->set_namer([this](u16 requester) { return name_of(requester); });
        add(*iommu_);
    }
}

std::string Board::name_of(u16 requester) const {
    if (const pci::Function* f = root_.find(requester))
        return std::string(f->name());
    return requester == hpet_.requester() ? "hpet" : requester == machine_.interrupts().io_apic().requester() ? "ioapic" : "";
}

Board::~Board() {
    // What was plugged in last goes first: a controller before its disk and the port above it.
    while (!plugged_.empty())
        plugged_.pop_back();
}

LpcPci::Lines Board::pirq_lines() {
    LpcPci::Lines lines;
    for (unsigned n = 0; n < lines.io_apic.size(); ++n)
        lines.io_apic[n] = machine_.interrupts().gsi(16 + n);
    const bool both = machine_.config().qemu_board;
    for (unsigned n = 0; n < lines.isa.size(); ++n)
        lines.isa[n] = both && n != 2 ? machine_.interrupts().gsi(n) : Line([pic = &machine_.interrupts().pic(), n](bool level) {
            if (n != 2)
                pic->set_input(n, level);
        });
    return lines;
}

void Board::route_sci(u8 gsi) {
    if (gsi == sci_gsi_)
        return;
    sci_lines_[sci_gsi_].set(false);
    sci_gsi_ = gsi;
    sci_lines_[sci_gsi_].set(sci_level_);
}

Expected<std::unique_ptr<Board>> Board::create(Machine& machine, const Streams& streams) {
    std::unique_ptr<Board> board(new Board(machine));
    TRY(board->plug(streams));
    return board;
}

Expected<> Board::plug(const Streams& streams) {
    const MachineConfig& config = machine_.config();
    for (unsigned n = 0; n < config.serial_ports; ++n) {
        host::Character* outside = n < streams.serial.size() ? streams.serial[n] : nullptr;
        auto uart = std::make_unique<Uart>(machine_.clock(), machine_.space().ports(), "serial" + std::to_string(n),
                                           place::serial_port[n], machine_.interrupts().gsi(place::serial_irq[n]),
                                           outside ? static_cast<ByteOutput&>(*outside) : nowhere_);
        machine_.inputs().plug(std::string(uart->name()), *uart, outside);
        plug(std::move(uart));
    }
    for (std::size_t n = 0; n < config.nets.size(); ++n) {
        host::Network* outside = n < streams.nets.size() ? streams.nets[n] : nullptr;
        auto segment = std::make_unique<NetworkSegment>("net-" + config.nets[n].id, machine_.glass(), outside);
        machine_.inputs().plug(std::string(segment->name()), *segment, outside);
        segments_.emplace_back(config.nets[n].id, segment.get());
        plug(std::move(segment));
    }
    for (const DiskConfig& disk : config.disks)
        TRY(machine::plug_disk(disk, *this));
    for (const DeviceConfig& device : config.devices)
        TRY(plug_device(device, *this));
    const firmware::RamSize ram{machine_.space().ram_below_4g(), machine_.space().ram_above_4g()};
    firmware::describe_platform(fw_cfg_, description(), ram, feature_control_of(machine_.model()));
    return {};
}

void Board::plug(std::unique_ptr<Device> device) {
    add(*device);
    plugged_.push_back(std::move(device));
}

Expected<> Board::plug_function(std::unique_ptr<pci::Function> function) {
    if (next_slot_ >= place::first_root_port)
        return Error("--device: there are no more than " + std::to_string(place::first_root_port - 1) + " slots on bus 0");
    root_.bus().attach(*function, next_slot_++);
    plug(std::move(function));
    return {};
}

Expected<pci::RootPort*> Board::plug_root_port(pci::LinkShape link) {
    const unsigned n = static_cast<unsigned>(root_ports_.size());
    if (n == place::most_root_ports)
        return Error("--disk, --device: there are no more than " + std::to_string(place::most_root_ports) +
                     " root ports for disks and adapters");
    auto port = std::make_unique<pci::RootPort>(platform_, "root-port" + std::to_string(n + 1), static_cast<u8>(n + 1), link);
    pci::RootPort* made = port.get();
    root_.bus().attach(*made, place::first_root_port + n / 8, n % 8);
    root_ports_.push_back(made);
    plug(std::move(port));
    return made;
}

Disk& Board::plug_disk(std::unique_ptr<Disk> disk) {
    Disk& plugged = *disk;
    disks_.push_back(&plugged);
    plug(std::move(disk));
    return plugged;
}

void Board::plug_pvpanic(u16 port) {
    Machine& m = machine_;
    plug(std::make_unique<Pvpanic>(m.space().ports(), port, m.glass(), [&m] { m.request({EndingKind::panic, 0, {}}); }));
    pvpanic_port_ = port;
}

void Board::plug_adapter(std::unique_ptr<vtc::Adapter> adapter) {
    adapters_.push_back(adapter.get());
    plug(std::move(adapter));
}

NetworkSegment* Board::segment(std::string_view id) {
    for (const auto& [name, segment] : segments_)
        if (name == id)
            return segment;
    return nullptr;
}

void Board::reset(Reset kind) {
    for (Device* device : devices_)
        device->reset(kind);
}

void Board::resume() {
    for (Device* device : devices_)
        if (device != &pm_ && device != &rtc_)
            device->reset(Reset::warm);
}

firmware::Window Board::mmio64() const {
    // Naturally aligned above all RAM, so that any BAR finds its place.
    const u64 top = Space::high_start + machine_.space().ram_above_4g();
    return {align_up(top, place::mmio64_size), place::mmio64_size};
}

Expected<> Board::set_up_without_firmware() {
    host_bridge_.set_up_without_firmware(place::ecam, place::ecam_size);
    lpc_.set_up_without_firmware(place::pm_base);
    const firmware::Window high = mmio64();
    pci::AddressSpace space;
    space.memory_32 = {place::mmio32, place::mmio32_end - 1};
    space.memory_64 = {high.base, high.end() - 1};
    space.io = {place::pci_io, 0xffff};
    TRY(pci::assign(root_, space, lpc_.irq_of_pirq()));
    return {};
}

firmware::Board Board::description() const {
    const MachineConfig& config = machine_.config();
    firmware::Board board;
    board.apic_ids.clear();
    for (unsigned n = 0; n < config.cpus; ++n)
        board.apic_ids.push_back(n);
    const CpuModel& model = machine_.model();
    board.processor = {.brand = model.identity->brand,
                       .leaf1_eax = model.signature,
                       .leaf1_edx = model.cpuid(1, 0, {}).edx,
                       .megahertz = 1000,
                       .physical_address_bits = static_cast<u8>(model.physical_bits)};
    board.io_apic_id = machine_.interrupts().io_apic().id();
    board.ecam = {place::ecam, place::ecam_size};
    board.mmio32 = {place::mmio32, place::mmio32_end - place::mmio32};
    board.mmio64 = mmio64();
    board.hpet_address = static_cast<u32>(hpet::default_base);
    board.hpet_id = static_cast<u32>(hpet::capabilities_value);
    board.pm_base = place::pm_base;
    board.gpe0_block = place::pm_base + acpi_pm::gpe0_status;
    board.gpe0_length = acpi_pm::gpe0_bytes;
    board.sci_irq = acpi_pm::sci_interrupt;
    board.smi_command = acpi_pm::apm_control_port;
    board.acpi_enable = acpi_pm::acpi_enable_command;
    board.acpi_disable = acpi_pm::acpi_disable_command;
    board.pvpanic_port = pvpanic_port_;
    board.s5_sleep_type = pm_.sleep_types().s5;
    board.serial.clear();
    for (unsigned n = 0; n < config.serial_ports; ++n)
        board.serial.push_back({place::serial_port[n], place::serial_irq[n]});
    for (std::size_t n = 0; n < root_ports_.size(); ++n) {
        const u8 devfn = root_ports_[n]->devfn();
        board.pci_functions.push_back({.device = static_cast<u8>(devfn >> 3),
                                       .function = static_cast<u8>(devfn & 7),
                                       .name = fmt::format("RP{:02}", n + 1),
                                       .root_port = true});
    }
    board.fixed_mmio = {{"chipset", {0xfed1'c000, 0x4000}}};
    if (iommu_) {
        board.fixed_mmio.push_back({"DMA remapping", {vtd::default_base, vtd::region_size}});
        board.extra_tables.push_back({vtd::dmar_table({.base = vtd::default_base,
                                                       .physical_bits = model.physical_bits,
                                                       .interrupt_remapping = iommu_->options().interrupt_remapping,
                                                       .io_apic_id = board.io_apic_id,
                                                       .io_apic_requester = machine_.interrupts().io_apic().requester(),
                                                       .hpet_requester = hpet_.requester(),
                                                       .reserved = iommu_->options().reserved_memory})});
        for (const vtd::ReservedMemory& r : iommu_->options().reserved_memory)
            board.fixed_mmio.push_back({"memory of a device", {r.base, r.size}});
    }
    return board;
}

} // namespace vitrine::machine
