// SPDX-License-Identifier: Apache-2.0
// VMCS fields as an enumeration and a table; width, area and access are read off the encoding (SDM volume 3, Field Encoding in VMCS).
#pragma once

#include "words/bits.h"

namespace vitrine::vtx {

/// Dense numbers of the fields, in the order of fields.def.
enum class F : u8 {
#define VMCS_FIELD(id, encoding, name) id,
#include "vtx/spec/fields.def"
#undef VMCS_FIELD
    count,
};

inline constexpr unsigned field_count = static_cast<unsigned>(F::count);

enum class FieldArea : u8 { control = 0, read_only = 1, guest = 2, host = 3 };

/// Bits of a field's encoding: 14:13 width, 11:10 area, 9:1 index, 0 high half of a 64-bit field.
struct FieldEncoding {
    u32 value = 0;

    constexpr unsigned width_code() const { return bits(value, 14, 13); }

    constexpr unsigned width() const {
        constexpr unsigned widths[] = {16, 64, 32, 64};
        return widths[width_code()];
    }

    constexpr FieldArea area() const { return static_cast<FieldArea>(bits(value, 11, 10)); }

    constexpr unsigned index() const { return static_cast<unsigned>(bits(value, 9, 1)); }

    constexpr bool high() const { return value & 1; }

    /// Bits 31:15 and 12 are reserved; only 64-bit fields have a high half.
    constexpr bool well_formed() const { return !(value & ~0x6fffu) && (!high() || width_code() == 1); }
};

struct FieldRow {
    const char* id;
    FieldEncoding encoding;
    const char* name; ///< the SDM's
};

inline constexpr FieldRow field_rows[] = {
#define VMCS_FIELD(id, encoding, name) {#id, {encoding}, name},
#include "vtx/spec/fields.def"
#undef VMCS_FIELD
};

constexpr const FieldRow& row(F f) { return field_rows[static_cast<unsigned>(f)]; }

constexpr u64 width_mask(F f) { return low_mask(row(f).encoding.width()); }

/// From encodings (without the high half's bit) to fields, in constant time.
class FieldMap {
public:
    constexpr FieldMap() {
        for (u8& f : fields_)
            f = static_cast<u8>(F::count);
        for (unsigned n = 0; n < field_count; ++n)
            fields_[slot(field_rows[n].encoding.value)] = static_cast<u8>(n);
    }

    /// F::count when there is no such field.
    constexpr F find(u64 encoding) const {
        if (encoding >> 32 || !FieldEncoding{static_cast<u32>(encoding)}.well_formed())
            return F::count;
        const F f = static_cast<F>(fields_[slot(static_cast<u32>(encoding))]);
        return f != F::count && (row(f).encoding.value | 1) == (encoding | 1) ? f : F::count;
    }

private:
    /// Width, area and the low six bits of the index: more indices are not in use.
    static constexpr unsigned slot(u32 e) { return (e >> 13 & 3) << 8 | (e >> 10 & 3) << 6 | (e >> 1 & 63); }

    u8 fields_[1024]{};
};

inline constexpr FieldMap field_map;

/// The highest index that any field uses (IA32_VMX_VMCS_ENUM).
constexpr unsigned highest_field_index() {
    unsigned highest = 0;
    for (const FieldRow& r : field_rows)
        if (r.encoding.index() > highest)
            highest = r.encoding.index();
    return highest;
}

/// Guest-state fields of a segment register; `n` is 0 to 7 for ES, CS, SS, DS, FS, GS, LDTR, TR.
constexpr F after(F f, unsigned n) { return static_cast<F>(static_cast<unsigned>(f) + n); }

constexpr F guest_selector(unsigned n) { return after(F::guest_es_selector, n); }

constexpr F guest_base(unsigned n) { return after(F::guest_es_base, n); }

constexpr F guest_limit(unsigned n) { return after(F::guest_es_limit, n); }

constexpr F guest_access_rights(unsigned n) { return after(F::guest_es_access_rights, n); }

static_assert(guest_selector(7) == F::guest_tr_selector && guest_base(7) == F::guest_tr_base &&
              guest_limit(7) == F::guest_tr_limit && guest_access_rights(7) == F::guest_tr_access_rights);

} // namespace vitrine::vtx
