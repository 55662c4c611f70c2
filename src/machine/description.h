// SPDX-License-Identifier: Apache-2.0
// What a snapshot or a recording says of its machine: the whole configuration, what the files it booted from were, and where
// its instructions were computed.
#pragma once

#include "base/visitor.h"
#include "machine/config.h"
#include "machine/section_file.h"

#include <string>
#include <vector>

namespace vitrine::machine {

class Machine;

/// A file that the machine boots from; its contents are elsewhere.
struct FileDescription {
    std::string option, name, text; ///< as in BootFile
    std::string path;               ///< absolute, to find it again from another directory
    u64 size = 0;
    Hash128 hash;

    void state(Visitor& v);
};

struct Description {
    MachineConfig config; ///< without the files' contents
    std::vector<FileDescription> files; ///< the kernel, the initial RAM disk, then modules; told apart by `option`
    Hash128 model;                      ///< everything that the processor model shows: `--cpu max` differs from host to host
    std::string host_class;             ///< see host_class()
    u64 instructions = 0, now = 0;      ///< where the machine was
    Hash128 hash;                       ///< of its state there

    void state(Visitor& v);
};

/// Of the machine as it is.
Description describe(Machine& machine);

/// As a section's contents and back.
std::vector<u8> description_bytes(Description description);
Expected<Description> read_description(SectionReader& file, std::string_view section);

/// Nothing, or one sentence: the host's processor does not show what the machine's did.
Expected<> check_model(const Description& description);

/// Hosts of one class give the same results for instructions whose results the manuals leave open: approximations
/// (RCPPS, RSQRTPS), x87 transcendentals, undefined flags. "GenuineIntel" and "AuthenticAMD" are two.
std::string host_class();

} // namespace vitrine::machine
