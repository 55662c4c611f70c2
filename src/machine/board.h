// SPDX-License-Identifier: Apache-2.0
// The Q35-like board: what is plugged in, at which addresses and interrupts, and how firmware is told of it.
#pragma once

#include "base/device.h"
#include "base/error.h"
#include "chipset/acpi_pm.h"
#include "chipset/host_bridge.h"
#include "chipset/hpet.h"
#include "chipset/i8042.h"
#include "chipset/lpc_pci.h"
#include "chipset/pit.h"
#include "chipset/reset_ports.h"
#include "chipset/rtc.h"
#include "devices/network_segment.h"
#include "devices/uart.h"
#include "firmware/board.h"
#include "firmware/fw_cfg.h"
#include "machine/config.h"
#include "machine/disk.h"
#include "pci/plain_dma.h"
#include "pci/root.h"
#include "vtc/adapter.h"
#include "vtd/unit.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace vitrine::machine {

class Machine;
struct Streams;

/// Where things are that software does not move.
namespace place {
inline constexpr u16 serial_port[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
inline constexpr u8 serial_irq[] = {4, 3, 4, 3};
inline constexpr u16 pm_base = 0x600;
inline constexpr u64 ecam = 0xb000'0000, ecam_size = 256_MiB;
inline constexpr u64 mmio32 = 0xc000'0000, mmio32_end = 0xfec0'0000;
inline constexpr u64 mmio64_size = 256_GiB;
inline constexpr u16 pci_io = 0x6000;
inline constexpr unsigned lpc_device = 31, first_root_port = 28; ///< eight root ports a device, as functions
inline constexpr unsigned most_root_ports = (lpc_device - first_root_port) * 8;
} // namespace place

/// Owns the chipset and every device. The order of devices() is the order of visits: fixed by the configuration.
class Board {
public:
    static Expected<std::unique_ptr<Board>> create(Machine& machine, const Streams& streams);
    ~Board();
    Board(const Board&) = delete;
    Board& operator=(const Board&) = delete;

    const std::vector<Device*>& devices() const { return devices_; }

    // For the rows of the device table.
    Machine& machine() { return machine_; }
    const pci::Platform& platform() const { return platform_; }
    void plug(std::unique_ptr<Device> device);
    /// On the next free slot of bus 0.
    Expected<> plug_function(std::unique_ptr<pci::Function> function);
    /// The next free root port, for a function below it.
    Expected<pci::RootPort*> plug_root_port(pci::LinkShape link = {});
    Disk& plug_disk(std::unique_ptr<Disk> disk);
    void plug_pvpanic(u16 port);
    void plug_adapter(std::unique_ptr<vtc::Adapter> adapter);
    /// In the order of the command line.
    const std::vector<vtc::Adapter*>& adapters() const { return adapters_; }
    /// The segment of --net `id`; null when there is none.
    NetworkSegment* segment(std::string_view id);
    /// How many devices of this kind (a row's name) have been plugged in before.
    unsigned next_number(std::string_view kind) { return numbers_[std::string(kind)]++; }

    /// In the order of the command line.
    const std::vector<Disk*>& disks() const { return disks_; }

    void reset(Reset kind);

    /// After suspend to RAM: what lost its power is reset; the clock and the power management, which did not, are left.
    void resume();

    /// What a BIOS does before it starts a system: decoding on, PCI buses numbered, addresses given out.
    Expected<> set_up_without_firmware();

    /// As firmware tells it, in ACPI and other tables.
    firmware::Board description() const;

    pci::RootComplex& pci() { return root_; }

    /// Null without one.
    vtd::Unit* iommu() { return iommu_.get(); }

    AcpiPm& acpi_pm() { return pm_; }

private:
    explicit Board(Machine& machine);
    Expected<> plug(const Streams& streams);
    void add(Device& device) { devices_.push_back(&device); }
    void route_sci(u8 gsi);
    std::string name_of(u16 requester) const;
    LpcPci::Lines pirq_lines();
    firmware::Window mmio64() const;

    class Nowhere final : public ByteOutput {
        void put(std::span<const u8>) override {}
    };

    Machine& machine_;
    std::vector<Device*> devices_;
    Nowhere nowhere_;
    u8 next_slot_ = 1;
    pci::PlainDma dma_;
    std::unique_ptr<vtd::EntryWatch> entry_watch_; ///< with --stale max
    std::unique_ptr<vtd::Unit> iommu_;             ///< before every device: the platform gives them their way through it
    pci::Platform platform_;
    pci::RootComplex root_;
    std::array<Line, 24> sci_lines_;
    u8 sci_gsi_ = 9;
    bool sci_level_ = false;
    HostBridge host_bridge_;
    LpcPci lpc_;
    Hpet hpet_;
    Pit pit_;
    Rtc rtc_;
    AcpiPm pm_;
    ResetPorts reset_ports_;
    I8042 i8042_;
    firmware::FwCfg fw_cfg_;
    std::vector<pci::RootPort*> root_ports_;
    std::optional<u16> pvpanic_port_;
    std::vector<Disk*> disks_;
    std::vector<vtc::Adapter*> adapters_;
    std::vector<std::pair<std::string, NetworkSegment*>> segments_; ///< by --net's id
    std::map<std::string, unsigned> numbers_;
    std::vector<std::unique_ptr<Device>> plugged_; ///< what the configuration asked for
};

} // namespace vitrine::machine
