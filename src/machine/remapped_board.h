// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: a small board whose devices stand behind VT-d, under a hypervisor that gives all of them one window of memory and
// takes parts of it away again. Nothing outside the window may change.
#pragma once

#include "base/choices.h"
#include "pci/root.h"
#include "vtd/test_driver.h"

#include <algorithm>
#include <string>
#include <vector>

namespace vitrine::machine {

struct RemappedBoard {
    static constexpr u64 ram = 16_MiB, window = 2_MiB, window_end = 12_MiB, page = 2_MiB;
    static constexpr u32 interrupts_given = 16;

    RemappedBoard() {
        for (u32 source = 0; source < 0x200; ++source) // buses 0 and 1
            vtd.attach(vtd::Driver::domain, 4, static_cast<u16>(source));
        for (u64 at = window; at < window_end; at += page)
            vtd.map(at, at, 3, 2);
        for (u32 n = 0; n < interrupts_given; ++n)
            vtd.set_irte(n, 1 | u64{0x40 + n} << 16);
        vtd.start_queue();
        vtd.start_translation();
        vtd.start_remapping();
        std::vector<u8> pattern(ram - window_end);
        for (std::size_t n = 0; n < pattern.size(); ++n)
            pattern[n] = pattern_at(n);
        space->write(Physical{window_end}, pattern, Requester::from_cpu(0));
    }

    u32 read32(u64 address) { return space->read<u32>(Physical{address}, Requester::from_cpu(0)); }
    u64 read64(u64 address) { return space->read<u64>(Physical{address}, Requester::from_cpu(0)); }
    void write32(u64 address, u32 value) { space->write<u32>(Physical{address}, value, Requester::from_cpu(0)); }
    void write64(u64 address, u64 value) { space->write<u64>(Physical{address}, value, Requester::from_cpu(0)); }

    void pass(u64 nanoseconds) {
        const u64 end = clock.now() + nanoseconds;
        while (clock.next_due() <= end) {
            clock.advance_to(std::max(clock.next_due(), clock.now()));
            clock.fire();
        }
        clock.advance_to(end);
    }

    /// What the hypervisor does meanwhile: a page of the window, or a source's whole table, goes or comes back.
    void act(Choices& choices) {
        using vtd::Driver;
        const u64 at = window + choices.below((window_end - window) / page) * page;
        switch (choices.below(4)) {
        case 0: vtd.map(at, at, choices.below(4), 2); break;
        case 1: vtd.mem(Driver::contexts + 16 * choices.below(256), choices.below(2) ? 0 : Driver::tables | 1); break;
        default: // all is well again
            for (u64 page_at = window; page_at < window_end; page_at += page)
                vtd.map(page_at, page_at, 3, 2);
            for (u32 n = 0; n < 256; ++n)
                vtd.mem(Driver::contexts + 16 * n, Driver::tables | 1);
        }
        vtd.invalidate(Driver::all_contexts);
        vtd.invalidate(Driver::all_pages);
        (void)vtd.take_fault();
    }

    /// Empty while nothing outside the window has changed.
    std::string check() {
        // Often asked: a part each time.
        constexpr u64 part = 64_KiB;
        std::vector<u8> now(part);
        const u64 at = checked_++ * part % (ram - window_end);
        space->read(Physical{window_end + at}, now, Requester::from_cpu(0));
        for (u64 n = 0; n < part; ++n)
            if (now[n] != pattern_at(at + n))
                return "a device has written where it has no memory";
        if ((vtd.mem(vtd::Driver::root) & ~0xfffull) != vtd::Driver::contexts)
            return "a device has written to the tables of the remapping unit";
        return {};
    }

    vtd::Driver vtd{vtd::Options{}, nullptr, ram};
    Glass& glass = vtd.glass;
    Clock& clock = vtd.clock;
    std::unique_ptr<Space>& space = vtd.space;
    pci::Platform platform{space->mmio(), space->ports(), vtd.unit, vtd.unit, glass};
    pci::RootComplex root{platform};

private:
    static u8 pattern_at(u64 n) { return static_cast<u8>(n * 7 + (n >> 8)); }

    u64 checked_ = 0;
};

} // namespace vitrine::machine
