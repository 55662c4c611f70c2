// SPDX-License-Identifier: Apache-2.0
// A file that appears whole or not at all: until it is complete, its name keeps whatever stood there before.
#pragma once

#include "base/error.h"
#include "host/descriptor.h"
#include "words/integers.h"

#include <span>
#include <string>

namespace vitrine::host {

class NewFile {
public:
    /// Begins a file that will be called `name`. Nothing is to be seen of it yet, and nothing remains if the process dies.
    static Expected<NewFile> create(const std::string& name);
    ~NewFile();
    NewFile(NewFile&& other) noexcept;
    NewFile& operator=(NewFile&&) = delete;

    /// Appends. An error names the file, and asks for status 74 when the host has no room.
    Expected<> write(std::span<const u8> data);

    /// What was written is on the disk, then bears the name in place of what stood there, and that too is on the disk. More
    /// may be appended afterwards.
    Expected<> commit();

    /// Everything appended is on the disk when this returns.
    Expected<> sync();

    const std::string& name() const { return name_; }

private:
    NewFile(std::string name, std::string directory) : name_(std::move(name)), directory_(std::move(directory)) {}

    Error error(int number) const;
    std::string temporary(unsigned attempt) const;

    std::string name_;      ///< as the user gave it, for messages
    std::string directory_; ///< where it really lies
    std::string target_;    ///< what it will be called there
    std::string temporary_; ///< its name before it is complete; empty while it has none
    Descriptor fd_;
};

/// One sentence if `name` cannot become a file: its directory is missing, say. Before a long run, so that it is not in vain.
Expected<> check_new_file(const std::string& name);

} // namespace vitrine::host
