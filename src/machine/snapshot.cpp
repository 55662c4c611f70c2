// SPDX-License-Identifier: Apache-2.0
// Snapshots: the sections one by one.
#include "machine/snapshot.h"

#include "machine/board.h"
#include "machine/machine.h"
#include "machine/memory_image.h"
#include "machine/save_visitor.h"

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr FileKind kind{"vitrine snapshot", "snapshot of a machine", 1};

constexpr u64 most_component = 256_MiB;
constexpr u64 most_file = 16_GiB;
constexpr u64 most_disk = u64{1} << 46;

std::string section_of(const FileDescription& file) { return file.option.substr(2); }

std::string section_of(const Disk& disk) { return std::string(disk.name()) + " contents"; }

template <class Part> Expected<> add_state(SectionWriter& file, std::string_view name, Part& part) {
    SaveVisitor v;
    part.state(v);
    return file.add(name, v.data());
}

} // namespace

Expected<> save_snapshot(Machine& m, const std::string& name) {
    host::NewFile out = TRY(host::NewFile::create(name));
    SectionWriter file = TRY(SectionWriter::begin(kind, out));
    TRY(file.add("description", description_bytes(describe(m))));
    const MachineConfig& config = m.config();
    if (config.kernel)
        TRY(file.add("kernel", config.kernel->data));
    if (config.initrd)
        TRY(file.add("initrd", config.initrd->data));
    for (const BootFile& module : config.modules)
        TRY(file.add("module", module.data));
    for (unsigned n = 0; n < m.components(); ++n) {
        SaveVisitor v;
        m.visit(n, v);
        TRY(file.add(m.component_name(n), v.data()));
    }
    TRY(add_state(file, "inputs", m.inputs()));
    for (Disk* disk : m.board().disks()) {
        SaveVisitor v;
        TRY(disk->image().snapshot(v));
        TRY(file.add(section_of(*disk), v.data()));
    }
    TRY(save_memory(m.space(), file));
    TRY(file.end());
    return out.commit();
}

Expected<Snapshot> Snapshot::open(std::string_view option, const std::string& name) {
    Snapshot snapshot(TRY(SectionReader::open(kind, option, name)));
    TRY(snapshot.take_files());
    return snapshot;
}

Expected<Snapshot> Snapshot::read(std::string_view option, host::File file) {
    Snapshot snapshot(TRY(SectionReader::read(kind, option, std::move(file))));
    TRY(snapshot.take_files());
    return snapshot;
}

Expected<> Snapshot::take_files() {
    description_ = TRY(read_description(file_, "description"));
    MachineConfig& config = description_.config;
    for (const FileDescription& file : description_.files) {
        auto contents = TRY(file_.take(section_of(file), most_file)); // first: TRY leaves no half-made object behind
        BootFile boot{file.option, file.name, std::move(contents), file.text};
        if (boot.data.size() != file.size || hash_of(boot.data) != file.hash)
            return file_.error(section_of(file), "is not the file of the description");
        const bool once = file.option != "--module";
        if (once && (file.option == "--kernel" ? config.kernel : config.initrd))
            return file_.error("description", "names two files for " + file.option);
        if (!once)
            config.modules.push_back(std::move(boot));
        else
            (file.option == "--kernel" ? config.kernel : config.initrd) = std::move(boot);
    }
    if (auto same = check_model(description_); !same.ok())
        return Error(file_.error(same.error().message).message, same.error().status);
    return {};
}

Expected<> Snapshot::load_component(Machine& m, unsigned n) {
    const std::string name = m.component_name(n);
    const std::vector<u8> bytes = TRY(file_.take(name, most_component));
    LoadVisitor v(bytes);
    m.visit(n, v);
    v.finish();
    if (!v.problem().empty())
        return file_.error(name, fmt::format("does not fit: {}; {} wrote it, this is {}", v.problem(), file_.writer(), this_program()));
    return {};
}

Expected<> Snapshot::load_disks(Machine& m) {
    for (Disk* disk : m.board().disks()) {
        const std::vector<u8> bytes = TRY(file_.take(section_of(*disk), most_disk));
        LoadVisitor v(bytes);
        if (auto loaded = disk->image().snapshot(v); !loaded.ok())
            return Error(file_.error(section_of(*disk), "does not fit: " + loaded.error().message).message, loaded.error().status);
        v.finish();
        if (!v.problem().empty())
            return file_.error(section_of(*disk), "does not fit: " + v.problem());
    }
    return {};
}

Expected<> Snapshot::load(Machine& m) {
    m.armed_lines().forget();
    for (unsigned n = 0; n < m.components(); ++n)
        TRY(load_component(m, n));
    const std::vector<u8> inputs = TRY(file_.take("inputs", most_component));
    LoadVisitor v(inputs);
    m.inputs().state(v);
    v.finish();
    if (!v.problem().empty())
        return file_.error("inputs", "does not fit: " + v.problem());
    TRY(load_disks(m));
    TRY(load_memory(m.space(), file_));
    m.armed_lines().rearm();
    TRY(file_.end());
    // The last word: whatever a section may have held, this is the machine that was saved.
    if (const Hash128 is = m.hash(); is != description_.hash)
        return file_.error(fmt::format("the restored machine has the hash {}, and must have {}; {} wrote it, this is {}", is.text(),
                                       description_.hash.text(), file_.writer(), this_program()));
    return {};
}

} // namespace vitrine::machine
