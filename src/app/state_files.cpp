// SPDX-License-Identifier: Apache-2.0
// Snapshots and recordings along a run.
#include "app/state_files.h"

#include "app/known_machine.h"
#include "machine/machine.h"

#include <cstdio>

#include <fmt/format.h>

namespace vitrine::app {

using machine::Ending;
using machine::EndingKind;

namespace {

/// A complete log, or one that is good as far as it is wanted.
Expected<> check_log(const machine::Recording& recording, u64 stop_at) {
    if (recording.damage().empty() || stop_at <= recording.good_until())
        return {};
    return Error(recording.label() + ": " + recording.damage());
}

} // namespace

Expected<Source> open_source(RunOptions& options) {
    Source source;
    if (!options.restore.empty()) {
        source.snapshot = TRY(machine::Snapshot::open("--restore", options.restore));
        TRY(take_machine(source.snapshot->description(), "--restore " + options.restore, options));
        const u64 now = source.snapshot->description().instructions;
        if (options.snapshot_at <= now)
            return Error(fmt::format("--snapshot-at {}: the machine of --restore {} has executed {} already", options.snapshot_at,
                                     options.restore, now));
    }
    if (!options.replay.empty()) {
        source.recording = TRY(machine::Recording::open("--replay", options.replay));
        TRY(check_log(*source.recording, options.stop_at));
        TRY(take_machine(source.recording->description(), "--replay " + options.replay, options));
        TRY(find_files(source.recording->description(), "--replay " + options.replay, options));
    }
    for (const auto& [option, name] : {std::pair{"--snapshot-at", &options.snapshot_file}, {"--record", &options.record}})
        if (!name->empty())
            if (auto good = host::check_new_file(*name); !good.ok())
                return Error(fmt::format("{}: {}", option, good.error().message), good.error().status);
    return source;
}

Expected<StateFiles> StateFiles::start(Source source, const RunOptions& options, machine::Machine& m) {
    StateFiles files(m);
    if (source.snapshot) {
        TRY(source.snapshot->load(m));
        m.pace().start(m.now());
    } else {
        TRY(m.power_on());
    }
    if (source.recording) {
        TRY(source.recording->prepare(m));
        files.replay_ = std::make_unique<machine::Replay>(std::move(*source.recording), m);
    }
    if (!options.record.empty()) {
        auto recorder = machine::Recorder::start(m, options.record);
        if (!recorder.ok())
            return Error("--record: " + recorder.error().message, recorder.error().status);
        files.recorder_ = std::move(recorder).value();
    }
    return files;
}

void StateFiles::add_marks(const RunOptions& options, Marks& marks) {
    // The recorder first: what it compares must not depend on what else is done here.
    if (recorder_)
        marks.every(machine::Recorder::check_interval, machine_->instructions(), [recorder = recorder_.get()](u64) {
            recorder->check();
            return Ending{};
        });
    if (replay_)
        marks.when([replay = replay_.get()] { return replay->next_check(); }, [replay = replay_.get()](u64) { return replay->check(); });
    if (options.snapshot_at == never)
        return;
    snapshot_at_ = options.snapshot_at;
    marks.once(options.snapshot_at, [this, name = options.snapshot_file](u64) {
        snapshot_at_ = never;
        if (auto saved = save_snapshot(*machine_, name); !saved.ok())
            return Ending{EndingKind::refused, 0, "--snapshot-at: " + saved.error().message};
        return Ending{};
    });
}

Ending StateFiles::finish(const Ending& ending) {
    Ending last = ending;
    if (replay_)
        last = replay_->judge(ending);
    if (recorder_)
        if (auto written = recorder_->finish(ending); !written.ok() && last.kind != EndingKind::refused)
            last = {EndingKind::refused, 0, "--record: " + written.error().message};
    if (snapshot_at_ != never)
        std::fprintf(stderr, "vitrine: --snapshot-at %llu: the run ended before, so there is no snapshot\n",
                     static_cast<unsigned long long>(snapshot_at_));
    recorder_.reset();
    replay_.reset();
    return last;
}

} // namespace vitrine::app
