// SPDX-License-Identifier: Apache-2.0
// Recordings: a replay comes to the same state by the same way; damaged logs tell where; a replay that differs is told.
#include "machine/recording.h"

#include "machine/recorder.h"
#include "machine/test_guest.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include <stdlib.h>
#include <sys/resource.h>

using namespace vitrine;
using namespace vitrine::machine;
using namespace vitrine::machine::testing;
namespace fs = std::filesystem;

namespace {

class RecordingTest : public ::testing::Test {
protected:
    RecordingTest() {
        std::string pattern = ::testing::TempDir() + "/recording-XXXXXX";
        directory = ::mkdtemp(pattern.data());
        name = directory + "/log";
    }

    ~RecordingTest() override { fs::remove_all(directory); }

    /// Types at odd moments until the guest ends itself or, without a last 'q', until somebody else ends it.
    Hash128 record(unsigned cpus, bool quit, u64 seed) {
        std::mt19937_64 random(seed);
        Typist typist;
        const auto m = power_on(clockwork(cpus), &typist);
        auto recorder = std::move(Recorder::start(*m, name).value());
        for (unsigned n = 0; n < 20; ++n) {
            EXPECT_EQ(m->run(m->instructions() + 1 + random() % 60'000).kind, EndingKind::instructions);
            if (random() % 2)
                typist.type(std::string(1 + random() % 30, static_cast<char>('A' + n)));
            if (n % 4 == 3)
                recorder->check();
        }
        if (quit)
            typist.type("q");
        const Ending ending = m->run(m->instructions() + (quit ? 9'000'000 : 400'000));
        EXPECT_EQ(ending.kind, quit ? EndingKind::debug_exit : EndingKind::instructions);
        EXPECT_TRUE(recorder->finish(ending).ok());
        output = typist.output;
        return m->hash();
    }

    Ending replay(Machine& m, Recording recording) {
        const auto prepared = recording.prepare(m);
        EXPECT_TRUE(prepared.ok()) << prepared.error().message;
        Replay replay(std::move(recording), m);
        for (;;) {
            const Ending ending = m.run(replay.next_check(), replay.end_instant());
            if (ending.kind != EndingKind::instructions)
                return replay.judge(ending);
            if (Ending differs = replay.check())
                return differs;
        }
    }

    static Recording open(const std::string& name) {
        auto recording = Recording::open("--replay", name);
        EXPECT_TRUE(recording.ok()) << recording.error().message;
        return std::move(recording).value();
    }

    std::string directory, name, output;
};

TEST_F(RecordingTest, AReplayIsTheRun) {
    for (const unsigned cpus : {1u, 2u, 4u})
        for (const bool quit : {true, false}) {
            const Hash128 hash = record(cpus, quit, cpus);
            Typist nobody;
            nobody.type("what is typed during a replay does not count");
            const auto m = power_on(clockwork(cpus), &nobody);
            const Recording recording = open(name);
            EXPECT_EQ(recording.damage(), "");
            const Ending ending = replay(*m, recording);
            EXPECT_EQ(ending.kind, quit ? EndingKind::debug_exit : EndingKind::script_over) << ending.text;
            EXPECT_EQ(m->hash().text(), hash.text());
            EXPECT_EQ(nobody.output, output);
            EXPECT_GT(output.size(), 20u);
        }
}

TEST_F(RecordingTest, DifferencesAreTold) {
    record(2, true, 1);
    const auto m = power_on(clockwork(2));
    const Recording recording = open(name);
    ASSERT_TRUE(recording.prepare(*m).ok());
    Replay script(recording, *m);
    ASSERT_EQ(m->run(script.next_check()).kind, EndingKind::instructions);
    ASSERT_FALSE(script.check());
    const u64 equal = m->instructions();
    m->space().write(Physical{0x700000}, u8{1}, Requester{});
    ASSERT_EQ(m->run(script.next_check()).kind, EndingKind::instructions);
    const Ending ending = script.check();
    EXPECT_EQ(ending.kind, EndingKind::diverged);
    EXPECT_EQ(status_of(ending), 70);
    EXPECT_NE(ending.text.find("between instructions " + std::to_string(equal) + " and " + std::to_string(m->instructions())),
              std::string::npos)
        << ending.text;

    MachineConfig other = clockwork(2);
    other.seed = 7;
    const auto prepared = open(name).prepare(*power_on(other));
    ASSERT_FALSE(prepared.ok());
    EXPECT_NE(prepared.error().message.find("hash at power on"), std::string::npos);
}

TEST_F(RecordingTest, DamagedLogsTellWhereAndHowFar) {
    const Hash128 hash = record(1, false, 5);
    std::ifstream in(name, std::ios::binary);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    const auto whole = open(name);
    const std::string bad = directory + "/bad";
    std::mt19937_64 random(6);
    unsigned replayed = 0;
    for (unsigned n = 0; n < 200; ++n) {
        std::string data = good;
        const std::size_t at = n < 100 ? good.size() - 1 - random() % (good.size() / 2) : random() % good.size();
        if (n % 2)
            data[at] = static_cast<char>(data[at] ^ 1 << random() % 8);
        else
            data.resize(at);
        std::ofstream(bad, std::ios::binary) << data;
        auto recording = Recording::open("--replay", bad);
        if (!recording.ok()) {
            EXPECT_EQ(recording.error().message.rfind("--replay " + bad, 0), 0u) << recording.error().message;
            continue;
        }
        ASSERT_NE(recording.value().damage(), "") << "byte " << at;
        EXPECT_NE(recording.value().damage().find(" byte "), std::string::npos);
        EXPECT_LE(recording.value().good_until(), whole.good_until());
        if (recording.value().good_until() == 0 || ++replayed > 5)
            continue;
        // As far as it is good, it is the same run.
        const u64 until = recording.value().good_until();
        const auto m = power_on(clockwork(1)), reference = power_on(clockwork(1));
        ASSERT_TRUE(recording.value().prepare(*m).ok());
        Replay first(recording.value(), *m), second(whole, *reference);
        (void)m->run(until);
        (void)reference->run(until);
        EXPECT_EQ(m->hash().text(), reference->hash().text());
    }
    EXPECT_GT(replayed, 5u);
    EXPECT_NE(hash, Hash128{});
}

TEST_F(RecordingTest, AFullDiskEndsTheRun) {
    std::signal(SIGXFSZ, SIG_IGN);
    Typist typist;
    const auto m = power_on(clockwork(1), &typist);
    EXPECT_FALSE(Recorder::start(*m, directory + "/no/where").ok());
    const auto recorder = std::move(Recorder::start(*m, name).value());
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{fs::file_size(name) + 50, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    (void)m->run(100'000);
    typist.type("a line that is longer than what the disk has left");
    const Ending ending = m->run(900'000);
    const auto finished = recorder->finish(ending);
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(ending.kind, EndingKind::refused) << ending.text;
    EXPECT_EQ(status_of(ending), 74);
    EXPECT_FALSE(finished.ok());
}

} // namespace
