// SPDX-License-Identifier: Apache-2.0
// Register files: the masks at work.
#include "base/registers.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine {

RegisterFile::Row& RegisterFile::add(const Register& reg, u64 writable, WriteEffect on_write, ReadEffect on_read) {
    Row& row = add_row(reg, {}, std::move(on_write), std::move(on_read));
    row.rw = writable;
    return row;
}

RegisterFile::Row& RegisterFile::add_row(const Register& reg, std::vector<Field> fields, WriteEffect on_write,
                                         ReadEffect on_read) {
    Row row{reg, std::move(fields), 0, 0, 0, 0, reg.reset, std::move(on_write), std::move(on_read)};
    u64 seen = 0;
    for (const Field& f : row.fields) {
        VERIFY((seen & f.mask()) == 0 && f.high() < 8 * reg.width);
        seen |= f.mask();
        if (f.kind() == FieldKind::rw)
            row.rw |= f.mask();
        else if (f.kind() == FieldKind::rw1c)
            row.rw1c |= f.mask();
        else if (f.kind() == FieldKind::rw1s)
            row.rw1s |= f.mask();
        else if (f.kind() == FieldKind::wo)
            row.wo |= f.mask();
    }
    const auto at = std::lower_bound(rows_.begin(), rows_.end(), reg.offset,
                                     [](const Row& r, u64 offset) { return r.reg.offset < offset; });
    VERIFY(at == rows_.end() || at->reg.offset >= reg.offset + reg.width);
    VERIFY(at == rows_.begin() || std::prev(at)->reg.offset + std::prev(at)->reg.width <= reg.offset);
    return *rows_.insert(at, std::move(row));
}

void RegisterFile::reset() {
    for (Row& row : rows_)
        row.value = row.reg.reset;
}

RegisterFile::Row* RegisterFile::find(u64 offset) {
    auto at = std::upper_bound(rows_.begin(), rows_.end(), offset,
                               [](u64 o, const Row& r) { return o < r.reg.offset; });
    if (at == rows_.begin())
        return nullptr;
    --at;
    return offset < at->reg.offset + at->reg.width ? &*at : nullptr;
}

u64& RegisterFile::value(u64 offset) {
    Row* row = find(offset);
    VERIFY(row && row->reg.offset == offset);
    return row->value;
}

u64 RegisterFile::read(u64 offset, unsigned size, Glass& glass) {
    u64 result = 0;
    for (unsigned done = 0; done < size;) {
        Row* row = find(offset + done);
        if (!row) {
            glass.odd(topic_, owner_ + ".read-unknown-register", {{"offset", offset + done}});
            result |= (missing & 0xff) << (8 * done);
            ++done;
            continue;
        }
        const u64 stored = row->on_read ? row->on_read(row->value) : row->value & ~row->wo;
        const unsigned skip = static_cast<unsigned>(offset + done - row->reg.offset);
        const unsigned n = std::min(size - done, row->reg.width - skip);
        result |= ((stored >> (8 * skip)) & low_mask(8 * n)) << (8 * done);
        done += n;
    }
    return result;
}

void RegisterFile::write(u64 offset, unsigned size, u64 value, Glass& glass) {
    for (unsigned done = 0; done < size;) {
        Row* row = find(offset + done);
        if (!row) {
            glass.odd(topic_, owner_ + ".write-unknown-register", {{"offset", offset + done}, {"value", value}});
            ++done;
            continue;
        }
        const unsigned skip = static_cast<unsigned>(offset + done - row->reg.offset);
        const unsigned n = std::min(size - done, row->reg.width - skip);
        const u64 lanes = low_mask(8 * n) << (8 * skip);
        const u64 written = ((value >> (8 * done)) & low_mask(8 * n)) << (8 * skip);
        const u64 before = row->value;
        const u64 plain = (row->rw | row->wo) & lanes;
        u64 after = (before & ~plain) | (written & plain);
        after &= ~(written & row->rw1c & lanes);
        after |= written & row->rw1s & lanes;
        row->value = after;
        if (row->on_write)
            row->on_write(written, before);
        done += n;
    }
}

void RegisterFile::state(Visitor& v) {
    for (Row& row : rows_)
        v.number(row.reg.name, row.value, row.reg.width > 4 ? 8 : row.reg.width > 2 ? 4 : row.reg.width);
}

} // namespace vitrine
