// SPDX-License-Identifier: Apache-2.0
// Puts the tables together: RSDP, RSDT and XSDT, pointers and checksums.
#include "firmware/acpi.h"

#include "base/error.h"

namespace vitrine::firmware {

namespace {

constexpr std::string_view oem = "VITRIN", oem_table = "VITRINE ", creator = "VTRN";
constexpr u64 length_offset = 4, checksum_offset = 9;
constexpr u64 fadt_firmware_ctrl = 36, fadt_dsdt = 40,
              fadt_x_dsdt = 140; // X_FIRMWARE_CTRL stays 0: only one may be set

class Builder {
public:
    Builder() {
        using T = AcpiTables;
        out_.files[T::tables] = {"etc/acpi/tables", {}, 64, false};
        out_.files[T::facs] = {"etc/acpi/facs", facs_table(), 64, false};
        out_.files[T::rsdp] = {"etc/acpi/rsdp", {}, 16, true};
    }

    /// Appends a table; gives its offset.
    u64 add(const Bytes& table) {
        Bytes& all = out_.files[AcpiTables::tables].bytes;
        all.align(16);
        const u64 at = all.size();
        all.append(table.span());
        out_.checksums.push_back({AcpiTables::tables, static_cast<u32>(at + checksum_offset), static_cast<u32>(at),
                                  static_cast<u32>(table.size())});
        return at;
    }

    void point(AcpiTables::File in, u64 offset, unsigned width, AcpiTables::File to, u64 target) {
        Bytes& bytes = out_.files[in].bytes;
        if (width == 4)
            bytes.put(offset, static_cast<u32>(target));
        else
            bytes.put(offset, target);
        out_.pointers.push_back({in, to, static_cast<u32>(offset), static_cast<u8>(width)});
    }

    /// RSDT or XSDT: a header and a pointer to each table.
    u64 add_index(std::string_view signature, unsigned width, const std::vector<u64>& targets) {
        Bytes table = acpi_header(signature, 1);
        table.zeros(width * targets.size());
        const u64 at = add(finish(std::move(table)));
        for (std::size_t i = 0; i < targets.size(); ++i)
            point(AcpiTables::tables, at + acpi_header_size + i * width, width, AcpiTables::tables, targets[i]);
        return at;
    }

    void add_rsdp(u64 rsdt, u64 xsdt) {
        Bytes& b = out_.files[AcpiTables::rsdp].bytes;
        b.text("RSD PTR ").byte(0).text(oem).byte(2).dword(0).dword(36).qword(0).byte(0).zeros(3);
        point(AcpiTables::rsdp, 16, 4, AcpiTables::tables, rsdt);
        point(AcpiTables::rsdp, 24, 8, AcpiTables::tables, xsdt);
        out_.checksums.push_back({AcpiTables::rsdp, 8, 0, 20});
        out_.checksums.push_back({AcpiTables::rsdp, 32, 0, 36});
    }

    AcpiTables take() { return std::move(out_); }

private:
    AcpiTables out_;
};

} // namespace

Bytes acpi_header(std::string_view signature, u8 revision) {
    Bytes b;
    b.text(signature).dword(0).byte(revision).byte(0).text(oem).text(oem_table).dword(1).text(creator).dword(1);
    VERIFY(b.size() == acpi_header_size);
    return b;
}

Bytes finish(Bytes table) {
    table.put(length_offset, static_cast<u32>(table.size()));
    return table;
}

AcpiTables acpi_tables(const Board& board) {
    Builder b;
    const u64 dsdt_at = b.add(dsdt(board));
    std::vector<u64> listed{b.add(fadt(board))};
    b.point(AcpiTables::tables, listed[0] + fadt_firmware_ctrl, 4, AcpiTables::facs, 0);
    b.point(AcpiTables::tables, listed[0] + fadt_dsdt, 4, AcpiTables::tables, dsdt_at);
    b.point(AcpiTables::tables, listed[0] + fadt_x_dsdt, 8, AcpiTables::tables, dsdt_at);
    listed.push_back(b.add(madt(board)));
    if (board.ecam.size)
        listed.push_back(b.add(mcfg(board)));
    if (board.hpet_address)
        listed.push_back(b.add(hpet_table(board)));
    if (!board.serial.empty())
        listed.push_back(b.add(spcr(board)));
    listed.push_back(b.add(waet()));
    for (const ExtraTable& t : board.extra_tables) {
        VERIFY(t.bytes.size() >= acpi_header_size);
        listed.push_back(b.add(Bytes().append(t.bytes)));
    }
    const u64 rsdt = b.add_index("RSDT", 4, listed);
    const u64 xsdt = b.add_index("XSDT", 8, listed);
    b.add_rsdp(rsdt, xsdt);
    return b.take();
}

void AcpiTables::link(const std::array<u64, 3>& addresses) {
    for (const Pointer& p : pointers) {
        Bytes& b = files[p.in].bytes;
        u64 value = addresses[p.to];
        for (unsigned i = 0; i < p.width; ++i)
            value += static_cast<u64>(b.span()[p.offset + i]) << (8 * i);
        for (unsigned i = 0; i < p.width; ++i)
            b.put(p.offset + i, static_cast<u8>(value >> (8 * i)));
    }
    for (const Checksum& c : checksums) {
        Bytes& b = files[c.in].bytes;
        b.put(c.offset, u8{0});
        u8 sum = 0;
        for (u32 i = 0; i < c.length; ++i)
            sum = static_cast<u8>(sum + b.span()[c.start + i]);
        b.put(c.offset, static_cast<u8>(-sum));
    }
}

std::vector<u8> AcpiTables::loader_script() const {
    static constexpr u64 name_size = 56, command_size = 128;

    enum Command : u32 { allocate = 1, add_pointer = 2, add_checksum = 3 };

    enum Zone : u8 { high = 1, f_segment = 2 };

    Bytes script;
    const auto add = [&](Bytes command) { script.append(command.zeros(command_size - command.size()).span()); };
    for (const AcpiFile& f : files)
        add(Bytes().dword(allocate).text(f.name, name_size, 0).dword(f.alignment).byte(f.low ? f_segment : high));
    for (const Pointer& p : pointers)
        add(Bytes()
                .dword(add_pointer)
                .text(files[p.in].name, name_size, 0)
                .text(files[p.to].name, name_size, 0)
                .dword(p.offset)
                .byte(p.width));
    for (const Checksum& c : checksums)
        add(Bytes()
                .dword(add_checksum)
                .text(files[c.in].name, name_size, 0)
                .dword(c.offset)
                .dword(c.start)
                .dword(c.length));
    return script.take();
}

} // namespace vitrine::firmware
