// SPDX-License-Identifier: Apache-2.0
// The assigner: measures each bus from the leaves upward, places it from the root downward.
#include "pci/assign.h"

#include <algorithm>
#include <memory>
#include <string>

namespace vitrine::pci {

namespace {

/// The kinds of address space that a bridge has windows for.
enum class Kind : u8 { io, memory, high, count };

constexpr u64 window_grain(Kind kind) {
    return kind == Kind::io ? 4096 : 1_MiB;
}

struct Item {
    u64 size = 0, alignment = 1;
    std::function<Expected<>(u64 base)> place;
};

/// All wishes of one bus in one kind of space.
using Pool = std::vector<Item>;

struct Level {
    std::array<Pool, 3> pools;
};

class Assigner {
public:
    Assigner(RootComplex& root, const AddressSpace& space) : root_(root), space_(space) {}

    Expected<Assigned> run() {
        unsigned next = 0;
        TRY(number(root_.bus(), next));
        done_.last_bus = static_cast<u8>(next);
        Level top = measure(root_.bus());
        TRY(give(top.pools[0], space_.io, done_.io, "I/O ports"));
        TRY(give(top.pools[1], space_.memory_32, done_.memory_32, "32-bit memory space"));
        TRY(give(top.pools[2], space_.memory_64, done_.memory_64, "64-bit memory space"));
        enable();
        return done_;
    }

private:
    Expected<> number(const PciBus& bus, unsigned& next) {
        const unsigned own = next;
        unsigned extra = 0;
        for (const Function* f : bus.functions())
            extra = std::max(extra, f->extra_buses());
        next += extra;
        for (Function* f : bus.functions()) {
            Bridge* b = f->as_bridge();
            if (!b)
                continue;
            if (++next > 255)
                return Error("more PCI buses than the 256 that there are numbers for");
            ConfigSpace& c = b->config();
            c.write(primary_bus, 1, own);
            c.write(secondary_bus, 1, next);
            c.write(subordinate_bus, 1, 255);
            TRY(number(b->secondary(), next));
            c.write(subordinate_bus, 1, next);
        }
        return {};
    }

    static Kind kind_of(BarKind kind, u64 size, bool below_bridge) {
        if (kind == BarKind::io)
            return Kind::io;
        // Only prefetchable windows reach above 4 GiB; on the root bus anything 64 bits wide and big may lie there.
        if (kind == BarKind::memory_64_prefetchable || (kind == BarKind::memory_64 && !below_bridge && size >= 256_MiB))
            return Kind::high;
        return Kind::memory;
    }

    Level measure(PciBus& bus) {
        Level level;
        for (Function* f : bus.functions()) {
            for (Wish& w : f->wishes())
                level.pools[static_cast<unsigned>(kind_of(w.kind, w.size, bus.bridge() != nullptr))].push_back(
                    {w.size, std::max(w.alignment, u64{1}), [grant = std::move(w.grant)](u64 base) -> Expected<> {
                         grant(base);
                         return {};
                     }});
            if (Bridge* b = f->as_bridge())
                windows(*b, level);
        }
        return level;
    }

    /// A bridge wishes for the sum of what is below it.
    void windows(Bridge& bridge, Level& level) {
        auto below = std::make_shared<Level>(measure(bridge.secondary()));
        windows_.push_back({&bridge, {}});
        const std::size_t at = windows_.size() - 1;
        for (unsigned k = 0; k < 3; ++k) {
            Pool& pool = below->pools[k];
            if (pool.empty())
                continue;
            sort(pool);
            u64 end = 0, alignment = window_grain(static_cast<Kind>(k));
            for (const Item& item : pool) {
                end = align_up(end, item.alignment) + item.size;
                alignment = std::max(alignment, item.alignment);
            }
            const u64 size = align_up(end, window_grain(static_cast<Kind>(k)));
            level.pools[k].push_back({size, alignment, [this, below, at, k, size](u64 base) -> Expected<> {
                                          windows_[at].second[k] = {base, base + size - 1};
                                          for (Item& item : below->pools[k]) {
                                              base = align_up(base, item.alignment);
                                              TRY(item.place(base));
                                              base += item.size;
                                          }
                                          return {};
                                      }});
        }
    }

    static void sort(Pool& pool) {
        std::stable_sort(pool.begin(), pool.end(),
                         [](const Item& a, const Item& b) { return a.alignment > b.alignment; });
    }

    Expected<> give(Pool& pool, AddressRange from, AddressRange& used, const char* what) {
        sort(pool);
        u64 next = from.base;
        for (Item& item : pool) {
            u64 base = align_up(next, item.alignment);
            for (bool moved = true; moved;) {
                moved = false;
                for (const AddressRange& t : space_.taken)
                    if (base <= t.limit && base + item.size - 1 >= t.base) {
                        base = align_up(t.limit + 1, item.alignment);
                        moved = true;
                    }
            }
            if (from.size() == 0 || base < next || base > from.limit || item.size - 1 > from.limit - base)
                return Error("the PCI devices ask for more " + std::string(what) + " than the machine has");
            TRY(item.place(base));
            used.base = std::min(used.base, base);
            next = base + item.size;
            used.limit = std::max(used.limit, next - 1);
        }
        return {};
    }

    void enable() {
        for (auto& [bridge, w] : windows_)
            bridge->set_windows(w[0], w[1], w[2]);
        root_.bus().for_each([](Function& f) {
            u64 value = f.config().get(command) | command.io_space.mask() | command.memory_space.mask();
            if (f.as_bridge())
                value |= command.bus_master.mask();
            f.config_write(command_offset, 2, static_cast<u32>(value));
        });
    }

    RootComplex& root_;
    const AddressSpace& space_;
    Assigned done_;
    std::vector<std::pair<Bridge*, std::array<Bridge::Window, 3>>> windows_;
};

/// The PIRQ that a function's pin reaches: rotated at each bridge, then routed.
unsigned pirq_of(const RootComplex& root, const Function& f) {
    unsigned pin = (f.pin() - 1u) & 3;
    const Function* at = &f;
    for (; at->bus()->bridge(); at = at->bus()->bridge())
        pin = (pin + (at->devfn() >> 3)) & 3;
    return root.route(at->devfn() >> 3)[pin];
}

} // namespace

Expected<Assigned> assign(RootComplex& root, const AddressSpace& space,
                          const std::array<u8, RootComplex::pirq_count>& irq_of_pirq) {
    Assigned done = TRY(Assigner(root, space).run());
    root.bus().for_each([&](Function& f) {
        if (f.pin())
            f.config_write(interrupt_line, 1, irq_of_pirq[pirq_of(root, f)]);
    });
    return done;
}

} // namespace vitrine::pci
