// SPDX-License-Identifier: Apache-2.0
// Reading recordings, and replay.
#include "machine/recording.h"

#include "machine/board.h"
#include "machine/machine.h"
#include "machine/recorder.h"
#include "machine/save_visitor.h"

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr u64 most_log = 16_GiB;
constexpr u64 most_disk = u64{1} << 46;

/// Endings that come from the machine itself; a replay must come to them by itself too. The others were imposed from outside, or
/// depended on it (that no input can come any more).
bool is_own(EndingKind kind) {
    switch (kind) {
    case EndingKind::power_off:
    case EndingKind::triple_fault:
    case EndingKind::unimplemented:
    case EndingKind::reset:
    case EndingKind::debug_exit:
    case EndingKind::panic: return true;
    default: return false;
    }
}

std::string name_of(const Ending& ending) {
    std::string name(row_of(ending.kind).name);
    if (ending.kind == EndingKind::debug_exit)
        name += fmt::format(" {:#x}", ending.verdict);
    return name;
}

} // namespace

Expected<Recording> Recording::open(std::string_view option, const std::string& name) {
    auto file = host::File::open(name, host::File::Access::read);
    if (!file.ok())
        return Error(std::string(option) + ": " + file.error().message, file.error().status);
    return read(option, std::move(file).value());
}

Expected<Recording> Recording::read(std::string_view option, host::File from) {
    Recording r;
    r.label_ = std::string(option) + " " + from.name();
    SectionReader file = TRY(SectionReader::read(recording_kind, option, std::move(from)));
    r.writer_ = file.writer();
    r.description_ = TRY(read_description(file, "description"));
    for (unsigned n = 0; n < r.description_.config.disks.size(); ++n)
        r.disks_.push_back(TRY(file.take(fmt::format("disk{} contents", n), most_disk)));
    TRY(file.end_of_sections());
    if (auto same = check_model(r.description_); !same.ok())
        return Error(file.error(same.error().message).message, same.error().status);
    TRY(r.read_log(file));
    return r;
}

Expected<> Recording::read_log(const SectionReader& file) {
    const u64 begin = file.position(), size = file.file_size() - begin;
    if (size > most_log)
        return file.error(fmt::format("the log is too large: it has {} bytes, at most {} make sense", size, most_log));
    std::vector<u8> bytes(size);
    if (auto read = file.file().read(begin, bytes); !read.ok())
        return Error(label_ + ": " + read.error().message, read.error().status);
    std::span<const u8> log = bytes;
    u64 chain = 0, last_instant = 0;
    good_until_ = description_.instructions;
    const auto until = [&] {
        return good_until_ == 0 ? std::string("nothing before it can be replayed")
                                : fmt::format("it is good up to instruction {0}, and --stop-at {0} replays so far", good_until_);
    };
    while (!log.empty() && !end_) {
        const u64 at = begin + (size - log.size());
        std::optional<LogRecord> record = decode(log, chain);
        if (!record || record->instant < last_instant || record->instructions < good_until_) {
            damage_ = fmt::format("the log is damaged or cut off: no good record stands at byte {}; {}", at, until());
            return {};
        }
        last_instant = record->instant;
        good_until_ = record->instructions;
        if (record->kind == RecordKind::end)
            end_ = std::move(record);
        else
            (record->kind == RecordKind::input ? inputs_ : checks_).push_back(std::move(*record));
    }
    if (!end_)
        damage_ = fmt::format("the log has no end: it is cut off behind byte {}; {}", begin + size, until());
    else if (!log.empty())
        damage_ = fmt::format("the log goes on behind its end at byte {}; {}", begin + (size - log.size()), until());
    return {};
}

Expected<> Recording::prepare(Machine& m) const {
    const auto& disks = m.board().disks();
    VERIFY(disks.size() == disks_.size());
    for (std::size_t n = 0; n < disks.size(); ++n) {
        LoadVisitor v(disks_[n]);
        if (auto loaded = disks[n]->image().snapshot(v); !loaded.ok())
            return Error(label_ + ": " + loaded.error().message, loaded.error().status);
        v.finish();
        if (!v.problem().empty())
            return Error(fmt::format("{}: section 'disk{} contents' does not fit: {}", label_, n, v.problem()));
    }
    for (const LogRecord& input : inputs_)
        if (input.port >= m.inputs().ports())
            return Error(fmt::format("{}: there is input for port {}, and the machine has {}", label_, input.port, m.inputs().ports()));
    if (const Hash128 is = m.hash(); is != description_.hash)
        return Error(fmt::format("{}: the machine's hash at power on is {}, and must be {}; {} recorded it, this is {}", label_,
                                 is.text(), description_.hash.text(), writer_, this_program()));
    return {};
}

Replay::Replay(Recording recording, Machine& machine) : recording_(std::move(recording)), machine_(machine) {
    machine_.inputs().set_script(this);
}

Replay::~Replay() { machine_.inputs().set_script(nullptr); }

u64 Replay::next_instant() const { return recording_.inputs_.empty() ? never : recording_.inputs_.front().instant; }

Input Replay::take() {
    LogRecord& next = recording_.inputs_.front();
    Input input{next.instant, next.port, std::move(next.bytes)};
    recording_.inputs_.pop_front();
    return input;
}

Ending Replay::diverged(const std::string& how) const {
    std::string text = fmt::format("the replay diverged from {} between instructions {} and {}: {}", recording_.label(), last_equal_,
                                   machine_.instructions(), how);
    if (const std::string here = host_class(); here != recording_.description_.host_class)
        text += fmt::format("; it was recorded on a host of class {}, this is {}", recording_.description_.host_class, here);
    return {EndingKind::diverged, 0, std::move(text)};
}

Ending Replay::check() {
    const LogRecord expected = recording_.checks_.front();
    recording_.checks_.pop_front();
    if (machine_.instructions() != expected.instructions || machine_.now() != expected.instant)
        return diverged(fmt::format("the clock must show {} there, and shows {}", expected.instant, machine_.now()));
    if (const Hash128 is = machine_.hash(); is != expected.hash)
        return diverged(fmt::format("the state's hash must be {} there, and is {}", expected.hash.text(), is.text()));
    last_equal_ = expected.instructions;
    return {};
}

Ending Replay::judge(const Ending& ending) {
    const auto& end = recording_.end_;
    const bool at_end = end && machine_.now() >= end->instant;
    if (!is_own(ending.kind) && !at_end)
        return ending;
    if (!end)
        return diverged(fmt::format("the machine ended ({}), which was not recorded", name_of(ending)));
    const bool same_kind = is_own(end->ending.kind) ? ending.kind == end->ending.kind && ending.verdict == end->ending.verdict
                                                    : !is_own(ending.kind);
    if (!same_kind || machine_.now() != end->instant || machine_.instructions() != end->instructions)
        return diverged(fmt::format("the machine must end at instruction {} ({}), and ended or ran on at {} ({})", end->instructions,
                                    name_of(end->ending), machine_.instructions(), name_of(ending)));
    if (const Hash128 is = machine_.hash(); is != end->hash)
        return diverged(fmt::format("the state's hash at the end must be {}, and is {}", end->hash.text(), is.text()));
    if (is_own(ending.kind))
        return ending;
    if (end->ending.kind == EndingKind::halted)
        return end->ending;
    return {EndingKind::script_over, 0, fmt::format("the recording ends here ({}), at instruction {}", name_of(end->ending), end->instructions)};
}

} // namespace vitrine::machine
