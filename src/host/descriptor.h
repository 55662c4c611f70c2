// SPDX-License-Identifier: Apache-2.0
// A file descriptor that is closed once, and writing all of a buffer to one.
#pragma once

#include "words/integers.h"

#include <span>
#include <utility>

namespace vitrine::host {

class Descriptor {
public:
    Descriptor() = default;

    explicit Descriptor(int fd) : fd_(fd) {}

    ~Descriptor() { close(); }

    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }

    int get() const { return fd_; }

    explicit operator bool() const { return fd_ >= 0; }

    void close();

private:
    int fd_ = -1;
};

/// Writes everything, whatever signals and full pipes do. Zero, or the host's error number.
int write_all(int fd, std::span<const u8> data);

/// Reads what is there without waiting. The count, 0 when there is nothing now, -1 at the end of the input.
long read_now(int fd, std::span<u8> data);

} // namespace vitrine::host
