// SPDX-License-Identifier: Apache-2.0
// A guest's ACPI tables: what is fixed (MADT, FADT), and a DSDT with S5 and the virtio devices (ACPI 6.4).
#include "pane/guest/guest.h"
#include "pane/guest/load.h"

#include <cstring>

namespace vitrine::pane {

namespace {

/// Appends to guest memory; a length or checksum is filled in when it is known.
class Writer {
public:
    Writer(Guest& g, u64 at) : base_(g.at(0, low::acpi_end)), at_(at) {}

    u64 at() const { return at_; }
    void align(u64 to) { at_ = align_up(at_, to); }

    Writer& bytes(const void* data, u64 size) {
        memcpy(base_ + at_, data, size);
        at_ += size;
        return *this;
    }

    Writer& text(std::string_view t) { return bytes(t.data(), t.size()); }
    Writer& u8_(u64 v) { return bytes(&v, 1); }
    Writer& u16_(u64 v) { return bytes(&v, 2); }
    Writer& u32_(u64 v) { return bytes(&v, 4); }
    Writer& u64_(u64 v) { return bytes(&v, 8); }

    Writer& zeros(u64 n) {
        for (; n; --n)
            u8_(0);
        return *this;
    }

    void patch(u64 where, const void* data, u64 size) { memcpy(base_ + where, data, size); }

    void checksum(u64 start, u64 size, u64 where) {
        u8 sum = 0;
        base_[where] = 0;
        for (u64 n = 0; n < size; ++n)
            sum = static_cast<u8>(sum + base_[start + n]);
        base_[where] = static_cast<u8>(-sum);
    }

private:
    u8* base_;
    u64 at_;
};

/// A table: the header, what `body` writes, length and checksum.
template <class Body> u64 table(Writer& w, std::string_view signature, u8 revision, Body body) {
    w.align(16);
    const u64 start = w.at();
    w.text(signature).u32_(0).u8_(revision).u8_(0).text("VITRIN").text("PANE    ").u32_(1).text("PANE").u32_(1);
    body();
    const u64 length = w.at() - start;
    w.patch(start + 4, &length, 4);
    w.checksum(start, length, start + 9);
    return start;
}

/// AML's package length in its two-byte form, which serves everything below 4 KiB.
template <class Body> void package_length(Writer& w, Body body) {
    const u64 start = w.at();
    w.u16_(0);
    body();
    const u64 length = w.at() - start;
    const u8 encoded[2] = {static_cast<u8>(0x40 | (length & 15)), static_cast<u8>(length >> 4)};
    w.patch(start, encoded, 2);
}

constexpr u8 name_op = 0x08, byte_prefix = 0x0a, dword_prefix = 0x0c, string_prefix = 0x0d, scope_op = 0x10, buffer_op = 0x11, package_op = 0x12,
             extended = 0x5b, device_op = 0x82;

/// The binding that Linux and others know a virtio-mmio device by: LNRO0005, with its window and its interrupt.
void virtio_device(Writer& w, const VirtioDevice& d, unsigned number) {
    w.u8_(extended).u8_(device_op);
    package_length(w, [&] {
        w.text("VIR").u8_('0' + number);
        w.u8_(name_op).text("_HID").u8_(string_prefix).text("LNRO0005").u8_(0);
        w.u8_(name_op).text("_UID").u8_(byte_prefix).u8_(number);
        w.u8_(name_op).text("_CRS").u8_(buffer_op);
        package_length(w, [&] {
            constexpr u8 size = 12 + 9 + 2;
            w.u8_(byte_prefix).u8_(size);
            w.u8_(0x86).u16_(9).u8_(1).u32_(d.address()).u32_(VirtioDevice::window); // Memory32Fixed, read and write
            w.u8_(0x89).u16_(6).u8_(1).u8_(1).u32_(d.pin());                         // Interrupt: consumer, level, active high
            w.u8_(0x79).u8_(0);
        });
    });
}

/// The bus with the assigned devices: its number, the ports of configuration space, the window that the BARs lie in.
void pci_bus(Writer& w) {
    w.u8_(extended).u8_(device_op);
    package_length(w, [&] {
        w.text("PCI0");
        w.u8_(name_op).text("_HID").u8_(dword_prefix).u32_(0x030a'd041); // PNP0A03
        w.u8_(name_op).text("_CRS").u8_(buffer_op);
        package_length(w, [&] {
            constexpr u8 size = 16 + 8 + 26 + 2;
            constexpr u8 memory = 0, bus = 2, fixed = 0xc; // both ends are as they stand here
            w.u8_(byte_prefix).u8_(size);
            w.u8_(0x88).u16_(13).u8_(bus).u8_(fixed).u8_(0).u16_(0).u16_(0).u16_(0).u16_(0).u16_(1);       // Word address space
            w.u8_(0x47).u8_(1).u16_(0xcf8).u16_(0xcf8).u8_(1).u8_(8);                                       // I/O ports
            w.u8_(0x87).u16_(23).u8_(memory).u8_(fixed).u8_(1).u32_(0).u32_(Assigned::window_base);         // Double-word address space
            w.u32_(Assigned::window_base + Assigned::window_size - 1).u32_(0).u32_(Assigned::window_size);
            w.u8_(0x79).u8_(0);
        });
    });
}

void dsdt_body(Writer& w, const Guest& g) {
    w.u8_(name_op).text("_S5_").u8_(package_op).u8_(8).u8_(4);
    w.u8_(byte_prefix).u8_(PowerManagement::sleep_type_s5).u8_(byte_prefix).u8_(PowerManagement::sleep_type_s5).u8_(0).u8_(0);
    w.u8_(scope_op);
    package_length(w, [&] {
        w.text("\\_SB_");
        if (g.assigned_count)
            pci_bus(w);
        for (unsigned n = 0; n < Guest::virtio_slots; ++n)
            if (g.virtio[n].kind())
                virtio_device(w, g.virtio[n], n);
    });
}

constexpr unsigned sci = 9;

void fadt_body(Writer& w, u64 facs, u64 dsdt) {
    using Pm = PowerManagement;
    w.u32_(facs).u32_(dsdt).u8_(0).u8_(0).u16_(sci).u32_(0).zeros(4); // no SMI command: ACPI is on
    w.u32_(Pm::event).u32_(0).u32_(Pm::control).u32_(0).u32_(0).u32_(Pm::timer).u32_(0).u32_(0);
    w.u8_(4).u8_(2).u8_(0).u8_(4).zeros(4);
    w.u16_(0xfff).u16_(0xfff).zeros(8).u8_(0x32); // no C2, no C3; the century's place in CMOS
    w.u16_(0).u8_(0);                             // no keyboard controller, no VGA to be probed... a modern machine
    constexpr u32 wbinvd = 1 << 0, c1 = 1 << 2, no_power_button = 1 << 4, no_sleep_button = 1 << 5, timer_32 = 1 << 8, reset = 1 << 10;
    w.u32_(wbinvd | c1 | no_power_button | no_sleep_button | timer_32 | reset);
    w.u8_(1).u8_(8).u8_(0).u8_(1).u64_(0xcf9).u8_(6).zeros(3); // the reset register is an I/O port
    w.zeros(244 - 132);
}

void madt_body(Writer& w, const Guest& g) {
    w.u32_(0xfee0'0000).u32_(1); // there are 8259s too
    for (unsigned n = 0; n < g.vcpu_count; ++n)
        w.u8_(0).u8_(8).u8_(n).u8_(n).u32_(1);
    w.u8_(1).u8_(12).u8_(0).u8_(0).u32_(IoApic::address).u32_(0);
    constexpr u16 as_the_bus = 0, level_high = 0xd;
    w.u8_(2).u8_(10).u8_(0).u8_(0).u32_(2).u16_(as_the_bus); // the 8254 is on pin 2
    w.u8_(2).u8_(10).u8_(0).u8_(sci).u32_(sci).u16_(level_high);
}

} // namespace

void write_acpi_tables(Guest& g) {
    Writer w(g, low::acpi);
    w.zeros(36); // the RSDP, when the rest is known
    w.align(64);
    const u64 facs = w.at();
    w.text("FACS").u32_(64).zeros(56);
    const u64 dsdt = table(w, "DSDT", 2, [&] { dsdt_body(w, g); });
    const u64 fadt = table(w, "FACP", 3, [&] { fadt_body(w, facs, dsdt); });
    const u64 madt = table(w, "APIC", 3, [&] { madt_body(w, g); });
    const u64 xsdt = table(w, "XSDT", 1, [&] { w.u64_(fadt).u64_(madt); });
    const u64 rsdt = table(w, "RSDT", 1, [&] { w.u32_(fadt).u32_(madt); });
    Writer r(g, low::acpi);
    r.text("RSD PTR ").u8_(0).text("VITRIN").u8_(2).u32_(rsdt).u32_(36).u64_(xsdt).u32_(0);
    r.checksum(low::acpi, 20, low::acpi + 8);
    r.checksum(low::acpi, 36, low::acpi + 32);
}

} // namespace vitrine::pane
