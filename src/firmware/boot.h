// SPDX-License-Identifier: Apache-2.0
// Direct boot without a BIOS: finds out what a kernel image is, loads it with its companions, and writes the platform's
// tables.
#pragma once

#include "base/error.h"
#include "firmware/board.h"
#include "firmware/boot_state.h"
#include "memory/space.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vitrine::firmware {

/// A file that somebody has read, and the words that name it in a message: option "--kernel", name "bzImage".
struct File {
    std::string option;
    std::string name;
    std::span<const u8> data;

    /// "--kernel bzImage: WHAT"
    Error wrong(const std::string& what, const char* file = __builtin_FILE(), int line = __builtin_LINE()) const {
        return Error(option + " " + name + ": " + what, Status::usage, file, line);
    }
};

/// --module FILE[,TEXT]
struct Module {
    File file;
    std::string command_line; ///< as the kernel gets it, file name included
};

/// One entry of Linux's setup_data list.
struct SetupData {
    u32 type;
    std::vector<u8> data;
};

struct BootRequest {
    File kernel;
    std::string program_name; ///< first word of a Multiboot command line; usually the kernel's path
    std::string append;
    std::optional<File> initrd; ///< Multiboot and PVH: the first module
    std::vector<Module> modules;
    std::vector<SetupData> setup_data; ///< Linux only
};

/// Writes everything into RAM and says where the boot processor starts. May be called again at a reset of the platform:
/// all memory that the protocols promise to be zero is cleared. On an error RAM may be half written.
[[nodiscard]] Expected<BootState> boot(const BootRequest& request, const Board& board, Space& space);

/// Where the FACS lies, and what a system that went to sleep left in it: the real-mode address that firmware jumps to when it
/// wakes; 0 for none.
u64 facs_address(const Space& space);
u32 waking_vector(Space& space);

} // namespace vitrine::firmware
