// SPDX-License-Identifier: Apache-2.0
// Sections: writing them, and reading them with distrust.
#include "machine/section_file.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <xxhash.h>
#include <zstd.h>

namespace vitrine::machine {

namespace {

constexpr std::size_t header_size = 64;
constexpr std::size_t name_size = 24;
constexpr u32 stored_plain = 0, stored_zstd = 1;
constexpr int fast = 1; ///< zstd's level: a snapshot is taken while somebody waits

using Header64 = std::array<u8, header_size>;

template <class T> void put(Header64& h, std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        h[at + i] = static_cast<u8>(value >> (8 * i));
}

template <class T> T get(const Header64& h, std::size_t at) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value |= static_cast<T>(h[at + i]) << (8 * i);
    return value;
}

void put_text(Header64& h, std::size_t at, std::string_view text, std::size_t size) {
    std::copy_n(text.begin(), std::min(text.size(), size), h.begin() + static_cast<long>(at));
}

std::string get_text(const Header64& h, std::size_t at, std::size_t size) {
    std::string text;
    for (std::size_t i = at; i < at + size && h[i] != 0; ++i)
        text += h[i] >= 0x20 && h[i] < 0x7f ? static_cast<char>(h[i]) : '?';
    return text;
}

u64 check_of(const Header64& h) { return checksum_of(std::span(h).first(header_size - 8)); }

} // namespace

u64 checksum_of(std::span<const u8> data, u64 seed) { return XXH3_64bits_withSeed(data.data(), data.size(), seed); }

std::string_view this_program() { return "vitrine " VITRINE_VERSION; }

Expected<SectionWriter> SectionWriter::begin(const FileKind& kind, host::NewFile& file) {
    Header64 h{};
    put_text(h, 0, kind.magic, 16);
    put(h, 16, kind.version);
    put(h, 20, static_cast<u32>(header_size));
    put_text(h, 24, this_program(), name_size);
    put(h, 56, check_of(h));
    TRY(file.write(h));
    return SectionWriter(file);
}

Expected<> SectionWriter::add(std::string_view name, std::span<const u8> contents) {
    std::span<const u8> stored = contents;
    u32 encoding = stored_plain;
    if (!contents.empty()) {
        packed_.resize(ZSTD_compressBound(contents.size()));
        const std::size_t n = ZSTD_compress(packed_.data(), packed_.size(), contents.data(), contents.size(), fast);
        VERIFY(!ZSTD_isError(n));
        if (n < contents.size()) {
            stored = std::span(packed_).first(n);
            encoding = stored_zstd;
        }
    }
    Header64 h{};
    put_text(h, 0, name, name_size);
    put(h, 24, static_cast<u64>(contents.size()));
    put(h, 32, static_cast<u64>(stored.size()));
    put(h, 40, encoding);
    put(h, 44, number_++);
    put(h, 48, checksum_of(stored));
    put(h, 56, check_of(h));
    TRY(file_->write(h));
    return file_->write(stored);
}

Error SectionReader::error(const std::string& what) const { return Error(label_ + ": " + what); }

Error SectionReader::error(std::string_view section, const std::string& what) const {
    return error(fmt::format("section '{}' {}", section, what));
}

Error SectionReader::missing(std::string_view name) const {
    return error(name, fmt::format("is missing: '{}' stands in its place", next_.name));
}

Expected<> SectionReader::fetch(u64 at, std::span<u8> data) const {
    if (auto read = file_.read(at, data); !read.ok())
        return Error(label_ + ": " + read.error().message, read.error().status);
    return {};
}

Expected<SectionReader> SectionReader::open(const FileKind& kind, std::string_view option, const std::string& name) {
    auto file = host::File::open(name, host::File::Access::read);
    if (!file.ok())
        return Error(std::string(option) + ": " + file.error().message, file.error().status);
    return read(kind, option, std::move(file).value());
}

Expected<SectionReader> SectionReader::read(const FileKind& kind, std::string_view option, host::File file) {
    SectionReader reader(kind, option, std::move(file));
    reader.size_ = TRY(reader.file_.size());
    TRY(reader.check_header());
    TRY(reader.read_next());
    return reader;
}

/// In the order in which the words mean something: whose file it is, whether its header is whole, and only then its version.
Expected<> SectionReader::check_header() {
    Header64 h{};
    const std::size_t there = std::min<std::size_t>(size_, header_size);
    TRY(fetch(0, std::span(h).first(there)));
    const std::string_view magic = kind_.magic;
    const std::size_t compared = std::min(there, magic.size());
    if (there == 0 || !std::equal(h.begin(), h.begin() + static_cast<long>(compared), magic.begin()))
        return error(fmt::format("is no {}: it would begin with '{}'", kind_.noun, magic));
    if (there < header_size)
        return error(fmt::format("is cut off in its header: it has {} bytes, the header alone has {}", there, header_size));
    if (get<u64>(h, 56) != check_of(h))
        return error(fmt::format("the header is damaged: its XXH3 must be {:016x}, and is {:016x}", get<u64>(h, 56), check_of(h)));
    writer_ = get_text(h, 24, name_size);
    const u32 version = get<u32>(h, 16);
    if (version == 0 || version > kind_.version)
        return error(fmt::format("has format {}, written by {}; this is {}, which reads formats 1 to {}", version, writer_,
                                 this_program(), kind_.version));
    at_ = header_size;
    return {};
}

Expected<> SectionReader::read_next() {
    const std::string after = number_ == 0 ? "the header" : "section '" + next_.name + "'";
    if (size_ - at_ < header_size)
        return error(fmt::format("is cut off behind {}: another section would begin at byte {}, the file has {} bytes", after, at_,
                                 size_));
    Header64 h{};
    TRY(fetch(at_, h));
    if (get<u64>(h, 56) != check_of(h))
        return error(fmt::format("the header of section {} (behind {}, at byte {}) is damaged: its XXH3 must be {:016x}, and is {:016x}",
                                 number_, after, at_, get<u64>(h, 56), check_of(h)));
    if (get<u32>(h, 44) != number_)
        return error(fmt::format("section {} is missing: section {} stands behind {}", number_, get<u32>(h, 44), after));
    next_ = {get_text(h, 0, name_size), get<u64>(h, 24), get<u64>(h, 32), get<u64>(h, 48), get<u32>(h, 40)};
    at_ += header_size;
    if (next_.stored > size_ - at_)
        return error(next_.name, fmt::format("is cut off: it has {} bytes from byte {} on, the file has {} bytes", next_.stored, at_,
                                             size_));
    return {};
}

Expected<std::vector<u8>> SectionReader::take(std::string_view name, u64 limit) {
    if (next_.name != name.substr(0, name_size))
        return missing(name);
    if (next_.size > limit)
        return error(name, fmt::format("is too large: it has {} bytes, at most {} make sense", next_.size, limit));
    if (next_.encoding > stored_zstd || (next_.encoding == stored_plain && next_.stored != next_.size))
        return error(name, "is stored in a way that format 1 does not have");
    std::vector<u8> stored(next_.stored);
    TRY(fetch(at_, stored));
    at_ += next_.stored;
    ++number_;
    if (const u64 is = checksum_of(stored); is != next_.checksum)
        return error(name, fmt::format("is damaged: its XXH3 must be {:016x}, and is {:016x}", next_.checksum, is));
    std::vector<u8> contents;
    if (next_.encoding == stored_plain) {
        contents = std::move(stored);
    } else {
        contents.resize(next_.size);
        const std::size_t n = ZSTD_decompress(contents.data(), contents.size(), stored.data(), stored.size());
        if (ZSTD_isError(n) || n != contents.size())
            return error(name, fmt::format("does not unpack to its {} bytes", contents.size()));
    }
    if (name != "end")
        TRY(read_next());
    return contents;
}

Expected<> SectionReader::end_of_sections() {
    TRY(take("end", 0));
    return {};
}

Expected<> SectionReader::end() {
    TRY(end_of_sections());
    if (at_ != size_)
        return error(fmt::format("goes on behind its end: it must have {} bytes, and has {}", at_, size_));
    return {};
}

} // namespace vitrine::machine
