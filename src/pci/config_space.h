// SPDX-License-Identifier: Apache-2.0
// One function's configuration space: 4 KiB of bytes with masks (what software may write or clear, what survives a
// reset) and named registers for people. Effects of writes are the business of Function and its capabilities.
#pragma once

#include "base/registers.h"
#include "pci/spec/config.h"

#include <array>
#include <vector>

namespace vitrine::pci {

class ConfigSpace {
public:
    /// A register with its name and bits, for dumps and for tests that walk it.
    struct Named {
        u16 offset;
        u8 width;
        const char* name;
        std::vector<Field> fields;
    };

    /// Declares a register whose layout says what may be written. `base` is where the layout's capability begins.
    template <class Layout>
    void add(const Layout& layout, unsigned base = 0, u32 reset = 0) {
        const auto fields = fields_of(layout);
        add(base + Layout::offset, Layout::width, Layout::name, {fields.begin(), fields.end()}, reset);
    }

    /// Declares a register without a layout: `writable` is its RW mask.
    void add(unsigned offset, unsigned width, const char* name, u32 reset, u32 writable = 0);

    /// Bits that software clears by writing 1.
    void clearable(unsigned offset, unsigned width, u32 mask);
    /// Bits that only a cold reset changes.
    void sticky(unsigned offset, unsigned width, u32 mask);
    /// Changes what software may write; for locks.
    void set_writable(unsigned offset, unsigned width, u32 mask);
    /// Changes the value that a reset gives.
    void set_reset(unsigned offset, unsigned width, u32 value);

    /// Software's view: 1, 2 or 4 bytes, aligned; the callers checked.
    u32 read(unsigned offset, unsigned width) const { return get(offset, width); }

    void write(unsigned offset, unsigned width, u32 value);

    /// Hardware's view: no masks.
    u32 get(unsigned offset, unsigned width) const;
    void set(unsigned offset, unsigned width, u32 value);

    template <class Layout>
    requires(Layout::width > 0) u32 get(const Layout&, unsigned base = 0)
    const { return get(base + Layout::offset, Layout::width); }

    template <class Layout>
    void set(const Layout&, const Field& field, u32 value, unsigned base = 0) {
        const unsigned at = base + Layout::offset;
        set(at, Layout::width, static_cast<u32>(field.with(get(at, Layout::width), value)));
    }

    void reset(bool cold);

    /// Sorted by offset.
    const std::vector<Named>& registers() const { return named_; }

    void state(Visitor& v) { v.field("config", value_); }

private:
    using Bytes = std::array<u8, extended_size>;

    void add(unsigned offset, unsigned width, const char* name, std::vector<Field> fields, u32 reset);
    static void put(Bytes& bytes, unsigned offset, unsigned width, u32 value);

    Bytes value_{}, reset_{}, writable_{}, clearable_{}, sticky_{};
    std::vector<Named> named_;
};

} // namespace vitrine::pci
