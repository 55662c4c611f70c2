// SPDX-License-Identifier: Apache-2.0
// Encodes AML terms.
#include "firmware/aml.h"

#include "base/error.h"

#include <array>

namespace vitrine::firmware::aml {

namespace {

enum Op : u8 {
    zero_op = 0x00,
    one_op = 0x01,
    name_op = 0x08,
    byte_prefix = 0x0a,
    word_prefix = 0x0b,
    dword_prefix = 0x0c,
    string_prefix = 0x0d,
    qword_prefix = 0x0e,
    scope_op = 0x10,
    buffer_op = 0x11,
    package_op = 0x12,
    method_op = 0x14,
    dual_name_prefix = 0x2e,
    multi_name_prefix = 0x2f,
    ext_op_prefix = 0x5b,
    local_0 = 0x60,
    arg_0 = 0x68,
    store_op = 0x70,
    subtract_op = 0x74,
    shift_left_op = 0x79,
    and_op = 0x7b,
    or_op = 0x7d,
    find_set_right_bit_op = 0x82,
    create_dword_field_op = 0x8a,
    create_word_field_op = 0x8b,
    l_not_op = 0x92,
    l_equal_op = 0x93,
    if_op = 0xa0,
    else_op = 0xa1,
    return_op = 0xa4,
};

enum ExtOp : u8 { op_region_op = 0x80, field_op = 0x81, device_op = 0x82 };

/// The length of what follows, itself included: 6 bits in one byte, or 4 and 8 for each of up to 3 more.
Code package_length(u64 contents) {
    if (contents + 1 <= 0x3f)
        return Code{static_cast<u8>(contents + 1)};
    for (unsigned more = 1; more <= 3; ++more) {
        const u64 length = contents + 1 + more;
        if (length >> (4 + 8 * more))
            continue;
        std::vector<u8> b{static_cast<u8>(more << 6 | (length & 0xf))};
        for (unsigned i = 0; i < more; ++i)
            b.push_back(static_cast<u8>(length >> (4 + 8 * i)));
        return Code(b);
    }
    bug("an AML package of more than 256 MiB", __FILE__, __LINE__);
}

Code with_length(const Code& contents) {
    return package_length(contents.size()) + contents;
}

Code little_endian(u8 prefix, u64 value, unsigned size) {
    std::vector<u8> b{prefix};
    for (unsigned i = 0; i < size; ++i)
        b.push_back(static_cast<u8>(value >> (8 * i)));
    return Code(b);
}

unsigned hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return static_cast<unsigned>(c - '0');
    const char lower = static_cast<char>(c | 0x20);
    VERIFY(lower >= 'a' && lower <= 'f');
    return static_cast<unsigned>(lower - 'a' + 10);
}

Code segment(std::string_view s) {
    VERIFY(!s.empty() && s.size() <= 4);
    std::vector<u8> b;
    for (std::size_t i = 0; i < 4; ++i) {
        const char c = i < s.size() ? s[i] : '_';
        VERIFY((c >= 'A' && c <= 'Z') || c == '_' || (i > 0 && c >= '0' && c <= '9'));
        b.push_back(static_cast<u8>(c));
    }
    return Code(b);
}

Code two_operands(u8 op, const Code& a, const Code& b, const Code& target) {
    return Code{op} + a + b + target;
}

} // namespace

Code path(std::string_view text) {
    Code prefix;
    while (!text.empty() && (text[0] == '\\' || text[0] == '^')) {
        prefix += Code{static_cast<u8>(text[0])};
        text.remove_prefix(1);
    }
    if (text.empty())
        return prefix + Code{0};
    std::vector<Code> segments;
    for (;;) {
        const std::size_t dot = text.find('.');
        segments.push_back(segment(text.substr(0, dot)));
        if (dot == std::string_view::npos)
            break;
        text.remove_prefix(dot + 1);
    }
    if (segments.size() == 2)
        prefix += Code{dual_name_prefix};
    else if (segments.size() > 2)
        prefix += Code{multi_name_prefix, static_cast<u8>(segments.size())};
    for (const Code& s : segments)
        prefix += s;
    return prefix;
}

Code integer(u64 value) {
    if (value <= 1)
        return Code{value ? one_op : zero_op};
    if (value <= 0xff)
        return little_endian(byte_prefix, value, 1);
    if (value <= 0xffff)
        return little_endian(word_prefix, value, 2);
    if (value <= 0xffff'ffff)
        return little_endian(dword_prefix, value, 4);
    return little_endian(qword_prefix, value, 8);
}

Code string(std::string_view text) {
    std::vector<u8> b{string_prefix};
    b.insert(b.end(), text.begin(), text.end());
    b.push_back(0);
    return Code(b);
}

Code eisa_id(std::string_view id) {
    VERIFY(id.size() == 7);
    u32 v = 0; // big-endian: three letters of five bits, four hexadecimal digits
    for (unsigned i = 0; i < 3; ++i)
        v = v << 5 | (static_cast<u32>(id[i] - '@') & 0x1f);
    for (unsigned i = 3; i < 7; ++i)
        v = v << 4 | hex_digit(id[i]);
    return integer(__builtin_bswap32(v));
}

Code uuid(std::string_view text) {
    VERIFY(text.size() == 36);
    // The first three groups are little-endian numbers.
    static constexpr std::array<u8, 16> digit_at{6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    std::vector<u8> b;
    for (const u8 at : digit_at)
        b.push_back(static_cast<u8>(hex_digit(text[at]) << 4 | hex_digit(text[at + 1u])));
    return buffer(b);
}

Code buffer(const std::vector<u8>& bytes) {
    return Code{buffer_op} + with_length(integer(bytes.size()) + Code(bytes));
}

Code package(const std::vector<Code>& elements) {
    VERIFY(elements.size() <= 255);
    Code contents{static_cast<u8>(elements.size())};
    for (const Code& e : elements)
        contents += e;
    return Code{package_op} + with_length(contents);
}

Code name(std::string_view at, const Code& value) {
    return Code{name_op} + path(at) + value;
}

Code scope(std::string_view at, const Code& body) {
    return Code{scope_op} + with_length(path(at) + body);
}

Code device(std::string_view at, const Code& body) {
    return Code{ext_op_prefix, device_op} + with_length(path(at) + body);
}

Code method(std::string_view at, unsigned arguments, Serialized serialized, const Code& body) {
    const u8 flags = static_cast<u8>(arguments | (serialized == Serialized::yes ? 8 : 0));
    return Code{method_op} + with_length(path(at) + Code{flags} + body);
}

Code arg(unsigned n) {
    return Code{static_cast<u8>(arg_0 + n)};
}

Code local(unsigned n) {
    return Code{static_cast<u8>(local_0 + n)};
}

Code if_(const Code& condition, const Code& body) {
    return Code{if_op} + with_length(condition + body);
}

Code else_(const Code& body) {
    return Code{else_op} + with_length(body);
}

Code return_(const Code& value) {
    return Code{return_op} + value;
}

Code store(const Code& value, const Code& target) {
    return Code{store_op} + value + target;
}

Code l_equal(const Code& a, const Code& b) {
    return Code{l_equal_op} + a + b;
}

Code l_not(const Code& a) {
    return Code{l_not_op} + a;
}

Code and_(const Code& a, const Code& b, const Code& target) {
    return two_operands(and_op, a, b, target);
}

Code or_(const Code& a, const Code& b, const Code& target) {
    return two_operands(or_op, a, b, target);
}

Code shift_left(const Code& a, const Code& count, const Code& target) {
    return two_operands(shift_left_op, a, count, target);
}

Code subtract(const Code& a, const Code& b, const Code& target) {
    return two_operands(subtract_op, a, b, target);
}

Code find_set_right_bit(const Code& a, const Code& target) {
    return Code{find_set_right_bit_op} + a + target;
}

Code create_dword_field(const Code& source, u64 offset, std::string_view at) {
    return Code{create_dword_field_op} + source + integer(offset) + path(at);
}

Code create_word_field(const Code& source, u64 offset, std::string_view at) {
    return Code{create_word_field_op} + source + integer(offset) + path(at);
}

Code operation_region(std::string_view at, RegionSpace space, u64 offset, u64 length) {
    return Code{ext_op_prefix, op_region_op} + path(at) + Code{static_cast<u8>(space)} + integer(offset) +
           integer(length);
}

Code byte_field(std::string_view region, const std::vector<std::string_view>& names) {
    Code contents = path(region) + Code{0x01}; // byte access, no lock, preserve
    for (const std::string_view n : names)
        contents += (n.empty() ? Code{0} : segment(n)) + Code{8}; // a length in bits, encoded as a package length
    return Code{ext_op_prefix, field_op} + with_length(contents);
}

Code nowhere() {
    return Code{0};
}

} // namespace vitrine::firmware::aml
