// SPDX-License-Identifier: Apache-2.0
// Configuration space: the masks at work.
#include "pci/config_space.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine::pci {

void ConfigSpace::put(Bytes& bytes, unsigned offset, unsigned width, u32 value) {
    VERIFY(offset + width <= extended_size);
    for (unsigned i = 0; i < width; ++i)
        bytes[offset + i] = static_cast<u8>(value >> (8 * i));
}

void ConfigSpace::add(unsigned offset, unsigned width, const char* name, std::vector<Field> fields, u32 reset) {
    const auto at =
        std::lower_bound(named_.begin(), named_.end(), offset, [](const Named& n, unsigned o) { return n.offset < o; });
    VERIFY(at == named_.end() || at->offset >= offset + width);
    VERIFY(at == named_.begin() || std::prev(at)->offset + std::prev(at)->width <= offset);
    u32 writable = 0, clears = 0, seen = 0;
    for (const Field& f : fields) {
        const u32 mask = static_cast<u32>(f.mask());
        VERIFY((seen & mask) == 0 && f.high() < 8 * width);
        seen |= mask;
        if (f.kind() == FieldKind::rw)
            writable |= mask;
        else if (f.kind() == FieldKind::rw1c)
            clears |= mask;
    }
    named_.insert(at, Named{static_cast<u16>(offset), static_cast<u8>(width), name, std::move(fields)});
    put(value_, offset, width, reset);
    put(reset_, offset, width, reset);
    put(writable_, offset, width, writable);
    put(clearable_, offset, width, clears);
}

void ConfigSpace::add(unsigned offset, unsigned width, const char* name, u32 reset, u32 writable) {
    add(offset, width, name, std::vector<Field>{}, reset);
    put(writable_, offset, width, writable);
}

void ConfigSpace::clearable(unsigned offset, unsigned width, u32 mask) {
    put(clearable_, offset, width, mask);
}

void ConfigSpace::sticky(unsigned offset, unsigned width, u32 mask) {
    put(sticky_, offset, width, mask);
}

void ConfigSpace::set_writable(unsigned offset, unsigned width, u32 mask) {
    put(writable_, offset, width, mask);
}

void ConfigSpace::set_reset(unsigned offset, unsigned width, u32 value) {
    put(reset_, offset, width, value);
}

void ConfigSpace::write(unsigned offset, unsigned width, u32 value) {
    VERIFY(offset + width <= extended_size);
    for (unsigned i = 0; i < width; ++i) {
        const u8 written = static_cast<u8>(value >> (8 * i));
        u8& byte = value_[offset + i];
        const u8 mask = writable_[offset + i];
        byte = static_cast<u8>(((byte & ~mask) | (written & mask)) & ~(written & clearable_[offset + i]));
    }
}

u32 ConfigSpace::get(unsigned offset, unsigned width) const {
    VERIFY(offset + width <= extended_size);
    u32 value = 0;
    for (unsigned i = 0; i < width; ++i)
        value |= static_cast<u32>(value_[offset + i]) << (8 * i);
    return value;
}

void ConfigSpace::set(unsigned offset, unsigned width, u32 value) {
    put(value_, offset, width, value);
}

void ConfigSpace::reset(bool cold) {
    for (unsigned i = 0; i < extended_size; ++i) {
        const u8 keep = cold ? 0 : sticky_[i];
        value_[i] = static_cast<u8>((value_[i] & keep) | (reset_[i] & ~keep));
    }
}

} // namespace vitrine::pci
