// SPDX-License-Identifier: Apache-2.0
// Fuzzes what reads snapshots and recordings: files with damage, files whose checksums an enemy has made right again, and states in
// which any field has any value, with which the machine then runs.
#include "machine/hostile_visitor.h"
#include "machine/recorder.h"
#include "machine/recording.h"
#include "machine/snapshot.h"
#include "machine/test_guest.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <cstring>
#include <fstream>

#include <stdlib.h>
#include <unistd.h>

using namespace vitrine;
using namespace vitrine::machine;
using namespace vitrine::machine::testing;

namespace {

constexpr std::size_t header_size = 64;

struct Files {
    std::vector<u8> snapshot, recording;
    u64 instructions = 0;
};

std::vector<u8> read_whole(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A good file of each kind, made once.
const Files& good_files() {
    static const Files files = [] {
        Files f;
        char directory[] = "/tmp/vitrine-fuzz-XXXXXX";
        VERIFY(::mkdtemp(directory));
        const std::string snapshot = std::string(directory) + "/s", recording = std::string(directory) + "/r";
        Typist typist;
        const auto m = power_on(clockwork(2), &typist);
        auto recorder = Recorder::start(*m, recording);
        VERIFY(recorder.ok());
        for (unsigned n = 0; n < 4; ++n) {
            typist.type("typed");
            (void)m->run(m->instructions() + 120'000);
            recorder.value()->check();
        }
        VERIFY(recorder.value()->finish({EndingKind::instructions, 0, {}}).ok());
        VERIFY(save_snapshot(*m, snapshot).ok());
        f.snapshot = read_whole(snapshot);
        f.recording = read_whole(recording);
        f.instructions = m->instructions();
        ::unlink(snapshot.c_str());
        ::unlink(recording.c_str());
        ::rmdir(directory);
        return f;
    }();
    return files;
}

void put64(std::vector<u8>& data, std::size_t at, u64 value) { std::memcpy(&data[at], &value, 8); }

u64 get64(const std::vector<u8>& data, std::size_t at) {
    u64 value;
    std::memcpy(&value, &data[at], 8);
    return value;
}

/// Makes checksums right, as far as the file still has a form.
void seal(std::vector<u8>& data) {
    if (data.size() < header_size)
        return;
    put64(data, 56, checksum_of(std::span(data).first(56)));
    std::size_t at = header_size;
    while (data.size() - at >= header_size) {
        const u64 stored = get64(data, at + 32);
        const bool last = std::memcmp(&data[at], "end", 4) == 0;
        if (stored <= data.size() - at - header_size)
            put64(data, at + 48, checksum_of(std::span(data).subspan(at + header_size, stored)));
        put64(data, at + 56, checksum_of(std::span(data).subspan(at, 56)));
        at += header_size;
        if (stored > data.size() - at || last)
            break;
        at += stored;
    }
    // The log of a recording, record by record.
    u64 chain = 0;
    while (data.size() - at >= LogRecord::header_size) {
        u32 size;
        std::memcpy(&size, &data[at + 4], 4);
        if (size > data.size() - at - LogRecord::header_size)
            break;
        chain = checksum_of(std::span(data).subspan(at + LogRecord::header_size, size), checksum_of(std::span(data).subspan(at, 24), chain));
        put64(data, at + 24, chain);
        at += LogRecord::header_size + size;
    }
}

host::File file_of(std::span<const u8> data) {
    auto file = host::File::in_memory("fuzzed");
    VERIFY(file.ok());
    VERIFY(file.value().resize(data.size()).ok() && (data.empty() || file.value().write(0, data).ok()));
    return std::move(file).value();
}

std::vector<u8> damaged(std::vector<u8> data, FuzzedDataProvider& input) {
    const bool near = input.ConsumeBool(); // most of a snapshot is RAM
    for (unsigned patches = input.ConsumeIntegralInRange<unsigned>(0, 8); patches > 0; --patches) {
        const auto at = input.ConsumeIntegralInRange<std::size_t>(0, near ? 16'000 : data.size() - 1);
        const auto bytes = input.ConsumeBytes<u8>(input.ConsumeIntegralInRange<std::size_t>(1, 8));
        if (at < data.size())
            std::copy_n(bytes.begin(), std::min(bytes.size(), data.size() - at), data.begin() + static_cast<i64>(at));
    }
    if (input.ConsumeIntegralInRange<unsigned>(0, 7) == 0)
        data.resize(input.ConsumeIntegralInRange<std::size_t>(0, data.size()));
    return data;
}

void run_a_little(Machine& m) {
    (void)m.run(m.instructions() + 5'000, m.now() + 1'000'000);
    (void)m.hash();
}

void check(const Error& error) { VERIFY(error.message.starts_with("--") && error.message.find('\n') == std::string::npos); }

void try_snapshot(std::span<const u8> data) {
    auto snapshot = Snapshot::read("--restore", file_of(data));
    if (!snapshot.ok())
        return check(snapshot.error());
    MachineConfig config = snapshot.value().description().config;
    config.disks.clear(); // an enemy's file may name any file of the host, and opening is all that would happen
    config.memory = std::min<u64>(config.memory, 64_MiB);
    auto m = Machine::create(std::move(config), {}, std::make_unique<Glass>());
    if (!m.ok())
        return;
    if (auto loaded = snapshot.value().load(*m.value()); !loaded.ok())
        return check(loaded.error());
    run_a_little(*m.value());
}

void try_recording(std::span<const u8> data) {
    auto recording = Recording::read("--replay", file_of(data));
    if (!recording.ok())
        return check(recording.error());
    const auto m = power_on(clockwork(2));
    if (recording.value().description().config.disks.size() != 0)
        return;
    if (auto prepared = recording.value().prepare(*m); !prepared.ok())
        return check(prepared.error());
    Replay replay(std::move(recording).value(), *m);
    const Ending ending = m->run(std::min<u64>(replay.next_check(), 20'000), replay.end_instant());
    (void)replay.judge(ending);
}

void try_state(FuzzedDataProvider& input) {
    const auto m = power_on(clockwork(2));
    (void)m->run(input.ConsumeIntegralInRange<u64>(1, 3'000));
    HostileVisitor hostile([&](u64 below) { return input.ConsumeIntegralInRange<u64>(0, below - 1); });
    const u64 rarity = input.ConsumeIntegralInRange<u64>(2, 300);
    const bool all = input.ConsumeBool();
    const unsigned one = input.ConsumeIntegralInRange<unsigned>(0, m->components() - 1);
    for (unsigned n = 0; n < m->components() && hostile.refused.empty(); ++n) {
        hostile.rarity = all || n == one ? rarity : 0;
        m->visit(n, hostile);
    }
    if (hostile.refused.empty())
        run_a_little(*m);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* bytes, std::size_t size) {
    FuzzedDataProvider input(bytes, size);
    const unsigned kind = input.ConsumeIntegralInRange<unsigned>(0, 6);
    const Files& good = good_files();
    std::vector<u8> data;
    switch (kind) {
    case 0:
        try_snapshot(input.ConsumeRemainingBytes<u8>());
        break;
    case 1:
        try_recording(input.ConsumeRemainingBytes<u8>());
        break;
    case 2:
    case 3:
        data = damaged(good.snapshot, input);
        if (kind == 3)
            seal(data);
        try_snapshot(data);
        break;
    case 4:
    case 5:
        data = damaged(good.recording, input);
        if (kind == 5)
            seal(data);
        try_recording(data);
        break;
    default:
        try_state(input);
        break;
    }
    return 0;
}
