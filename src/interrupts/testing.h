// SPDX-License-Identifier: Apache-2.0
// For tests only: a processor's pins, a line and a message sink that remember, random accesses.
#pragma once

#include "base/clock.h"
#include "base/saved_state.h"
#include "interrupts/line.h"
#include "interrupts/msi.h"
#include "memory/bus.h"
#include "memory/space.h"
#include "x86/pins.h"

#include <random>
#include <string>
#include <vector>

namespace vitrine::testing_support {

class FakePins : public Pins {
public:
    bool interrupt = false;
    std::string events; ///< I and i for the interrupt level's changes, N, S, R (INIT), and P with the SIPI vector

    void set_interrupt(bool pending) override {
        interrupt = pending;
        events += pending ? 'I' : 'i';
    }

    void nmi() override { events += 'N'; }

    void smi() override { events += 'S'; }

    void init() override { events += 'R'; }

    void sipi(u8 vector) override { events += 'P' + std::to_string(vector); }
};

/// A line's far end.
struct FakeLine {
    bool level = false;
    int rises = 0;

    Line line() {
        return Line([this](bool l) {
            rises += l && !level;
            level = l;
        });
    }
};

struct FakeMsi : MsiSink {
    struct Message {
        u16 requester;
        u64 address;
        u32 data;
        bool operator==(const Message&) const = default;
    };

    std::vector<Message> messages;

    void message(Requester requester, u64 address, u32 data) override {
        messages.push_back({requester.id, address, data});
    }
};

inline u64 in(Bus& bus, u64 address, unsigned size = 1) {
    Access a{.size = size};
    bus.access(address, a);
    return a.value;
}

inline void out(Bus& bus, u64 address, u64 value, unsigned size = 1) {
    Access a{.size = size, .write = true, .value = value};
    bus.access(address, a);
}

/// Moves time to `t`, firing each event at its instant.
inline void run_to(Clock& clock, u64 t) {
    while (clock.next_due() <= t) {
        if (clock.next_due() > clock.now())
            clock.advance_to(clock.next_due());
        clock.fire();
    }
    clock.advance_to(t);
}

/// Random accesses to every mapped region, of every size the bus lets through; time passes now and then.
inline void fuzz(Bus& bus, Clock& clock, unsigned seed, unsigned rounds) {
    std::mt19937_64 random(seed);
    for (unsigned i = 0; i < rounds; ++i) {
        const auto& regions = bus.regions();
        if (regions.empty())
            return;
        const Region& region = *regions[random() % regions.size()];
        Access a{.size = 1u << (random() % 4), .write = random() % 4 != 0, .value = random()};
        if (random() % 3 == 0)
            a.value &= 0xff;
        bus.access(region.base + random() % region.size, a);
        if (random() % 16 == 0) {
            // A hostile device program may make an event each tick: a bounded number of them is enough here.
            u64 t = clock.now() + (1ull << (random() % 24));
            for (unsigned n = 0; n < 50 && clock.next_due() <= t; ++n) {
                clock.advance_to(std::max(clock.now(), clock.next_due()));
                clock.fire();
            }
            clock.advance_to(std::min(t, std::max(clock.now(), clock.next_due())));
        }
    }
}

} // namespace vitrine::testing_support
