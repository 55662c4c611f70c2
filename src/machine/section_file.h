// SPDX-License-Identifier: Apache-2.0
// Files made of named sections, each with its length and checksum, behind a header that every version can read: what
// snapshots and recordings are made of.
//
//   file header, 64 bytes                            section header, 64 bytes, before each section
//    0  magic: "vitrine snapshot" or the like         0  name, zero-padded
//   16  u32 version of the format                    24  u64 size of the contents
//   20  u32 size of this header: 64                  32  u64 size as stored
//   24  who wrote it, zero-padded                    40  u32 0: as it is; 1: zstd
//   48  u64 zero                                     44  u32 number of the section, from 0
//   56  u64 XXH3 of the bytes before                 48  u64 XXH3 of the stored bytes
//                                                    56  u64 XXH3 of the bytes before
//
// All numbers are little-endian. The last section is called "end" and is empty, so that a file cut off between two
// sections is noticed. A reader gives one sentence for whatever is wrong: the file, the section, and what would be right.
#pragma once

#include "base/error.h"
#include "host/file.h"
#include "host/new_file.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::machine {

/// What kind of file: the first sixteen bytes, how it is called in sentences, and the newest version that is understood.
struct FileKind {
    std::string_view magic, noun;
    u32 version;
};

class SectionWriter {
public:
    /// Writes the header. The file is the caller's to commit.
    static Expected<SectionWriter> begin(const FileKind& kind, host::NewFile& file);

    /// A section, compressed where that makes it smaller.
    Expected<> add(std::string_view name, std::span<const u8> contents);

    Expected<> end() { return add("end", {}); }

private:
    explicit SectionWriter(host::NewFile& file) : file_(&file) {}

    host::NewFile* file_;
    u32 number_ = 0;
    std::vector<u8> packed_;
};

class SectionReader {
public:
    /// Checks the header. `option` is how the user named the file: "--restore".
    static Expected<SectionReader> open(const FileKind& kind, std::string_view option, const std::string& name);
    static Expected<SectionReader> read(const FileKind& kind, std::string_view option, host::File file);

    /// The name of the section that comes next; its header has been checked.
    const std::string& next() const { return next_.name; }

    /// The next section's contents, at most `limit` bytes; it must be called `name`.
    Expected<std::vector<u8>> take(std::string_view name, u64 limit);

    /// The section "end", with nothing behind it.
    Expected<> end();

    /// Where the section that was taken last ends.
    u64 position() const { return at_; }
    /// The section "end", with something behind it that is not made of sections.
    Expected<> end_of_sections();

    const host::File& file() const { return file_; }

    u64 file_size() const { return size_; }

    /// Who wrote the file: "vitrine 0.1.0".
    const std::string& writer() const { return writer_; }

    /// "--restore FILE: section 'cpu0' " and then what is wrong.
    Error error(std::string_view section, const std::string& what) const;
    /// "--restore FILE: " and then what is wrong.
    Error error(const std::string& what) const;

private:
    struct Header {
        std::string name;
        u64 size = 0, stored = 0, checksum = 0;
        u32 encoding = 0;
    };

    SectionReader(const FileKind& kind, std::string_view option, host::File file)
        : kind_(kind), label_(std::string(option) + " " + file.name()), file_(std::move(file)) {}

    Expected<> check_header();
    Expected<> read_next();
    Error missing(std::string_view name) const;
    Expected<> fetch(u64 at, std::span<u8> data) const;

    FileKind kind_;
    std::string label_;
    host::File file_;
    std::string writer_;
    u64 size_ = 0, at_ = 0;
    u32 number_ = 0;
    Header next_;
};

/// XXH3, 64 bits, as the headers hold it.
u64 checksum_of(std::span<const u8> data, u64 seed = 0);

/// This program, for headers and messages.
std::string_view this_program();

} // namespace vitrine::machine
