// SPDX-License-Identifier: Apache-2.0
// Snapshots: a restored machine goes on bit for bit, looking at a machine changes nothing, damaged and hostile files are refused
// with a sentence or harmless.
#include "machine/snapshot.h"

#include "machine/hostile_visitor.h"
#include "machine/save_visitor.h"
#include "machine/test_guest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include <stdlib.h>

using namespace vitrine;
using namespace vitrine::machine;
using namespace vitrine::machine::testing;
namespace fs = std::filesystem;

namespace {

class SnapshotTest : public ::testing::Test {
protected:
    SnapshotTest() {
        std::string pattern = ::testing::TempDir() + "/snapshot-XXXXXX";
        directory = ::mkdtemp(pattern.data());
    }

    ~SnapshotTest() override { fs::remove_all(directory); }

    std::string file(const std::string& name = "a") const { return directory + "/" + name; }

    static std::vector<u8> read(const std::string& name) {
        std::ifstream in(name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    static void write(const std::string& name, std::span<const u8> data) {
        std::ofstream(name, std::ios::binary).write(reinterpret_cast<const char*>(data.data()), static_cast<long>(data.size()));
    }

    /// The sentence that says why the file is no good; empty when it is.
    static std::string refusal(const std::string& name) {
        auto snapshot = Snapshot::open("--restore", name);
        if (!snapshot.ok())
            return snapshot.error().message;
        const auto m = build(snapshot.value().description().config);
        const auto loaded = snapshot.value().load(*m);
        return loaded.ok() ? "" : loaded.error().message;
    }

    static std::unique_ptr<Machine> restore(const std::string& name, Typist* typist = nullptr) {
        auto snapshot = Snapshot::open("--restore", name);
        EXPECT_TRUE(snapshot.ok()) << snapshot.error().message;
        if (!snapshot.ok())
            return nullptr;
        auto m = build(snapshot.value().description().config, typist);
        const auto loaded = snapshot.value().load(*m);
        EXPECT_TRUE(loaded.ok()) << loaded.error().message;
        return loaded.ok() ? std::move(m) : nullptr;
    }

    static void expect_equal(Machine& a, Machine& b) {
        ASSERT_EQ(a.instructions(), b.instructions());
        const auto first = a.hashes(), second = b.hashes();
        ASSERT_EQ(first.size(), second.size());
        for (std::size_t n = 0; n < first.size(); ++n)
            ASSERT_EQ(first[n].second.text(), second[n].second.text())
                << "component " << first[n].first << " at instruction " << a.instructions();
    }

    std::string directory;
};

TEST_F(SnapshotTest, TheGuestIsBusy) {
    Typist typist;
    const auto m = power_on(clockwork(2), &typist);
    ASSERT_EQ(m->run(100'000).kind, EndingKind::instructions);
    typist.type("hello");
    ASSERT_EQ(m->run(3'000'000).kind, EndingKind::instructions);
    EXPECT_EQ(typist.output, "hello");
    u32 interrupts = 0, others = 0;
    std::memcpy(&interrupts, m->space().ram() + 0x113000, 4);
    std::memcpy(&others, m->space().ram() + 0x9000, 4);
    EXPECT_GT(interrupts, 100u);
    EXPECT_GT(others, 1000u);
    typist.type("q");
    EXPECT_EQ(m->run(9'000'000).kind, EndingKind::debug_exit);
}

TEST_F(SnapshotTest, GoesOnBitForBit) {
    std::mt19937_64 random(1);
    for (const unsigned cpus : {1u, 3u}) {
        Typist typist;
        const auto whole = power_on(clockwork(cpus), &typist);
        u64 at = 0;
        for (unsigned round = 0; round < 12; ++round) {
            if (round % 4 == 1)
                typist.type("some input that waits: a snapshot holds it too");
            at += 1 + random() % 150'000;
            (void)whole->run(at);
            const auto saved = save_snapshot(*whole, file());
            ASSERT_TRUE(saved.ok()) << saved.error().message;
            const auto other = restore(file());
            ASSERT_TRUE(other);
            for (unsigned step = 0; step < 4; ++step) {
                at += 1 + random() % 30'000;
                (void)whole->run(at);
                (void)other->run(at);
                ASSERT_NO_FATAL_FAILURE(expect_equal(*whole, *other)) << cpus << " processors, round " << round;
            }
        }
    }
}

TEST_F(SnapshotTest, ARestoredMachineResetsLikeTheOriginal) {
    const auto whole = power_on(clockwork(2));
    (void)whole->run(200'000);
    ASSERT_TRUE(save_snapshot(*whole, file()).ok());
    const auto other = restore(file());
    ASSERT_TRUE(other);
    for (Machine* m : {whole.get(), other.get()}) {
        m->request_reset(Reset::warm);
        (void)m->run(500'000);
    }
    expect_equal(*whole, *other);
}

TEST_F(SnapshotTest, LookingChangesNothing) {
    std::mt19937_64 random(2);
    for (const unsigned cpus : {1u, 3u}) {
        const auto alone = power_on(clockwork(cpus)), watched = power_on(clockwork(cpus));
        while (watched->instructions() < 1'000'000) {
            (void)watched->run(watched->instructions() + 1 + random() % (random() % 8 ? 30 : 20'000));
            if (random() % 16 == 0)
                (void)watched->hash();
            if (random() % 512 == 0) {
                ASSERT_TRUE(save_snapshot(*watched, file()).ok());
            }
        }
        (void)alone->run(watched->instructions());
        expect_equal(*alone, *watched);
    }
}

TEST_F(SnapshotTest, DamageIsToldWithItsPlace) {
    const auto m = power_on(clockwork(1));
    (void)m->run(100'000);
    ASSERT_TRUE(save_snapshot(*m, file()).ok());
    ASSERT_EQ(refusal(file()), "");
    const std::vector<u8> good = read(file());
    std::mt19937_64 random(3);
    for (unsigned n = 0; n < 150; ++n) {
        // The headers and small sections stand at the beginning; most of the rest is RAM.
        const std::size_t at = random() % (n % 2 ? good.size() : std::min<std::size_t>(good.size(), 8192));
        std::vector<u8> bad = good;
        bad[at] ^= static_cast<u8>(1 << random() % 8);
        write(file("bad"), bad);
        EXPECT_NE(refusal(file("bad")).find("--restore " + file("bad")), std::string::npos) << "a flipped bit in byte " << at;
        bad = good;
        bad.resize(at);
        write(file("bad"), bad);
        const std::string cut = refusal(file("bad"));
        EXPECT_TRUE(cut.find("cut off") != std::string::npos || at == 0) << "cut at " << at << ": " << cut;
    }
    std::vector<u8> longer = good;
    longer.push_back(0);
    write(file("bad"), longer);
    EXPECT_NE(refusal(file("bad")).find("goes on behind its end"), std::string::npos);
}

TEST_F(SnapshotTest, OtherFilesAreTold) {
    const auto says = [&](std::string_view text) {
        const std::string why = refusal(file());
        EXPECT_NE(why.find(text), std::string::npos) << why;
        EXPECT_EQ(why.find('\n'), std::string::npos) << why;
    };
    says("cannot open");
    write(file(), {});
    says("is no snapshot of a machine: it would begin with 'vitrine snapshot'");
    const std::string text(300, 'x');
    write(file(), {reinterpret_cast<const u8*>(text.data()), text.size()});
    says("is no snapshot");

    host::NewFile newer = std::move(host::NewFile::create(file()).value());
    ASSERT_TRUE(SectionWriter::begin({"vitrine snapshot", "", 7}, newer).ok());
    ASSERT_TRUE(newer.commit().ok());
    says("has format 7");

    // A section of another machine, with good checksums.
    const auto m = power_on(clockwork(1));
    host::NewFile mixed = std::move(host::NewFile::create(file()).value());
    SectionWriter sections = std::move(SectionWriter::begin({"vitrine snapshot", "", 1}, mixed).value());
    ASSERT_TRUE(sections.add("description", description_bytes(describe(*m))).ok());
    ASSERT_TRUE(sections.add("kernel", m->config().kernel->data).ok());
    ASSERT_TRUE(sections.add("clock", std::vector<u8>(100)).ok());
    ASSERT_TRUE(sections.end().ok());
    ASSERT_TRUE(mixed.commit().ok());
    says("section 'clock' does not fit: the state has another shape");
}

/// Every count and limit, and every value: what a file may bring a machine to must stay a machine.
TEST_F(SnapshotTest, HostileStateIsRefusedOrHarmless) {
    std::mt19937_64 random(4);
    const auto original = power_on(clockwork(2));
    (void)original->run(60'000);
    std::vector<std::vector<u8>> states;
    for (unsigned n = 0; n < original->components(); ++n) {
        SaveVisitor save;
        original->visit(n, save);
        states.push_back(save.data());
    }
    unsigned accepted = 0;
    for (unsigned round = 0; round < 120; ++round) {
        const auto m = power_on(clockwork(2));
        for (unsigned n = 0; n < m->components(); ++n) {
            LoadVisitor load(states[n]);
            m->visit(n, load);
            ASSERT_EQ(load.problem(), "");
        }
        HostileVisitor hostile([&](u64 below) { return random() % below; });
        const u64 rarity = 1 + (random() & 255);
        for (unsigned n = 0; n < m->components() && hostile.refused.empty(); ++n) {
            // Everything is loaded, so that what must fit together is seen to; one part, or every one, is changed.
            hostile.rarity = round % 2 || n == round / 2 % m->components() ? rarity : 0;
            m->visit(n, hostile);
        }
        if (!hostile.refused.empty())
            continue;
        ++accepted;
        (void)m->run(m->instructions() + 20'000, m->now() + 1'000'000);
        (void)m->hash();
    }
    EXPECT_GT(accepted, 10u);
}

} // namespace
