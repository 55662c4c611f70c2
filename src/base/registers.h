// SPDX-License-Identifier: Apache-2.0
// Register files of devices: layouts whose members are Fields, and the masks, resets and dumps that follow from them.
#pragma once

#include "base/visitor.h"
#include "glass/glass.h"
#include "words/bits.h"

#include <array>
#include <bit>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace vitrine {

/// What a register is: offset from the start of the region, width in bytes, value after reset, the manual's names.
struct Register {
    u64 offset;
    unsigned width;
    u64 reset;
    const char* name;
    const char* meaning;
};

/// The Fields of a layout (a struct that holds nothing but Fields) as an array.
template <class Layout> auto fields_of(const Layout& layout) {
    static_assert(sizeof(Layout) % sizeof(Field) == 0, "a layout holds nothing but Fields");
    return std::bit_cast<std::array<Field, sizeof(Layout) / sizeof(Field)>>(layout);
}

/// A file of registers: bounds, partial accesses, RO/RW/RW1C/RW1S masks, reset, dump and snapshot in one place.
/// A device writes code only where an access does something.
class RegisterFile {
public:
    using WriteEffect = std::function<void(u64 written, u64 before)>; ///< after the masks have been applied
    using ReadEffect = std::function<u64(u64 stored)>;                ///< computes what is read

    struct Row {
        Register reg{};
        std::vector<Field> fields;
        u64 rw = 0, rw1c = 0, rw1s = 0, wo = 0;
        u64 value = 0;
        WriteEffect on_write;
        ReadEffect on_read;
    };

    explicit RegisterFile(Topic topic, std::string_view owner) : topic_(topic), owner_(owner) {}

    /// Adds a register with its layout; masks come from the fields' kinds.
    template <class Layout> Row& add(const Layout& layout, WriteEffect on_write = {}, ReadEffect on_read = {}) {
        const auto fields = fields_of(layout);
        return add_row(Layout::reg, {fields.begin(), fields.end()}, std::move(on_write), std::move(on_read));
    }

    /// Adds a register without a layout: `writable` is its RW mask.
    Row& add(const Register& reg, u64 writable, WriteEffect on_write = {}, ReadEffect on_read = {});

    void reset();

    /// Reads `size` bytes at `offset`; what no register covers reads as `missing` and is told once.
    u64 read(u64 offset, unsigned size, Glass& glass);
    void write(u64 offset, unsigned size, u64 value, Glass& glass);

    /// The register at `offset`; null where there is none.
    Row* find(u64 offset);

    u64& value(u64 offset);

    std::span<Row> rows() { return rows_; }

    void state(Visitor& v);

    u64 missing = ~0ull;

private:
    Row& add_row(const Register& reg, std::vector<Field> fields, WriteEffect on_write, ReadEffect on_read);

    Topic topic_;
    std::string owner_;
    std::vector<Row> rows_; ///< sorted by offset
};

} // namespace vitrine
