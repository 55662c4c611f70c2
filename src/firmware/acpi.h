// SPDX-License-Identifier: Apache-2.0
// The ACPI tables of a board: position-independent files with the pointers and checksums that somebody must fill in.
// Direct boot fills them in itself; SeaBIOS and OVMF do it by the loader script that fw_cfg offers.
#pragma once

#include "firmware/board.h"
#include "firmware/bytes.h"
#include "words/integers.h"

#include <array>
#include <string>
#include <vector>

namespace vitrine::firmware {

/// Tables of one kind of memory.
struct AcpiFile {
    std::string name; ///< in fw_cfg's directory
    Bytes bytes;
    u32 alignment;
    bool low; ///< must lie where it is found by scanning (F0000h to FFFFFh)
};

struct AcpiTables {
    enum File : u8 { tables, facs, rsdp };

    /// At `offset` in `in` stands an offset into `to`, `width` bytes wide: its address is to be added.
    struct Pointer {
        File in, to;
        u32 offset;
        u8 width;
    };

    /// The byte at `offset` makes the sum of [start, start + length) zero.
    struct Checksum {
        File in;
        u32 offset, start, length;
    };

    std::array<AcpiFile, 3> files;
    std::vector<Pointer> pointers;
    std::vector<Checksum> checksums;

    /// Fills in everything for files at these addresses.
    void link(const std::array<u64, 3>& addresses);

    /// The same as commands for firmware (QEMU's table loader interface).
    std::vector<u8> loader_script() const;
};

AcpiTables acpi_tables(const Board& board);

// The tables one by one. `header` leaves length and checksum to finish().

inline constexpr u64 acpi_header_size = 36;

Bytes acpi_header(std::string_view signature, u8 revision);

/// Sets the length; the checksum is made when addresses are known.
Bytes finish(Bytes table);

Bytes dsdt(const Board& board);
Bytes fadt(const Board& board); ///< pointers to FACS and DSDT zero
Bytes facs_table();
Bytes madt(const Board& board);
Bytes mcfg(const Board& board);
Bytes hpet_table(const Board& board);
Bytes spcr(const Board& board);
Bytes waet();

} // namespace vitrine::firmware
