// SPDX-License-Identifier: Apache-2.0
// Encodes resource descriptors.
#include "firmware/resources.h"

#include "firmware/bytes.h"

namespace vitrine::firmware::aml {

namespace {

enum Descriptor : u8 {
    irq_without_flags = 0x22,
    irq_with_flags = 0x23,
    io_port = 0x47,
    end_tag = 0x79,
    fixed_memory_32 = 0x86,
    dword_space = 0x87,
    word_space = 0x88,
    qword_space = 0x8a,
};

enum SpaceType : u8 { memory_space = 0, io_space = 1, bus_space = 2 };

constexpr u8 decode_16 = 1;
constexpr u8 min_and_max_fixed = 0x0c; // a producer, positive decode
constexpr u8 entire_range = 3;
constexpr u8 read_write = 1; // non-cacheable memory
constexpr u8 level_low_shared = 0x19;

void add(std::vector<u8>& to, Bytes b) {
    to.insert(to.end(), b.span().begin(), b.span().end());
}

} // namespace

Resources& Resources::io(u16 base, u8 length) {
    add(bytes_, Bytes().byte(io_port).byte(decode_16).word(base).word(base).byte(1).byte(length));
    return *this;
}

Resources& Resources::irq(u8 n) {
    add(bytes_, Bytes().byte(irq_without_flags).word(1u << n));
    return *this;
}

Resources& Resources::irqs_level_low_shared(u16 mask) {
    add(bytes_, Bytes().byte(irq_with_flags).word(mask).byte(level_low_shared));
    return *this;
}

Resources& Resources::memory32_fixed(u32 base, u32 length, bool writable) {
    add(bytes_, Bytes().byte(fixed_memory_32).word(9).byte(writable).dword(base).dword(length));
    return *this;
}

Resources& Resources::address_space(u8 descriptor, unsigned width, u8 type, u8 type_flags, u64 first, u64 last) {
    Bytes b;
    const auto field = [&](u64 v) {
        for (unsigned i = 0; i < width; ++i)
            b.byte(static_cast<u8>(v >> (8 * i)));
    };
    b.byte(descriptor).word(3 + 5 * width).byte(type).byte(min_and_max_fixed).byte(type_flags);
    field(0); // granularity
    field(first);
    field(last);
    field(0); // translation
    field(last - first + 1);
    add(bytes_, std::move(b));
    return *this;
}

Resources& Resources::bus_numbers(u16 first, u16 last) {
    return address_space(word_space, 2, bus_space, 0, first, last);
}

Resources& Resources::io_window(u16 first, u16 last) {
    return address_space(word_space, 2, io_space, entire_range, first, last);
}

Resources& Resources::memory_window_32(u32 first, u32 last) {
    return address_space(dword_space, 4, memory_space, read_write, first, last);
}

Resources& Resources::memory_window_64(u64 first, u64 last) {
    return address_space(qword_space, 8, memory_space, read_write, first, last);
}

Code Resources::code() const {
    std::vector<u8> all = bytes_;
    all.push_back(end_tag);
    all.push_back(0); // no checksum
    return buffer(all);
}

} // namespace vitrine::firmware::aml
