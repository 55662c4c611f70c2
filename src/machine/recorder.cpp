// SPDX-License-Identifier: Apache-2.0
// Recording: each record is written at once, so that what led to a crash is there afterwards.
#include "machine/recorder.h"

#include "machine/board.h"
#include "machine/description.h"
#include "machine/machine.h"
#include "machine/save_visitor.h"

namespace vitrine::machine {

Expected<std::unique_ptr<Recorder>> Recorder::start(Machine& m, const std::string& name) {
    host::NewFile created = TRY(host::NewFile::create(name)); // not within `new`, which TRY would leave without its object
    std::unique_ptr<Recorder> recorder(new Recorder(m, std::move(created)));
    SectionWriter file = TRY(SectionWriter::begin(recording_kind, recorder->file_));
    TRY(file.add("description", description_bytes(describe(m))));
    for (Disk* disk : m.board().disks()) {
        SaveVisitor v;
        TRY(disk->image().snapshot(v));
        TRY(file.add(std::string(disk->name()) + " contents", v.data()));
    }
    TRY(file.end());
    TRY(recorder->file_.commit());
    m.inputs().set_listener(recorder.get());
    return recorder;
}

Recorder::~Recorder() { machine_.inputs().set_listener(nullptr); }

void Recorder::append(LogRecord record) {
    if (!written_.ok())
        return;
    record.instant = machine_.now();
    record.instructions = machine_.instructions();
    written_ = file_.write(encode(record, chain_));
    if (!written_.ok())
        machine_.request({EndingKind::refused, 0, "--record: " + written_.error().message});
}

void Recorder::delivered(const Input& input) {
    LogRecord record;
    record.port = input.port;
    record.bytes = input.bytes;
    append(std::move(record));
}

void Recorder::check() {
    LogRecord record;
    record.kind = RecordKind::check;
    record.hash = machine_.hash();
    append(std::move(record));
}

Expected<> Recorder::finish(const Ending& ending) {
    LogRecord record;
    record.kind = RecordKind::end;
    record.hash = machine_.hash();
    record.ending = ending;
    record.ending.text.resize(std::min<std::size_t>(record.ending.text.size(), LogRecord::most_bytes / 2));
    append(std::move(record));
    TRY(written_);
    return file_.sync();
}

} // namespace vitrine::machine
