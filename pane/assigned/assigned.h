// SPDX-License-Identifier: Apache-2.0
// A guest's view of a physical function that is its own: configuration space, BARs, interrupts. DMA and interrupts pass VT-d.
#pragma once

#include "pane/guest/vcpu.h"
#include "pane/pci/pci.h"
#include "pane/vtd/interrupts.h"

namespace vitrine::pane {

struct Cpu;
struct Guest;
class Assigned;

/// An MSI-X entry, or the one message of MSI: what the guest has written, and how it is carried out.
struct DeviceInterrupt {
    Assigned* device = nullptr;
    unsigned number = 0; ///< in the MSI-X table
    u64 address = 0;     ///< as the guest sees it
    u32 data = 0, control = 0;
    InterruptEntry entry;
    u8 vector = 0;     ///< Pane's own, when it does not go without Pane
    bool open = false; ///< the function may send it
    bool posted = false;
};

class Assigned {
public:
    /// What a guest's devices may have of the machine's: entries for interrupts, and vectors of Pane's for those that it cannot post.
    static constexpr unsigned most_entries = 256, most_vectors = 16;

    /// Guest-physical space for BARs: above its memory, below 4 GiB.
    static constexpr u64 window_base = 0xc000'0000, window_size = 0x1000'0000;

    /// Takes the function and gives its BARs a place in the guest's memory map. Panics with a sentence when it cannot be assigned.
    void start(Guest& guest, std::string_view name, unsigned slot);

    /// As at power on: reset, reaching nothing but its guest's memory, silent.
    void power_on();

    /// Reset; it reaches no memory and raises no interrupt.
    void cut();

    /// After too many faults: no DMA any more until its guest is reset.
    void stop_dma();

    const Function& function() const { return *function_; }
    u16 own_id() const { return static_cast<u16>(slot_ << 3); } ///< what it is in the guest

    u32 config_read(unsigned offset, unsigned size) const;
    void config_write(unsigned offset, unsigned size, u32 value);

    /// Memory of its BARs that is not simply mapped: the page of the MSI-X table, and BARs smaller than a page.
    bool answers_at(u64 gpa) const;
    u64 memory_read(u64 gpa, unsigned size);
    void memory_write(u64 gpa, unsigned size, u64 value);

    bool posts() const; ///< an open interrupt of it goes without Pane

private:
    friend struct ConfigRows;

    static constexpr unsigned bars = Function::bar_count;

    struct Window {
        u64 gpa = 0;
        u32 value = 0; ///< of the BAR as the guest has written it; of a wide one the upper half is the next one's
    };

    void place_bars();
    void map_bar(unsigned n);
    bool in_table(u64 address) const;
    bool trapped(u64 page) const;
    bool find(u64 gpa, unsigned size, u64& address) const;
    u64 placed(unsigned bar) const;

    u8 next_capability(unsigned kind) const;
    void command_written(u16 value);
    void device_control_written(u16 value);
    void msi_written();
    void msix_written(u16 control);
    void table_written(u64 offset, unsigned size, u64 value);
    void update(DeviceInterrupt& i);
    bool route(DeviceInterrupt& i);
    bool may_take(unsigned& taken, unsigned most, const char* what);
    void close_all();
    static void arrived(void* interrupt, u32 arrivals);

    Guest* guest_ = nullptr;
    Function* function_ = nullptr;
    unsigned slot_ = 0;
    Window windows_[bars];
    u16 command_ = 0, device_control_ = 0;
    u16 msi_control_ = 0, msix_control_ = 0;
    u64 msi_address_ = 0;
    u32 msi_data_ = 0;
    u64 table_ = 0, pending_ = 0; ///< physical, of the MSI-X table and its pending bits
    DeviceInterrupt* interrupts_ = nullptr;
    unsigned interrupt_count_ = 0;
    bool connected_ = false, dma_stopped_ = false;
};

} // namespace vitrine::pane
