// SPDX-License-Identifier: Apache-2.0
// Writes a recording: a description of the machine at power on, its disks as they were, and a log of everything that came from
// outside, with a hash of the state now and then and at the end.
#pragma once

#include "host/new_file.h"
#include "machine/ending.h"
#include "machine/log_record.h"
#include "machine/section_file.h"

#include <memory>
#include <string>

namespace vitrine::machine {

class Machine;

/// What a recording is called and how it begins.
inline constexpr FileKind recording_kind{"vitrine recorded", "recording of a run", 1};

class Recorder final : public InputListener {
public:
    /// Instructions from one hash of the state to the next.
    static constexpr u64 check_interval = 100'000'000;

    /// The machine has just been powered on. From now on its disk images are not written any more.
    static Expected<std::unique_ptr<Recorder>> start(Machine& machine, const std::string& name);
    ~Recorder() override;
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void delivered(const Input& input) override;

    /// Records the hash of the state: a replay is compared here.
    void check();

    /// The last record. The recording is on the disk when this returns; an error is the first that any record met.
    Expected<> finish(const Ending& ending);

private:
    Recorder(Machine& machine, host::NewFile file) : machine_(machine), file_(std::move(file)) {}

    void append(LogRecord record);

    Machine& machine_;
    host::NewFile file_;
    u64 chain_ = 0;
    Expected<> written_;
};

} // namespace vitrine::machine
