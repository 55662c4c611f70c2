// SPDX-License-Identifier: Apache-2.0
// Tests of the local APIC: modes, priorities, EOI, local vector table, timer, errors, the x2APIC MSRs against the
// register table.
#include "interrupts/local_apic.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;
using namespace vitrine::apic;

namespace {

struct FakeBus : ApicBus {
    struct Ipi {
        unsigned from;
        InterruptMessage message;
        Shorthand shorthand;
    };

    std::vector<Ipi> ipis;
    std::vector<u8> eois;
    u8 ext_int_vector = 0x20;

    void ipi(unsigned from, const InterruptMessage& message, Shorthand shorthand) override {
        ipis.push_back({from, message, shorthand});
    }

    void broadcast_eoi(u8 vector) override { eois.push_back(vector); }

    u8 acknowledge_ext_int() override { return ext_int_vector; }
};

struct LocalApicTest : ::testing::Test {
    Clock clock;
    Glass glass;
    FakeBus bus;
    FakePins pins;
    LocalApic apic{clock, glass, bus, {.processor = 1, .id = 0x123, .bootstrap = true}};

    LocalApicTest() { apic.connect(pins); }

    u32 get(u16 offset) {
        Access a{.offset = offset, .size = 4};
        apic.access(a);
        return static_cast<u32>(a.value);
    }

    void set(u16 offset, u32 value) {
        Access a{.offset = offset, .size = 4, .write = true, .value = value};
        apic.access(a);
    }

    void enable() { set(spurious_vector, 0x1ff); }

    void x2apic() { ASSERT_TRUE(apic.set_base(0xfee0'0d00)); }

    void fixed(u8 vector, bool level = false) {
        InterruptMessage m;
        m.vector = vector;
        m.level = level;
        apic.accept(m);
    }

    u64 msr(u32 index) {
        u64 value = 0;
        EXPECT_TRUE(apic.read_msr(index, value)) << std::hex << index;
        return value;
    }
};

} // namespace

TEST_F(LocalApicTest, AfterPowerOn) {
    EXPECT_EQ(apic.base(), 0xfee0'0900u);
    EXPECT_EQ(get(version), 0x0106'0014u);
    EXPECT_EQ(get(apic::id), 0x2300'0000u);
    EXPECT_EQ(get(spurious_vector), 0xffu);
    EXPECT_EQ(get(destination_format), 0xffff'ffffu);
    for (const u16 entry : {lvt_cmci, lvt_timer, lvt_thermal, lvt_performance, lvt_lint0, lvt_lint1, lvt_error})
        EXPECT_EQ(get(entry), 0x1'0000u);
    EXPECT_TRUE(apic.covers(Physical{0xfee0'0320}));
    EXPECT_FALSE(apic.covers(Physical{0xfee0'1000}));
}

TEST_F(LocalApicTest, TransitionsOfTheModes) {
    struct {
        u64 from, to;
        bool legal;
    } const cases[] = {{0x900, 0x500, false}, {0x900, 0xd00, true}, {0xd00, 0x900, false},
                       {0xd00, 0x500, false}, {0xd00, 0x100, true}, {0x100, 0xd00, false},
                       {0x100, 0x500, false}, {0x100, 0x900, true}, {0x900, 0x100, true}};

    u64 at = 0x900;
    for (const auto& c : cases) {
        ASSERT_EQ(at, c.from);
        EXPECT_EQ(apic.set_base(0xfee0'0000 | c.to), c.legal) << std::hex << c.from << " to " << c.to;
        if (c.legal)
            at = c.to;
        EXPECT_EQ(apic.base(), 0xfee0'0000 | at);
    }
    apic.reset(Reset::cold);
    EXPECT_FALSE(apic.set_base(apic.base() | 1));
    EXPECT_FALSE(apic.set_base(apic.base() | 0x200));
    EXPECT_FALSE(apic.set_base(apic.base() | 1ull << 46));
    EXPECT_TRUE(apic.set_base(0x3fff'fee0'0900));
    EXPECT_TRUE(apic.covers(Physical{0x3fff'fee0'0000}));
    LocalApic old(clock, glass, bus, {.x2apic = false, .tsc_deadline = false});
    EXPECT_FALSE(old.set_base(0xfee0'0d00));
    u64 value;
    EXPECT_FALSE(old.read_msr(tsc_deadline_msr, value));
}

TEST_F(LocalApicTest, DisabledItHasNoPageButKeepsCr8) {
    enable();
    apic.set_cr8(5);
    fixed(0x80);
    EXPECT_TRUE(pins.interrupt);
    EXPECT_TRUE(apic.set_base(0xfee0'0100));
    EXPECT_FALSE(pins.interrupt);
    EXPECT_FALSE(apic.covers(Physical{0xfee0'0000}));
    EXPECT_EQ(apic.cr8(), 5);
    apic.set_cr8(10);
    EXPECT_TRUE(apic.set_base(0xfee0'0900));
    EXPECT_EQ(get(task_priority), 0xa0u);
}

TEST_F(LocalApicTest, PrioritiesAndEoi) {
    enable();
    fixed(0x41);
    EXPECT_TRUE(pins.interrupt);
    EXPECT_EQ(apic.acknowledge(), 0x41);
    EXPECT_FALSE(pins.interrupt);
    EXPECT_EQ(get(apic::processor_priority), 0x40u);
    fixed(0x4f); // same class: waits
    EXPECT_FALSE(pins.interrupt);
    fixed(0x51);
    EXPECT_TRUE(pins.interrupt);
    EXPECT_EQ(apic.acknowledge(), 0x51);
    EXPECT_EQ(get(in_service + 0x20), 0x2'0002u); // 41h and 51h
    set(eoi, 0);
    EXPECT_FALSE(apic.is_in_service(0x51));
    EXPECT_FALSE(pins.interrupt);
    set(eoi, 0);
    EXPECT_TRUE(pins.interrupt);
    set(task_priority, 0x40);
    EXPECT_FALSE(pins.interrupt);
    EXPECT_EQ(apic.acknowledge(), 0xff) << "withdrawn: the spurious vector";
    EXPECT_FALSE(apic.is_in_service(0xff));
    apic.set_cr8(3);
    EXPECT_EQ(get(task_priority), 0x30u);
    EXPECT_EQ(apic.acknowledge(), 0x4f);
    EXPECT_TRUE(bus.eois.empty());
}

TEST_F(LocalApicTest, LevelsAreBroadcastUnlessSuppressed) {
    enable();
    fixed(0x99, true);
    EXPECT_EQ(get(trigger_mode + 0x40) >> (0x99 % 32) & 1, 1u);
    apic.acknowledge();
    set(eoi, 0);
    EXPECT_EQ(bus.eois, std::vector<u8>{0x99});
    fixed(0x99, false);
    EXPECT_EQ(get(trigger_mode + 0x40), 0u);
    apic.acknowledge();
    set(eoi, 0);
    set(spurious_vector, 0x11ff);
    fixed(0x99, true);
    apic.acknowledge();
    set(eoi, 0);
    EXPECT_EQ(bus.eois.size(), 1u);
}

TEST_F(LocalApicTest, SoftwareDisabledItKeepsEntriesMaskedAndDropsFixed) {
    set(lvt_error, 0x33);
    EXPECT_EQ(get(lvt_error), 0x1'0033u);
    fixed(0x55);
    EXPECT_FALSE(pins.interrupt);
    InterruptMessage m;
    m.mode = DeliveryMode::nmi;
    apic.accept(m);
    m.mode = DeliveryMode::start_up;
    m.vector = 9;
    apic.accept(m);
    EXPECT_EQ(pins.events, "iNP9");
    enable();
    set(lvt_error, 0x33);
    EXPECT_EQ(get(lvt_error), 0x33u);
    set(spurious_vector, 0xff);
    EXPECT_EQ(get(lvt_error), 0x1'0033u);
}

TEST_F(LocalApicTest, DestinationsInXapicMode) {
    InterruptMessage m;
    const auto to = [&](u32 destination, bool logical, bool wide = false) {
        m.destination = destination;
        m.logical = logical;
        m.wide = wide;
        return apic.is_destination(m);
    };
    EXPECT_TRUE(to(0x23, false));
    EXPECT_FALSE(to(0x22, false));
    EXPECT_TRUE(to(0xff, false));
    EXPECT_FALSE(to(0xff, false, true)) << "FFh is an ordinary id among 32-bit ones";
    EXPECT_TRUE(to(0xffff'ffff, false, true));
    set(logical_destination, 0x0400'0000);
    EXPECT_TRUE(to(0x0c, true));
    EXPECT_FALSE(to(0x0b, true));
    set(destination_format, 0x0fff'ffff); // cluster
    set(logical_destination, 0x5200'0000);
    EXPECT_TRUE(to(0x52, true));
    EXPECT_TRUE(to(0x5f, true));
    EXPECT_FALSE(to(0x51, true));
    EXPECT_FALSE(to(0x62, true));
    EXPECT_TRUE(to(0xff, true));
    ASSERT_TRUE(apic.set_base(0xfee0'0100));
    EXPECT_FALSE(to(0xff, true));
}

TEST_F(LocalApicTest, DestinationsInX2apicMode) {
    x2apic();
    EXPECT_EQ(msr(0x802), 0x123u);
    EXPECT_EQ(msr(0x80d), 0x0012'0008u);
    InterruptMessage m;
    m.wide = true;
    m.destination = 0x123;
    EXPECT_TRUE(apic.is_destination(m));
    m.logical = true;
    m.destination = 0x0012'000c;
    EXPECT_TRUE(apic.is_destination(m));
    m.destination = 0x0011'0008;
    EXPECT_FALSE(apic.is_destination(m));
    m.destination = 0xffff'ffff;
    EXPECT_TRUE(apic.is_destination(m));
}

TEST_F(LocalApicTest, IpisFromTheCommandRegister) {
    enable();
    set(interrupt_command_high, 0x0700'0000);
    set(interrupt_command, 0x0000'4831); // logical fixed
    ASSERT_EQ(bus.ipis.size(), 1u);
    EXPECT_EQ(bus.ipis[0].message.destination, 7u);
    EXPECT_TRUE(bus.ipis[0].message.logical);
    EXPECT_FALSE(bus.ipis[0].message.wide);
    EXPECT_EQ(bus.ipis[0].message.vector, 0x31);
    set(interrupt_command, 0x000c'4500);
    EXPECT_EQ(bus.ipis[1].shorthand, Shorthand::all_excluding_self);
    EXPECT_EQ(bus.ipis[1].message.mode, DeliveryMode::init);
    set(interrupt_command, 0x0008'8500); // INIT level de-assert
    set(interrupt_command, 0x0000'4300); // reserved
    EXPECT_EQ(bus.ipis.size(), 2u);
    set(interrupt_command, 0x0000'400f);
    EXPECT_EQ(bus.ipis.size(), 2u);
    set(error_status, 0);
    EXPECT_EQ(get(error_status), 0x20u);
    x2apic();
    ASSERT_TRUE(apic.write_msr(0x830, 0x0001'0203'0000'4044));
    EXPECT_EQ(bus.ipis[2].message.destination, 0x1'0203u);
    EXPECT_TRUE(bus.ipis[2].message.wide);
    EXPECT_EQ(msr(0x830), 0x0001'0203'0000'4044u);
    ASSERT_TRUE(apic.write_msr(0x83f, 0x66));
    EXPECT_EQ(bus.ipis[3].shorthand, Shorthand::self);
    EXPECT_FALSE(apic.write_msr(0x83f, 0x166));
}

TEST_F(LocalApicTest, EveryMsrFollowsItsRow) {
    u64 value = 0;
    for (u32 m = x2apic_first_msr; m <= x2apic_last_msr; ++m) {
        EXPECT_FALSE(apic.read_msr(m, value));
        EXPECT_FALSE(apic.write_msr(m, 0));
    }
    x2apic();
    enable();
    for (u32 m = x2apic_first_msr; m <= x2apic_last_msr; ++m) {
        const auto offset = static_cast<u16>((m - x2apic_first_msr) << 4);
        const RegisterRow* row = find(offset);
        const bool words = offset >= in_service && offset < error_status;
        SCOPED_TRACE(::testing::Message() << std::hex << m);
        EXPECT_EQ(apic.read_msr(m, value), words || (row && row->x2apic_read));
        EXPECT_EQ(apic.write_msr(m, 0), row && row->x2apic_write);
        if (!row || !row->x2apic_write)
            continue;
        const u64 allowed =
            row->writable | row->status | (offset == interrupt_command ? icr.x2apic_destination.mask() : 0);
        for (unsigned b = 0; b < 64; ++b) {
            if (!(allowed >> b & 1)) {
                EXPECT_FALSE(apic.write_msr(m, bit(b))) << b;
            }
        }
        const bool plain = offset != interrupt_command && offset != self_ipi && row->x2apic_read && row->writable;
        if (plain && apic.write_msr(0x80f, 0x1ff) && apic.write_msr(m, row->writable | row->status)) {
            ASSERT_TRUE(apic.read_msr(m, value));
            EXPECT_EQ(value, row->writable);
        }
        apic.write_msr(m, 0);
        apic.write_msr(0x80f, 0x1ff);
    }
}

TEST_F(LocalApicTest, TheXapicPageRefusesOddAccesses) {
    enable();
    Access narrow{.offset = task_priority, .size = 1, .write = true, .value = 0x50};
    apic.access(narrow);
    EXPECT_EQ(get(task_priority), 0u);
    Access byte{.offset = version + 2u, .size = 1};
    apic.access(byte);
    EXPECT_EQ(byte.value, 6u);
    EXPECT_EQ(get(version + 4), 0u);
    set(lvt_error, 0xfe);
    get(0x40); // reserved
    EXPECT_TRUE(apic.is_requested(0xfe));
    set(error_status, 0);
    EXPECT_EQ(get(error_status), 0x80u);
    set(error_status, 0);
    EXPECT_EQ(get(error_status), 0u);
}

TEST_F(LocalApicTest, OneShotTimer) {
    enable();
    clock.advance_to(100);
    set(lvt_timer, 0x40);
    set(divide_configuration, 0xb); // by 1
    set(initial_count, 1000);
    EXPECT_EQ(get(current_count), 1000u);
    run_to(clock, 600);
    EXPECT_EQ(get(current_count), 500u);
    run_to(clock, 1099);
    EXPECT_EQ(get(current_count), 1u);
    EXPECT_FALSE(pins.interrupt);
    run_to(clock, 1100);
    EXPECT_TRUE(pins.interrupt);
    EXPECT_EQ(get(current_count), 0u);
    EXPECT_EQ(apic.acknowledge(), 0x40);
    set(eoi, 0);
    run_to(clock, 10000);
    EXPECT_FALSE(pins.interrupt);
}

TEST_F(LocalApicTest, EveryDivisor) {
    enable();

    const struct {
        u8 code;
        u64 by;
    } codes[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};

    set(lvt_timer, 0x1'0040);
    for (const auto& c : codes) {
        set(divide_configuration, c.code);
        EXPECT_EQ(get(divide_configuration), c.code);
        set(initial_count, 10);
        const u64 start = clock.now();
        run_to(clock, start + 3 * c.by);
        EXPECT_EQ(get(current_count), 7u) << c.by;
        run_to(clock, start + 10 * c.by - 1);
        EXPECT_EQ(get(current_count), 1u);
        run_to(clock, start + 10 * c.by);
        EXPECT_EQ(get(current_count), 0u);
    }
}

TEST_F(LocalApicTest, PeriodicTimerKeepsItsPhaseMaskedOrNot) {
    enable();
    set(lvt_timer, 0x2'0050);
    set(divide_configuration, 0); // by 2
    set(initial_count, 100);
    for (u64 n = 1; n < 5; ++n) {
        run_to(clock, 200 * n - 1);
        EXPECT_FALSE(pins.interrupt);
        run_to(clock, 200 * n);
        EXPECT_TRUE(pins.interrupt);
        EXPECT_EQ(get(current_count), 100u);
        EXPECT_EQ(apic.acknowledge(), 0x50);
        set(eoi, 0);
    }
    set(lvt_timer, 0x3'0050);
    EXPECT_EQ(clock.next_due(), never) << "nothing is scheduled for a masked timer";
    clock.advance_to(1130);
    EXPECT_EQ(get(current_count), 35u);
    set(lvt_timer, 0x2'0050);
    EXPECT_EQ(clock.next_due(), 1200u);
}

TEST_F(LocalApicTest, ChangingBetweenOneShotAndPeriodicLetsTheCountRunOn) {
    enable();
    set(divide_configuration, 0xb);
    set(lvt_timer, 0x1'0050);
    set(initial_count, 1000);
    clock.advance_to(600);
    set(lvt_timer, 0x3'0050);
    EXPECT_EQ(get(initial_count), 1000u);
    EXPECT_EQ(get(current_count), 400u);
    clock.advance_to(1300);
    EXPECT_EQ(get(current_count), 700u);
    set(lvt_timer, 0x1'0050);
    EXPECT_EQ(get(current_count), 700u);
    clock.advance_to(2500);
    EXPECT_EQ(get(current_count), 0u);
    set(lvt_timer, 0x3'0050);
    EXPECT_EQ(get(current_count), 0u) << "a count that has ended does not start again";
}

TEST_F(LocalApicTest, TscDeadline) {
    enable();
    apic.tsc_offset_changed(5000);
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 6000));
    EXPECT_EQ(msr(tsc_deadline_msr), 0u) << "ignored in another mode";
    set(lvt_timer, 0x4'00ef);
    set(initial_count, 77);
    EXPECT_EQ(get(current_count), 0u);
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 6000));
    EXPECT_EQ(clock.next_due(), 1000u);
    apic.tsc_offset_changed(5500);
    EXPECT_EQ(clock.next_due(), 500u);
    EXPECT_EQ(msr(tsc_deadline_msr), 6000u);
    run_to(clock, 500);
    EXPECT_TRUE(pins.interrupt);
    EXPECT_EQ(msr(tsc_deadline_msr), 0u);
    EXPECT_EQ(apic.acknowledge(), 0xef);
    set(eoi, 0);
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 5900)); // TSC is 6000
    EXPECT_TRUE(pins.interrupt) << "in the past: at once";
    apic.acknowledge();
    set(eoi, 0);
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 7000));
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 0));
    EXPECT_EQ(clock.next_due(), never);
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, ~0ull));
    ASSERT_TRUE(apic.write_msr(tsc_deadline_msr, 7000));
    set(lvt_timer, 0xef); // leaving the mode disarms
    EXPECT_EQ(clock.next_due(), never);
    EXPECT_EQ(msr(tsc_deadline_msr), 0u);
}

TEST_F(LocalApicTest, ExtIntThroughLint0) {
    apic.set_lint(0, true);
    EXPECT_FALSE(pins.interrupt);
    enable();
    set(lvt_lint0, 0x700);
    EXPECT_TRUE(pins.interrupt);
    bus.ext_int_vector = 0x28;
    EXPECT_EQ(apic.acknowledge(), 0x28);
    EXPECT_FALSE(apic.is_in_service(0x28));
    apic.set_lint(0, false);
    EXPECT_FALSE(pins.interrupt);
    ASSERT_TRUE(apic.set_base(0xfee0'0100));
    apic.set_lint(0, true);
    EXPECT_TRUE(pins.interrupt) << "without an APIC the pin is INTR";
}

TEST_F(LocalApicTest, LintsAndOtherLocalSources) {
    enable();
    set(lvt_lint1, 0x400);
    apic.set_lint(1, true);
    apic.set_lint(1, true);
    apic.set_lint(1, false);
    EXPECT_EQ(std::count(pins.events.begin(), pins.events.end(), 'N'), 1);
    set(lvt_lint0, 0x8061); // fixed, level
    apic.set_lint(0, true);
    EXPECT_EQ(get(lvt_lint0), 0xc061u);
    EXPECT_EQ(apic.acknowledge(), 0x61);
    set(eoi, 0);
    EXPECT_EQ(apic.acknowledge(), 0x61) << "still high";
    apic.set_lint(0, false);
    set(eoi, 0);
    EXPECT_FALSE(pins.interrupt);
    EXPECT_EQ(get(lvt_lint0), 0x8061u);
    set(lvt_performance, 0x72);
    apic.raise(lvt_performance);
    EXPECT_TRUE(apic.is_requested(0x72));
    EXPECT_EQ(get(lvt_performance), 0x1'0072u);
    set(lvt_thermal, 0x200);
    apic.raise(lvt_thermal);
    EXPECT_EQ(pins.events.back(), 'S');
}

TEST_F(LocalApicTest, InitKeepsIdAndBaseColdResetDoesNot) {
    enable();
    set(apic::id, 0x4400'0000);
    fixed(0x66);
    ASSERT_TRUE(apic.set_base(0xfed4'0900));
    apic.reset(Reset::init);
    EXPECT_EQ(get(apic::id), 0x4400'0000u);
    EXPECT_EQ(apic.base(), 0xfed4'0900u);
    EXPECT_EQ(get(spurious_vector), 0xffu);
    EXPECT_FALSE(pins.interrupt);
    apic.reset(Reset::cold);
    EXPECT_EQ(get(apic::id), 0x2300'0000u);
    EXPECT_EQ(apic.base(), 0xfee0'0900u);
}

TEST_F(LocalApicTest, StateRoundTripAndFuzz) {
    std::mt19937_64 random(3);
    for (unsigned i = 0; i < 2000; ++i) {
        for (unsigned n = 0; n < 20; ++n) {
            Access a{.offset = random() & 0xfff,
                     .size = 1u << (random() % 4),
                     .write = (random() & 3) != 0,
                     .value = random()};
            if (random() & 1)
                a.offset &= 0x3f0;
            u64 value = random();
            switch (random() % 12) {
            case 0:
                apic.read_msr(static_cast<u32>(0x800 + random() % 0x110), value);
                break;
            case 1:
                apic.write_msr(static_cast<u32>(0x800 + random() % 0x40), value & 0x3'07ff);
                break;
            case 2:
                apic.write_msr(tsc_deadline_msr, value >> (random() % 64));
                break;
            case 3:
                apic.set_base(random() % 4 ? 0xfee0'0900 : value & 0xfee0'0fff);
                break;
            case 4:
                apic.set_cr8(static_cast<u8>(value & 15));
                break;
            case 5:
                apic.set_lint(value & 1, value & 2);
                break;
            case 6:
                fixed(static_cast<u8>(value), value & 0x100);
                break;
            case 7:
                apic.acknowledge();
                break;
            case 8:
                apic.tsc_offset_changed(value);
                break;
            case 9:
                if (clock.next_due() < clock.now() + 1000)
                    run_to(clock, std::max(clock.now(), clock.next_due()));
                break;
            default:
                apic.access(a);
            }
        }
        ASSERT_EQ(pins.interrupt, pins.events[pins.events.find_last_of("Ii")] == 'I');
        const auto before = saved(apic);
        Clock other_clock;
        other_clock.advance_to(clock.now());
        FakePins other_pins;
        LocalApic other(other_clock, glass, bus, {.processor = 1, .id = 0x123, .bootstrap = true});
        other.connect(other_pins);
        ASSERT_TRUE(load(other, before));
        ASSERT_EQ(saved(other), before);
        ASSERT_EQ(other_pins.interrupt, pins.interrupt);
        ASSERT_EQ(other_clock.next_due(), clock.next_due());
    }
}
