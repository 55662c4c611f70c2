// SPDX-License-Identifier: Apache-2.0
// A whole machine in a file, and back: it goes on bit for bit.
//
// Sections: "description"; "kernel", "initrd" and "module" with the files that a reset boots from; one for each component of
// the machine, in the order of visits ("clock", "cpu0", "hpet"); "inputs", what was typed and not yet taken; one for each
// disk with what lies over its image ("disk0 contents"); "memory" in pieces; "end".
#pragma once

#include "machine/description.h"

namespace vitrine::machine {

/// Writes the machine, between two of its slices. Until the file is complete, and on any error, what stood under the name stays.
/// Disk images are not written any more afterwards: the snapshot needs them as they are.
Expected<> save_snapshot(Machine& machine, const std::string& name);

/// A snapshot that has been opened: its machine is known and can be built.
class Snapshot {
public:
    /// Reads and checks the description and the files that the machine boots from.
    static Expected<Snapshot> open(std::string_view option, const std::string& name);
    static Expected<Snapshot> read(std::string_view option, host::File file);

    /// With the boot files' contents.
    const Description& description() const { return description_; }

    /// Loads everything into a machine as new, built from the description (disks may have been found elsewhere). After an
    /// error the machine is good for nothing.
    Expected<> load(Machine& machine);

private:
    explicit Snapshot(SectionReader file) : file_(std::move(file)) {}

    Expected<> take_files();
    Expected<> load_component(Machine& machine, unsigned n);
    Expected<> load_disks(Machine& machine);

    SectionReader file_;
    Description description_;
};

} // namespace vitrine::machine
