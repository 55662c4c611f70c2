// SPDX-License-Identifier: Apache-2.0
// A recording that is read: checked from end to end, then played to a machine and compared with what it does.
#pragma once

#include "machine/description.h"
#include "machine/ending.h"
#include "machine/inputs.h"
#include "machine/log_record.h"

#include <deque>
#include <optional>
#include <string>

namespace vitrine::machine {

/// The file, all of it in memory.
class Recording {
public:
    /// Reads and checks everything. A log that is cut off or damaged is no error yet: see damage().
    static Expected<Recording> open(std::string_view option, const std::string& name);
    static Expected<Recording> read(std::string_view option, host::File file);

    const Description& description() const { return description_; }

    const std::string& label() const { return label_; }

    /// Empty for a complete log; else one sentence that says where it breaks off and how far it can be replayed.
    const std::string& damage() const { return damage_; }

    /// The instruction up to which the log is known to be good.
    u64 good_until() const { return good_until_; }

    /// Gives the disks of a machine that was just powered on the contents that they had, and checks that this is the machine
    /// that was recorded.
    Expected<> prepare(Machine& machine) const;

private:
    friend class Replay;

    Expected<> read_log(const SectionReader& file);

    Description description_;
    std::string label_, writer_, damage_;
    std::vector<std::vector<u8>> disks_;
    std::deque<LogRecord> inputs_, checks_;
    std::optional<LogRecord> end_;
    u64 good_until_ = 0;
};

/// Plays the recording's inputs to a machine.
class Replay final : public InputScript {
public:
    /// The machine takes its inputs from here from now on.
    Replay(Recording recording, Machine& machine);
    ~Replay() override;
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    u64 next_instant() const override;
    Input take() override;

    /// The virtual instant at which the recording ends: nothing behind it was recorded.
    u64 end_instant() const { return recording_.end_ ? recording_.end_->instant : never; }

    /// The count of instructions at which the state is to be compared next; `never` when no comparison is left.
    u64 next_check() const { return recording_.checks_.empty() ? never : recording_.checks_.front().instructions; }

    /// The count has been reached. An ending when the state differs.
    Ending check();

    /// The run has come to `ending`. What it means: the recording's own ending if all is equal, or that it diverged. An
    /// ending before the recording's, by a limit of whoever replays, stays what it is.
    Ending judge(const Ending& ending);

private:
    Ending diverged(const std::string& how) const;

    Recording recording_;
    Machine& machine_;
    u64 last_equal_ = 0; ///< instructions at the last comparison
};

} // namespace vitrine::machine
