// SPDX-License-Identifier: Apache-2.0
// What the outside must offer to the machine's devices; the host room implements it, the recorder stands in between.
#pragma once

#include "base/error.h"
#include "words/integers.h"

#include <span>
#include <string_view>

namespace vitrine {

/// Where a serial port's bytes go. Input comes the other way, through ByteSink, at instants that the machine chooses.
class ByteOutput {
public:
    virtual ~ByteOutput() = default;
    virtual void put(std::span<const u8> data) = 0;
};

/// A device that takes bytes from outside (a serial port, a keyboard).
class ByteSink {
public:
    virtual ~ByteSink() = default;
    /// How many bytes it would take now; the rest waits outside.
    virtual std::size_t room() const = 0;
    virtual void receive(std::span<const u8> data) = 0;
};

/// Takes Ethernet frames: from the destination address to the last byte of payload, without preamble, padding or FCS.
class FrameSink {
public:
    virtual ~FrameSink() = default;
    virtual void receive(std::span<const u8> frame) = 0;
    /// How many bytes of frames it would take now without losing any. Whoever can wait, waits; on a wire nobody can.
    virtual std::size_t room() const { return ~std::size_t{0}; }
};

/// Writes down the frames that pass some point of the machine. `time` is in virtual nanoseconds since power on.
class FrameWitness {
public:
    virtual ~FrameWitness() = default;
    virtual void passed(u64 time, std::span<const u8> frame) = 0;
};

/// A disk image. Offsets and sizes are in bytes; results tell what the host refused. The device sees the same data and
/// the same virtual delay whatever the host does.
class BlockImage {
public:
    virtual ~BlockImage() = default;
    virtual u64 size() const = 0;
    virtual bool read_only() const = 0;
    virtual Expected<> read(u64 offset, std::span<u8> data) = 0;
    virtual Expected<> write(u64 offset, std::span<const u8> data) = 0;
    /// The range reads as zeros afterwards.
    virtual Expected<> discard(u64 offset, u64 length) = 0;
    virtual Expected<> flush() = 0;
};

} // namespace vitrine
