// SPDX-License-Identifier: Apache-2.0
// A writer of ACPI Machine Language: one function per construct of ASL that our tables use, named as ASL names it
// (ACPI 6.4, chapters 19 and 20).
#pragma once

#include "words/integers.h"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace vitrine::firmware::aml {

/// Encoded terms; concatenation is sequence.
class Code {
public:
    Code() = default;

    explicit Code(std::initializer_list<u8> bytes) : bytes_(bytes) {}

    explicit Code(std::vector<u8> bytes) : bytes_(std::move(bytes)) {}

    Code& operator+=(const Code& more) {
        bytes_.insert(bytes_.end(), more.bytes_.begin(), more.bytes_.end());
        return *this;
    }

    friend Code operator+(Code a, const Code& b) { return std::move(a += b); }

    const std::vector<u8>& bytes() const { return bytes_; }

    std::size_t size() const { return bytes_.size(); }

private:
    std::vector<u8> bytes_;
};

/// "\_SB.PCI0", "^LNKA", "_HID"; segments are filled up with underscores.
Code path(std::string_view name);
Code integer(u64 value); ///< the shortest form
Code string(std::string_view text);
Code eisa_id(std::string_view id); ///< "PNP0A08" as EISAID() gives it
Code uuid(std::string_view text);  ///< the buffer that ToUUID() gives
Code buffer(const std::vector<u8>& bytes);
Code package(const std::vector<Code>& elements);

Code name(std::string_view at, const Code& value);
Code scope(std::string_view at, const Code& body);
Code device(std::string_view at, const Code& body);
enum class Serialized : bool { no, yes };
Code method(std::string_view at, unsigned arguments, Serialized serialized, const Code& body);

Code arg(unsigned n);
Code local(unsigned n);
Code if_(const Code& condition, const Code& body);
Code else_(const Code& body);
Code return_(const Code& value);
Code store(const Code& value, const Code& target);
Code l_equal(const Code& a, const Code& b);
Code l_not(const Code& a);
Code and_(const Code& a, const Code& b, const Code& target);
Code or_(const Code& a, const Code& b, const Code& target);
Code find_set_right_bit(const Code& a, const Code& target);
Code shift_left(const Code& a, const Code& count, const Code& target);
Code subtract(const Code& a, const Code& b, const Code& target);
Code create_dword_field(const Code& source, u64 offset, std::string_view at);
Code create_word_field(const Code& source, u64 offset, std::string_view at);

enum class RegionSpace : u8 { system_memory = 0, system_io = 1, pci_config = 2 };
Code operation_region(std::string_view at, RegionSpace space, u64 offset, u64 length);

/// A field of byte-wide registers, accessed as bytes; an empty name skips one.
Code byte_field(std::string_view region, const std::vector<std::string_view>& names);

/// No target: the result is dropped or used in place.
Code nowhere();

} // namespace vitrine::firmware::aml
