// SPDX-License-Identifier: Apache-2.0
// Building the DMAR table.
#include "vtd/dmar.h"

#include <string_view>

namespace vitrine::vtd {

namespace {

class Table {
public:
    void number(u64 value, unsigned width) {
        for (unsigned n = 0; n < width; ++n)
            bytes.push_back(static_cast<u8>(value >> (8 * n)));
    }

    void text(std::string_view s) { bytes.insert(bytes.end(), s.begin(), s.end()); }

    void set_length(std::size_t at, unsigned width, std::size_t from) {
        for (unsigned n = 0; n < width; ++n)
            bytes[at + n] = static_cast<u8>((bytes.size() - from) >> (8 * n));
    }

    std::vector<u8> bytes;
};

enum ScopeType : u8 { endpoint = 1, io_apic = 3, hpet = 4 };

/// `path` begins on bus `bus`.
void add_scope(Table& t, ScopeType type, u8 id, u8 bus, std::span<const u8> path) {
    t.number(type, 1);
    t.number(6 + 2 * path.size(), 1);
    t.number(0, 2);
    t.number(id, 1);
    t.number(bus, 1);
    for (const u8 devfn : path) {
        t.number(devfn >> 3, 1);
        t.number(devfn & 7, 1);
    }
}

void add_scope(Table& t, ScopeType type, u8 id, u16 requester) {
    const u8 devfn = static_cast<u8>(requester);
    add_scope(t, type, id, static_cast<u8>(requester >> 8), {&devfn, 1});
}

} // namespace

std::vector<u8> dmar_table(const DmarInput& in) {
    constexpr u8 interrupt_remapping = 1, include_all = 1;
    Table t;
    t.text("DMAR");
    t.number(0, 4); // length
    t.number(1, 1); // revision
    t.number(0, 1); // checksum
    t.text("VITRIN");
    t.text("VITRINE ");
    t.number(1, 4);
    t.text("VTRN");
    t.number(1, 4);
    t.number(in.physical_bits - 1, 1);
    t.number(in.interrupt_remapping ? interrupt_remapping : 0, 1);
    t.number(0, 8);
    t.number(0, 2);

    const std::size_t unit = t.bytes.size();
    t.number(0, 2); // DRHD
    t.number(0, 2); // length
    t.number(include_all, 1);
    t.number(0, 1);
    t.number(0, 2); // segment
    t.number(in.base, 8);
    add_scope(t, io_apic, in.io_apic_id, in.io_apic_requester);
    add_scope(t, hpet, in.hpet_id, in.hpet_requester);
    t.set_length(unit + 2, 2, unit);
    for (const ReservedMemory& r : in.reserved) {
        const std::size_t at = t.bytes.size();
        t.number(1, 2); // RMRR
        t.number(0, 2); // length
        t.number(0, 2);
        t.number(0, 2); // segment
        t.number(r.base, 8);
        t.number(r.base + r.size - 1, 8);
        add_scope(t, endpoint, 0, 0, r.path);
        t.set_length(at + 2, 2, at);
    }
    t.set_length(4, 4, 0);
    return t.bytes;
}

} // namespace vitrine::vtd
