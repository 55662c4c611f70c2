// SPDX-License-Identifier: Apache-2.0
// --restore, --snapshot-at, --replay and --record: the files that hold machines and runs, and what they do to this run.
#pragma once

#include "app/marks.h"
#include "app/run_options.h"
#include "base/error.h"
#include "machine/ending.h"
#include "machine/recorder.h"
#include "machine/recording.h"
#include "machine/snapshot.h"

#include <memory>
#include <optional>

namespace vitrine::app {

/// Where the machine comes from, if not from the options alone.
struct Source {
    std::optional<machine::Snapshot> snapshot;
    std::optional<machine::Recording> recording;
};

/// Opens --restore or --replay and puts its machine into the options; checks that --snapshot-at and --record can be written.
Expected<Source> open_source(RunOptions& options);

/// What goes along with a run. Ends before its machine does.
class StateFiles {
public:
    /// Powers the machine on, or restores it, and begins to record or to replay.
    static Expected<StateFiles> start(Source source, const RunOptions& options, machine::Machine& machine);

    /// A snapshot, hashes for a recording, comparisons for a replay.
    void add_marks(const RunOptions& options, Marks& marks);

    /// Nothing can be replayed behind this instant.
    u64 end_instant() const { return replay_ ? replay_->end_instant() : never; }

    /// The run has ended: completes the recording, judges the replay. Returns the ending that counts.
    machine::Ending finish(const machine::Ending& ending);

private:
    explicit StateFiles(machine::Machine& machine) : machine_(&machine) {}

    machine::Machine* machine_;
    std::unique_ptr<machine::Recorder> recorder_;
    std::unique_ptr<machine::Replay> replay_;
    u64 snapshot_at_ = never; ///< not yet taken
};

} // namespace vitrine::app
