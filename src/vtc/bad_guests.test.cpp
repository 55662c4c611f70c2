// SPDX-License-Identifier: Apache-2.0
// Tests of guests with a virtual function that ask for what is not theirs, and of states that somebody wrote. Contained, counted, told.
#include "vtc/bad_input.h"

#include <random>

namespace vitrine::vtc::test {
namespace {

template <class T> class BadGuest : public Port<T> {};
TYPED_TEST_SUITE(BadGuest, Chips);

/// Every register of the physical function's that a virtual function's writes must not change.
template <class T> std::map<std::string, u32> others_of(Port<T>& p, unsigned own_queue) {
    std::map<std::string, u32> all;
    for (const RegisterRow& row : p.nic.chip().registers) {
        for (u32 n = 0; n < row.count; ++n) {
            const u32 at = row.offset + row.stride * n;
            u32 value = p.nic.peek(at);
            switch (row.effect) {
            case Effect::counter: case Effect::cause: case Effect::mailbox_cause: case Effect::reset_cause: case Effect::free_running:
                continue; // it may ask and be counted
            case Effect::pool_enable:
                value &= ~1u; // it may reset itself
                break;
            case Effect::queue: {
                bool own = false;
                for (const unsigned queue : {own_queue, own_queue + PortOf<T>::queue_step})
                    for (const u32 base : {PortOf<T>::rx(queue), PortOf<T>::tx(queue)})
                        own |= at >= base && at < base + ring::size;
                if (own)
                    continue;
                break;
            }
            default:
                break;
            }
            all[std::string(row.name) + "[" + std::to_string(n) + "]"] = value;
        }
    }
    return all;
}

TYPED_TEST(BadGuest, AVirtualFunctionReachesItsOwnAlone) {
    const auto before = others_of<TypeParam>(*this, this->queue(0));
    const u64 link_changes = this->nic.link_changes();
    this->board.write32(vf_registers_at + vf_bar + TestFixture::At::vf_message, 0x600d'600d); // its neighbour's mailbox
    for (const u32 value : {0xffff'ffffu, 0u, 0xa5a5'a5a5u, 0x0400'0000u})
        for (const u64 base : {vf_registers_at, vf_msix_at})
            for (u64 offset = 0; offset < vf_bar; offset += 4)
                this->board.write32(base + offset, value);
    this->go();
    for (const auto& [name, value] : others_of<TypeParam>(*this, this->queue(0)))
        EXPECT_EQ(value, before.at(name)) << name;
    EXPECT_EQ(this->board.read32(vf_registers_at + vf_bar + TestFixture::At::vf_message), 0x600d'600du);
    EXPECT_EQ(this->nic.link_changes(), link_changes);
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_TRUE(this->receives(1)) << "the neighbour does not notice";
    EXPECT_TRUE(this->sends(1));
    EXPECT_TRUE(this->receives(2));
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadGuest, AVirtualFunctionsMessagesAreNoWayToRegisters) {
    // Its vector's message is a write to the physical function's control register (reset), to the MSI-X table there, and to a neighbour's mailbox.
    this->vf(0).config_write(msix + 2, 2, 0x8000);
    const u64 targets[] = {registers_at, msix_at, vf_registers_at + vf_bar + TestFixture::At::vf_message};
    for (unsigned n = 0; n < 3; ++n) {
        this->board.write32(vf_msix_at + 16 * n, static_cast<u32>(targets[n]));
        this->board.write32(vf_msix_at + 16 * n + 8, 0x0400'0000);
        this->board.write32(vf_msix_at + 16 * n + 12, 0);
    }
    const auto before = others_of<TypeParam>(*this, this->queue(0));
    this->board.write32(vf_registers_at + TestFixture::At::vf_interrupt_set + 4, 7); // the mask set lies behind the cause set in both chips
    this->board.write32(vf_registers_at + TestFixture::At::vf_interrupt_set, 7);
    this->go();
    EXPECT_EQ(this->board.glass.counter("msi-to-memory"), 3u);
    EXPECT_EQ(this->board.glass.counter("dma.own-registers"), 3u);
    for (const auto& [name, value] : others_of<TypeParam>(*this, this->queue(0)))
        EXPECT_EQ(value, before.at(name)) << name;
    EXPECT_EQ(this->board.read32(msix_at), 0u);
    EXPECT_EQ(this->board.read32(targets[2]), 0u);
    EXPECT_TRUE(this->receives(2)) << "the adapter was not reset";
}

TYPED_TEST(BadGuest, FramesAreNoWayToRegisters) {
    const u64 targets[] = {registers_at, msix_at, vf_registers_at, vf_registers_at + vf_bar, vf_msix_at};
    const auto before = others_of<TypeParam>(*this, 1000);
    for (unsigned pool = 0; pool < 3; ++pool) {
        for (u32 n = 0; n < std::size(targets); ++n) {
            this->board.write64(this->rx_ring(pool) + 16 * n, targets[n]);
            this->nic.receive(frame_of(mac + pool, outsider));
        }
        for (const u64 target : targets) // and no way from them
            this->describe(pool, target, this->whole | 64);
        this->set(this->tx(pool) + ring::write_back_low, static_cast<u32>(registers_at) | 1);
        this->go();
        EXPECT_EQ(this->nic.counters(pool).bad_descriptor, 2 * std::size(targets));
    }
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_GE(this->board.glass.counter("dma.own-registers"), 3 * 2 * std::size(targets));
    for (const auto& [name, value] : others_of<TypeParam>(*this, 1000))
        if (name.find("RD") != 0 && name.find("TD") != 0) {
            EXPECT_EQ(value, before.at(name)) << name;
        }
    EXPECT_TRUE(this->receives(2));
}

TYPED_TEST(BadGuest, AMailboxIsNotItsGuestsToRule) {
    constexpr u64 mail = vf_registers_at;
    const u32 at = TestFixture::At::vf_mailbox;
    (void)this->board.read32(mail + at);
    this->board.write32(mail + at, mailbox::pf_status | mailbox::pf_acknowledge | mailbox::reset_done);
    EXPECT_FALSE(this->board.read32(mail + at) & (mailbox::pf_status | mailbox::pf_acknowledge | mailbox::reset_done)) << "only the physical function says so";
    const u32 pf_mailbox = std::is_same_v<TypeParam, I82576> ? u32{i82576::p2vmailbox} : u32{i82599::pfmailbox};
    this->set(pf_mailbox, mailbox::pf_own_in_use);
    this->board.write32(mail + at, mailbox::vf_in_use);
    EXPECT_FALSE(this->board.read32(mail + at) & mailbox::vf_in_use) << "the other side has it";
    this->board.write32(mail + at, 0);
    EXPECT_TRUE(this->get(pf_mailbox) & mailbox::pf_own_in_use) << "and keeps it";
    this->set(pf_mailbox, 0);
    this->board.write32(mail + at, mailbox::vf_in_use);
    EXPECT_TRUE(this->board.read32(mail + at) & mailbox::vf_in_use);
    this->set(pf_mailbox, mailbox::pf_free_vf);
    EXPECT_FALSE(this->board.read32(mail + at) & mailbox::vf_in_use) << "one that does not let go is made to";
    // A storm of requests is one cause, and counted.
    for (unsigned n = 0; n < 1000; ++n)
        this->board.write32(mail + at, mailbox::vf_request);
    EXPECT_TRUE(this->nic.describe_vf(0).find("1000 requests") != std::string::npos) << this->nic.describe_vf(0);
    EXPECT_TRUE(this->nic.describe_vf(1).find(" 0 requests") != std::string::npos);
}

TYPED_TEST(BadGuest, StormsOfVirtualFunctions) {
    u64 offered = 0;
    for (unsigned round = 0; round < 100; ++round) {
        // Frames on their way in both directions, half of them for functions that are about to go.
        for (unsigned pool = 0; pool < 3; ++pool) {
            this->put(TestFixture::tx_buffer, frame_of(pool == 2 ? broadcast : mac + 2, mac + pool));
            this->describe(pool, TestFixture::tx_buffer, this->whole | 64);
            this->nic.receive(frame_of(round % 2 ? broadcast : mac + pool, outsider));
            ++offered;
        }
        if (round % 3)
            this->board.pass(round * 50);
        this->enable_vfs(0);
        this->board.pass(round * 10);
        EXPECT_EQ(this->board.read32(vf_registers_at), ~0u) << "nobody is there";
        this->enable_vfs(1 + round % this->nic.chip().vfs);
        this->open();
    }
    this->enable_vfs(0);
    this->enable_vfs(2);
    this->open();
    this->go();
    const PortCounters& port = this->nic.port_counters();
    EXPECT_EQ(port.rx_frames + port.no_filter + port.pool_off, offered) << "each is accounted for";
    for (unsigned pool = 0; pool < 3; ++pool) {
        EXPECT_TRUE(this->receives(pool)) << pool;
        EXPECT_TRUE(this->sends(pool)) << pool;
    }
    EXPECT_EQ(this->board.clock.next_due(), never);
}

/// A saved state whose vectors wait for interrupts that a virtual function does not have.
TYPED_TEST(BadGuest, AStateThatSomebodyWrote) {
    std::vector<u8> saved = pci::save(this->nic);
    unsigned refused = 0;
    std::mt19937_64 random(7);
    for (unsigned n = 0; n < 300; ++n) {
        std::vector<u8> changed = saved;
        for (unsigned i = 0; i < 16; ++i)
            changed[random() % changed.size()] = static_cast<u8>(random());
        refused += !pci::load(this->nic, changed).empty();
        this->nic.receive(frame_of(broadcast, outsider));
        this->board.pass(10'000);
        (void)this->nic.describe_pools();
    }
    EXPECT_EQ(pci::load(this->nic, saved), "");
    EXPECT_EQ(pci::save(this->nic), saved);
    EXPECT_LT(refused, 300u) << "hardly anything was tried";
}

} // namespace
} // namespace vitrine::vtc::test
