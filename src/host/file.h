// SPDX-License-Identifier: Apache-2.0
// A file that is read and written at offsets, with errors that name it: opened, locked against a second use, checked
// for its size.
#pragma once

#include "base/error.h"
#include "host/descriptor.h"
#include "words/integers.h"

#include <memory>
#include <span>
#include <string>

namespace vitrine::host {

/// A 128-bit hash of contents (XXH3).
struct ContentHash {
    u64 low = 0, high = 0;
    constexpr bool operator==(const ContentHash&) const = default;
    /// 32 hexadecimal digits.
    std::string text() const;
};

class File {
public:
    enum class Access : u8 { read, read_write };

    /// Opens what exists: a regular file or a block device.
    static Expected<File> open(const std::string& name, Access access);
    /// Makes a new file; it must not exist.
    static Expected<File> create(const std::string& name);
    /// Memory that looks like a file, for what is thrown away at the end.
    static Expected<File> in_memory(const std::string& name);

    const std::string& name() const { return name_; }

    int descriptor() const { return fd_.get(); }

    /// Shared among readers, or for this user alone. Fails at once when somebody holds it otherwise, in this process or
    /// another.
    Expected<> lock(bool exclusive) const;

    Expected<u64> size() const;
    Expected<> resize(u64 size) const;
    /// Everything or an error; reading beyond the end is one.
    Expected<> read(u64 offset, std::span<u8> data) const;
    Expected<> write(u64 offset, std::span<const u8> data) const;
    /// The range reads as zeros afterwards; the host gets its space back where it can.
    Expected<> zero(u64 offset, u64 length) const;
    /// Data is on the disk when this returns.
    Expected<> sync() const;

    /// When the file was last changed, in nanoseconds; only to see that it was.
    Expected<u64> changed() const;
    bool same_as(const File& other) const;

    /// Of `size` bytes from the start.
    Expected<ContentHash> hash(u64 size) const;

private:
    File(std::string name, Descriptor fd) : name_(std::move(name)), fd_(std::move(fd)) {}

    Error error(std::string_view doing) const;

    std::string name_;
    Descriptor fd_;
};

} // namespace vitrine::host
