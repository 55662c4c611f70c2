// SPDX-License-Identifier: Apache-2.0
// A driver that means no good, and a state that was tampered with.
#include "vtd/test_fixture.h"

#include <random>

using namespace vitrine;
using namespace vitrine::vtd;

TEST_F(Vtd, HostileState) {
    testing_support::Saver saver;
    unit.state(saver);
    std::mt19937 random(1);
    for (unsigned round = 0; round < 60; ++round) {
        std::vector<u8> data = saver.data;
        for (unsigned n = 0; n < 40; ++n)
            data[random() % data.size()] = static_cast<u8>(random());
        Driver d;
        testing_support::Loader loader(data);
        d.unit.state(loader);
        for (unsigned n = 0; n < 50; ++n) {
            u64 value = 0;
            (void)d.read(random() & 0xff'f000, value, static_cast<u16>(random()));
            d.interrupt(0xfee0'0000 | (random() & 0xffffc), static_cast<u32>(random()), static_cast<u16>(random()));
            d.reg64(random() % 0x220 & ~7u, u64{random()} << 32 | random());
        }
    }
}

TEST_F(Vtd, AHostileDriver) {
    std::mt19937_64 random(2);
    const auto address = [&] { return random() % 4 ? random() % 4_MiB & ~0xfffull : random(); };
    for (unsigned round = 0; round < 40; ++round) {
        Driver d({.caching_mode = round % 2 == 1});
        for (unsigned n = 0; n < 256; ++n)
            d.mem(random() % 4_MiB & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random());
        d.mem(d.root, d.root | 1); // the root table as a context table, and as every table below
        d.mem(d.root + 8, 0);
        if (round % 3) {
            d.attach();
            d.start_translation();
            d.start_remapping(round % 2);
            d.start_queue();
        }
        for (unsigned n = 0; n < 500; ++n) {
            u64 value = random();
            switch (random() % 8) {
            case 0: d.reg64(random() % region_size & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random()); break;
            case 1: d.reg32(random() % region_size & ~3ull, static_cast<u32>(random())); break;
            case 2: (void)d.reg64(random() % region_size & ~7ull); break;
            case 3: (void)d.write(address(), value, static_cast<u16>(random() % 2 ? random() : device)); break;
            case 4: (void)d.read(address(), value, static_cast<u16>(random() % 2 ? random() : device)); break;
            case 5: d.interrupt(0xfee0'0000 | (random() & 0xf'fffc), static_cast<u32>(random()), static_cast<u16>(random())); break;
            case 6: d.invalidate(random() % 2 ? random() : random() % 64, random() % 2 ? address() : random()); break;
            case 7: d.mem(random() % 4_MiB & ~7ull, random() % 2 ? address() | (random() & 0xfff) : random()); break;
            }
        }
        (void)d.unit.describe();
        (void)d.unit.describe_walk(device, address());
        (void)d.unit.describe_interrupt(static_cast<u32>(random() & 0xffff));
    }
}
