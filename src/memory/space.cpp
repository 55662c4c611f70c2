// SPDX-License-Identifier: Apache-2.0
// RAM as one sparse host mapping, and the platform's view of it.
#include "memory/space.h"

#include <algorithm>
#include <cstring>
#include <string>

#include <sys/mman.h>

namespace vitrine {

namespace {

u8* map_sparse(u64 size) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : static_cast<u8*>(p);
}

} // namespace

Expected<std::unique_ptr<Space>> Space::create(u64 ram_size, Glass& glass) {
    VERIFY(ram_size > 0 && is_aligned(ram_size, page_size));
    u8* ram = map_sparse(ram_size);
    if (!ram)
        return Error("the host cannot give " + std::to_string(ram_size >> 20) + " MiB of address space for --memory",
                     Status::host_short);
    return std::unique_ptr<Space>(new Space(ram_size, ram, glass));
}

Space::Space(u64 ram_size, u8* ram, Glass& glass)
    : ram_size_(ram_size), ram_(ram), flags_(map_sparse(ram_size / page_size)), glass_(glass), mmio_("mmio", glass),
      ports_("port", glass) {
    VERIFY(flags_);
}

Space::~Space() {
    munmap(ram_, ram_size_);
    munmap(flags_, ram_size_ / page_size);
}

void Space::note_write(Physical p, u64 length, Requester by) {
    const u64 first = ram_offset(p);
    DCHECK(first != ~0ull && first + length <= ram_size_);
    for (u64 page = first / page_size; page <= (first + length - 1) / page_size; ++page) {
        u8& f = flags_[page];
        if (f & page_seen) {
            const u64 from = std::max(first, page * page_size);
            const u64 to = std::min(first + length, (page + 1) * page_size);
            if ((f & page_code) && code_written_)
                code_written_(physical_of(from), to - from);
            if ((f & page_table) && table_written_)
                table_written_(physical_of(from), to - from, by);
            if ((f & page_armed) && armed_written_)
                armed_written_(physical_of(from), to - from);
        }
        if (!(f & page_dirty)) {
            f |= page_dirty | page_touched;
            dirty_.push_back(page);
        }
    }
}

void Space::set_code_page(u64 ram_page, bool holds_code) { watch_page(ram_page, page_code, holds_code); }

void Space::set_table_page(u64 ram_page, bool watched) { watch_page(ram_page, page_table, watched); }

void Space::set_armed_page(u64 ram_page, bool armed) { watch_page(ram_page, page_armed, armed); }

void Space::watch_page(u64 ram_page, PageFlag flag, bool on) {
    u8& f = flags_[ram_page];
    if (static_cast<bool>(f & flag) == on)
        return;
    f ^= flag;
    if (on && (f & page_writer)) {
        f &= static_cast<u8>(~page_writer);
        if (rights_dropped_)
            rights_dropped_(ram_page);
    }
}

std::vector<u64> Space::collect_dirty() {
    std::vector<u64> pages = std::exchange(dirty_, {});
    for (const u64 page : pages)
        flags_[page] &= static_cast<u8>(~(page_dirty | page_writer));
    if (!pages.empty() && rights_dropped_)
        rights_dropped_(~0ull);
    std::sort(pages.begin(), pages.end());
    return pages;
}

void Space::read(Physical p, std::span<u8> data, Requester by) {
    while (!data.empty()) {
        const u64 in_page = std::min<u64>(data.size(), page_size - p.page_offset());
        if (const u8* from = host(p)) {
            std::memcpy(data.data(), from, in_page);
            data = data.subspan(in_page);
            p = p + in_page;
            continue;
        }
        unsigned n = 8;
        while (n > data.size() || !is_aligned(p.value, n))
            n /= 2;
        Access a{.size = n, .write = false, .requester = by};
        mmio_.access(p.value, a);
        std::memcpy(data.data(), &a.value, n);
        data = data.subspan(n);
        p = p + n;
    }
}

void Space::write(Physical p, std::span<const u8> data, Requester by) {
    while (!data.empty()) {
        const u64 in_page = std::min<u64>(data.size(), page_size - p.page_offset());
        if (u8* to = host(p)) {
            note_write(p, in_page, by);
            std::memcpy(to, data.data(), in_page);
            data = data.subspan(in_page);
            p = p + in_page;
            continue;
        }
        unsigned n = 8;
        while (n > data.size() || !is_aligned(p.value, n))
            n /= 2;
        Access a{.size = n, .write = true, .requester = by};
        std::memcpy(&a.value, data.data(), n);
        mmio_.access(p.value, a);
        data = data.subspan(n);
        p = p + n;
    }
}

void Space::port(u16 port, Access& access) { ports_.access(port, access); }

void Space::state(Visitor& v) {
    // RAM's contents are visited page by page by the machine's snapshot and hash, which know about sparseness.
    u64 size = ram_size_;
    v.field("ram size", size);
    if (size != ram_size_)
        v.refuse("the memory size differs from the machine's");
}

} // namespace vitrine
