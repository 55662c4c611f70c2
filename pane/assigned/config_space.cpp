// SPDX-License-Identifier: Apache-2.0
// The configuration space that a guest sees of its function: a table of what is read from where and what a write may do. What is not in the
// table reads as zero, and writes to it go nowhere.
#include "pane/assigned/assigned.h"

#include "pane/guest/guest.h"
#include "pane/pci/msix.h"

namespace vitrine::pane {

/// Rows of double words: of the header, or of one of the three capabilities that a guest gets.
struct ConfigRows {
    enum Kind : unsigned { header, express, msi, msix };

    struct Row {
        Kind kind;
        unsigned offset, last; ///< from the structure's start
        u32 (*read)(const Assigned& a, unsigned offset);
        void (*write)(Assigned& a, unsigned offset, u32 value, u32 written); ///< null: read only; `written` are the bits of the bytes written
    };

    static unsigned place(const Assigned& a, unsigned kind) {
        const Function& f = *a.function_;
        switch (kind) {
        case express: return f.express;
        case msi: return f.msix ? 0 : f.msi; // one of the two is enough, and MSI-X is better
        case msix: return a.table_ ? f.msix : 0;
        default: return 0;
        }
    }

    static u32 physical(const Assigned& a, unsigned offset) { return config_read(a.function_->id, offset, 4); }

    static u32 read_identity(const Assigned& a, unsigned) { return a.function_->vendor | u32{a.function_->device} << 16; }

    static u32 read_command(const Assigned& a, unsigned) {
        const u64 status = physical(a, pci::command_offset) >> 16 & ~(pci::status.capabilities_list.mask() | pci::status.interrupt_status.mask());
        return a.command_ | static_cast<u32>(pci::status.capabilities_list.with(status, a.next_capability(header) != 0)) << 16;
    }

    static void write_command(Assigned& a, unsigned, u32 value, u32 written) {
        if (written & 0xffff)
            a.command_written(static_cast<u16>((a.command_ & ~written) | (value & written)));
    }

    static u32 read_class(const Assigned& a, unsigned) { return physical(a, pci::revision_id); }

    static u32 read_bar(const Assigned& a, unsigned offset) {
        const unsigned n = (offset - pci::bar0) / 4;
        const Function& f = *a.function_;
        if (n && f.bars[n - 1].wide)
            return a.windows_[n].value;
        if (!a.windows_[n].gpa)
            return 0;
        const Bar& bar = f.bars[n];
        return a.windows_[n].value | (bar.wide ? pci::bar_is_64_bit : 0) | (bar.prefetchable ? pci::bar_is_prefetchable : 0);
    }

    static void write_bar(Assigned& a, unsigned offset, u32 value, u32 written) {
        const unsigned n = (offset - pci::bar0) / 4;
        const Function& f = *a.function_;
        const bool upper = n && f.bars[n - 1].wide;
        const unsigned owner = upper ? n - 1 : n;
        if (!a.windows_[owner].gpa)
            return;
        const u64 takes = ~(f.bars[owner].size - 1) & ~15ull; // as many bits as its size leaves
        const u32 mask = static_cast<u32>(upper ? takes >> 32 : takes);
        a.windows_[n].value = ((a.windows_[n].value & ~written) | (value & written)) & mask;
    }

    static u32 read_subsystem(const Assigned& a, unsigned offset) { return physical(a, offset); }

    static u32 read_first_capability(const Assigned& a, unsigned) { return a.next_capability(header); }

    static u32 capability_header(const Assigned& a, Kind kind, pci::CapabilityId id) {
        return static_cast<u32>(id) | u32{a.next_capability(kind)} << 8;
    }

    static u32 read_express(const Assigned& a, unsigned) {
        const auto& c = pci::express_capabilities;
        const u64 word = capability_read(a.function_->id, a.function_->express, c);
        // There is no root port above it in the guest's machine.
        const u64 shown = c.slot_implemented.with(c.port_type.with(word, static_cast<u64>(pci::PortType::integrated_endpoint)), 0);
        return capability_header(a, express, pci::CapabilityId::express) | static_cast<u32>(shown) << 16;
    }

    static u32 read_device_capabilities(const Assigned& a, unsigned) { return capability_read(a.function_->id, a.function_->express, pci::device_capabilities); }

    static u32 read_device_control(const Assigned& a, unsigned) {
        return a.device_control_ | capability_read(a.function_->id, a.function_->express, pci::device_status) << 16;
    }

    static void write_device_control(Assigned& a, unsigned, u32 value, u32 written) {
        if (written & 0xffff)
            a.device_control_written(static_cast<u16>((a.device_control_ & ~written) | (value & written)));
    }

    static u32 read_msi(const Assigned& a, unsigned) {
        const auto& c = pci::msi_control;
        const u64 wide = c.address_64(capability_read(a.function_->id, a.function_->msi, c));
        return capability_header(a, msi, pci::CapabilityId::msi) | static_cast<u32>(c.address_64.with(a.msi_control_, wide)) << 16;
    }

    static void write_msi(Assigned& a, unsigned, u32 value, u32 written) {
        a.msi_control_ = static_cast<u16>((a.msi_control_ & ~(written >> 16)) | (value & written) >> 16) & pci::msi_control.enable.mask();
        a.msi_written();
    }

    static bool wide_msi(const Assigned& a) { return pci::msi_control.address_64(read_msi(a, 0) >> 16); }

    static u32 read_msi_word(const Assigned& a, unsigned offset) {
        if (offset == 4)
            return static_cast<u32>(a.msi_address_);
        return offset == 8 && wide_msi(a) ? static_cast<u32>(a.msi_address_ >> 32) : offset == (wide_msi(a) ? 12 : 8) ? a.msi_data_ : 0;
    }

    static void write_msi_word(Assigned& a, unsigned offset, u32 value, u32 written) {
        value = (read_msi_word(a, offset) & ~written) | (value & written);
        if (offset == 4)
            a.msi_address_ = (a.msi_address_ & ~0xffff'ffffull) | (value & ~3u);
        else if (offset == 8 && wide_msi(a))
            a.msi_address_ = (a.msi_address_ & 0xffff'ffff) | u64{value} << 32;
        else if (offset == (wide_msi(a) ? 12u : 8u))
            a.msi_data_ = value & 0xffff;
        if (pci::msi_control.enable(a.msi_control_))
            a.msi_written();
    }

    static u32 read_msix(const Assigned& a, unsigned) {
        return capability_header(a, msix, pci::CapabilityId::msix) | (a.msix_control_ | (a.interrupt_count_ - 1)) << 16;
    }

    static void write_msix(Assigned& a, unsigned, u32 value, u32 written) {
        if (written >> 16)
            a.msix_written(static_cast<u16>((a.msix_control_ & ~(written >> 16)) | (value & written) >> 16));
    }

    static u32 read_msix_place(const Assigned& a, unsigned offset) { return physical(a, a.function_->msix + offset); }

    // clang-format off
    static constexpr Row rows[] = {
        {header,  0x00, 0x00, read_identity,            nullptr},
        {header,  0x04, 0x04, read_command,             write_command},
        {header,  0x08, 0x08, read_class,               nullptr},
        {header,  0x10, 0x24, read_bar,                 write_bar},
        {header,  0x2c, 0x2c, read_subsystem,           nullptr},
        {header,  0x34, 0x34, read_first_capability,    nullptr},
        {express, 0x00, 0x00, read_express,             nullptr},
        {express, 0x04, 0x04, read_device_capabilities, nullptr},
        {express, 0x08, 0x08, read_device_control,      write_device_control},
        {msi,     0x00, 0x00, read_msi,                 write_msi},
        {msi,     0x04, 0x0c, read_msi_word,            write_msi_word},
        {msix,    0x00, 0x00, read_msix,                write_msix},
        {msix,    0x04, 0x08, read_msix_place,          nullptr},
    };
    // clang-format on

    static const Row* find(const Assigned& a, unsigned offset, unsigned& inside) {
        for (const Row& r : rows) {
            const unsigned base = place(a, r.kind);
            if ((r.kind != header && !base) || offset < base + r.offset || offset > base + r.last)
                continue;
            inside = offset - base;
            return &r;
        }
        return nullptr;
    }
};

/// The list that the guest walks: Express, then MSI or MSI-X, where the function has them.
u8 Assigned::next_capability(unsigned kind) const {
    while (++kind <= ConfigRows::msix)
        if (const unsigned at = ConfigRows::place(*this, kind))
            return static_cast<u8>(at);
    return 0;
}

u32 Assigned::config_read(unsigned offset, unsigned size) const {
    ++guest_->statistics.config_accesses;
    unsigned inside = 0;
    const ConfigRows::Row* row = ConfigRows::find(*this, offset & ~3u, inside);
    const u32 value = row ? row->read(*this, inside) : 0;
    return value >> offset % 4 * 8 & static_cast<u32>(low_mask(8 * size));
}

void Assigned::config_write(unsigned offset, unsigned size, u32 value) {
    ++guest_->statistics.config_accesses;
    unsigned inside = 0;
    const ConfigRows::Row* row = ConfigRows::find(*this, offset & ~3u, inside);
    if (row && row->write)
        row->write(*this, inside, value << offset % 4 * 8, static_cast<u32>(low_mask(8 * size) << offset % 4 * 8));
}

/// Where the guest has put a BAR.
u64 Assigned::placed(unsigned n) const { return windows_[n].value | (function_->bars[n].wide ? u64{windows_[n + 1].value} << 32 : 0); }

void Assigned::command_written(u16 value) {
    const auto& c = pci::command;
    const u64 kept = c.memory_space.mask() | c.bus_master.mask() | c.parity_error_response.mask() | c.serr_enable.mask() | c.interrupt_disable.mask();
    command_ = static_cast<u16>(value & kept);
    if (c.memory_space(command_))
        for (unsigned n = 0; n < bars; ++n)
            if (windows_[n].gpa && placed(n) != windows_[n].gpa) {
                say("[{}] BAR {} of its {} is at {x}, and the guest wants it at {x}", guest_->config.name, n, FunctionName(own_id()), windows_[n].gpa, placed(n));
                return guest_->end(Ending::crash, "moved a BAR of its device: Pane has one place for each");
            }
    const bool master = c.bus_master(command_) && connected_ && !dma_stopped_;
    command_bits(*function_, master ? c.bus_master.mask() : 0, master ? 0 : c.bus_master.mask());
}

/// A function-level reset is the one thing in this register that reaches the function; its interrupts and its command register are as after any.
void Assigned::device_control_written(u16 value) {
    const auto& d = pci::device_control;
    device_control_ = static_cast<u16>(d.initiate_flr.with(value, 0));
    if (!d.initiate_flr(value) || !pci::device_capabilities.function_level_reset(capability_read(function_->id, function_->express, pci::device_capabilities)))
        return;
    power_on();
}

} // namespace vitrine::pane
