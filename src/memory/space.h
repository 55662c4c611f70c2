// SPDX-License-Identifier: Apache-2.0
// The machine's host-physical space: RAM (sparse, one host mapping), the memory-mapped and the port bus, dirty and code pages.
#pragma once

#include "base/device.h"
#include "base/error.h"
#include "glass/glass.h"
#include "memory/bus.h"
#include "words/addresses.h"

#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace vitrine {

/// What is known about one page of RAM. Host-side bookkeeping: no bit of it is machine state.
enum PageFlag : u8 {
    page_dirty = 1,   ///< written since the dirty flags were last collected
    page_code = 2,    ///< some engine holds decoded code of it: writes must be seen
    page_writer = 8,  ///< some processor may hold the right to write it directly
    page_touched = 4, ///< ever written: untouched pages are zero and need not be saved or hashed
    page_table = 16,  ///< somebody watches it as a paging structure: writes must be seen
    page_armed = 32,  ///< a processor waits for a store to some line of it: writes must be seen
    page_seen = page_code | page_table | page_armed, ///< any of those whose writes must be seen
};

/// RAM below `low_end` at its own address, the rest from 4 GiB on; both are one run of host memory.
class Space {
public:
    /// Engines that hold code are told of writes to code pages: page number of RAM, first byte, length.
    using CodeWritten = std::function<void(Physical address, u64 length)>;
    /// Whoever watches paging structures is told of a write to them before it happens.
    using TableWritten = std::function<void(Physical address, u64 length, Requester by)>;

    /// `ram_size` is a multiple of the page size; at most `low_end` of it lies below 4 GiB.
    static Expected<std::unique_ptr<Space>> create(u64 ram_size, Glass& glass);
    ~Space();
    Space(const Space&) = delete;
    Space& operator=(const Space&) = delete;

    static constexpr u64 low_end = 0xb000'0000; ///< 2.75 GiB: ECAM, MMIO and firmware lie above
    static constexpr u64 high_start = 0x1'0000'0000;

    u64 ram_size() const { return ram_size_; }

    u64 ram_below_4g() const { return ram_size_ < low_end ? ram_size_ : low_end; }

    u64 ram_above_4g() const { return ram_size_ - ram_below_4g(); }

    /// Offset into RAM of a physical address; all ones where there is no RAM.
    u64 ram_offset(Physical p) const {
        if (p.value < ram_below_4g())
            return p.value;
        const u64 high = p.value - high_start;
        return p.value >= high_start && high < ram_above_4g() ? high + low_end : ~0ull;
    }

    Physical physical_of(u64 offset) const { return Physical{offset < low_end ? offset : offset - low_end + high_start}; }

    /// Host address of the page of RAM that holds `p`, at p's offset; null where there is no RAM.
    u8* host(Physical p) const {
        const u64 offset = ram_offset(p);
        return offset == ~0ull ? nullptr : ram_ + offset;
    }

    u8* ram() const { return ram_; }

    u8& flags(u64 ram_page) { return flags_[ram_page]; }

    u64 ram_pages() const { return ram_size_ / page_size; }

    /// Whether writes to the page may go straight to host memory.
    bool direct_write(Physical p) const {
        const u64 offset = ram_offset(p);
        return offset != ~0ull && (flags_[offset / page_size] & (page_dirty | page_touched | page_seen)) == (page_dirty | page_touched);
    }

    /// Marks a page of RAM as written, telling engines if it holds code. Every writer of RAM calls this first.
    void note_write(Physical p, u64 length, Requester by);

    /// Reads and writes memory as the platform sees it: RAM or devices, any length, any alignment. For processors' slow paths
    /// and for plain DMA. Device accesses are split into naturally aligned pieces of at most 8 bytes.
    void read(Physical p, std::span<u8> data, Requester by);
    void write(Physical p, std::span<const u8> data, Requester by);

    template <class T> T read(Physical p, Requester by) {
        T value{};
        read(p, std::span<u8>(reinterpret_cast<u8*>(&value), sizeof value), by);
        return value;
    }

    template <class T>
        requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                 !std::is_convertible_v<T, std::span<const u8>>) // bytes are written as bytes
    void write(Physical p, T value, Requester by) {
        write(p, std::span<const u8>(reinterpret_cast<const u8*>(&value), sizeof value), by);
    }

    /// One access to the port space, 1, 2 or 4 bytes.
    void port(u16 port, Access& access);

    Bus& mmio() { return mmio_; }

    Bus& ports() { return ports_; }

    Glass& glass() { return glass_; }

    void set_code_written(CodeWritten told) { code_written_ = std::move(told); }

    /// Engines mark pages whose code they hold. `changed` listeners must drop direct-write rights to the page at once.
    void set_code_page(u64 ram_page, bool holds_code);

    void set_table_written(TableWritten told) { table_written_ = std::move(told); }

    /// The same for pages that are watched as paging structures.
    void set_table_page(u64 ram_page, bool watched);

    /// Whoever waits for stores is told of those to pages with armed lines, before they happen.
    void set_armed_written(CodeWritten told) { armed_written_ = std::move(told); }

    void set_armed_page(u64 ram_page, bool armed);

    /// Called when a page loses the right to be written directly (it became a code page); all ones: every page (dirty flags
    /// were collected). Pages that nobody marked `page_writer` are not told.
    void set_write_rights_dropped(std::function<void(u64 ram_page)> told) { rights_dropped_ = std::move(told); }

    /// RAM pages written since the last call, ascending; clears their dirty flags.
    std::vector<u64> collect_dirty();

    void state(Visitor& v);

private:
    Space(u64 ram_size, u8* ram, Glass& glass);
    void watch_page(u64 ram_page, PageFlag flag, bool on);

    u64 ram_size_;
    u8* ram_;
    u8* flags_; ///< one per page, mapped sparsely
    Glass& glass_;
    Bus mmio_, ports_;
    CodeWritten code_written_, armed_written_;
    TableWritten table_written_;
    std::function<void(u64)> rights_dropped_;
    std::vector<u64> dirty_; ///< pages in the order they became dirty
};

} // namespace vitrine
