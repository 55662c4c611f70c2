// SPDX-License-Identifier: Apache-2.0
// What a machine is, as plain data: everything that decides how it runs, and nothing that only decides how it is watched.
#pragma once

#include "base/error.h"
#include "machine/hash128.h"
#include "words/integers.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vitrine::machine {

/// A file that has been read, for booting: the name that the user gave, and its contents.
struct BootFile {
    std::string option; ///< "--kernel", for messages
    std::string name;
    std::vector<u8> data;
    std::string text; ///< --module FILE,TEXT
};

enum class DiskMode : u8 { write, read_only, overlay, discard };

/// --disk FILE[,MODE]
struct DiskConfig {
    std::string file;
    DiskMode mode = DiskMode::write;
    std::string overlay; ///< file that takes the writes, for DiskMode::overlay
};

enum class NetKind : u8 { user, tap, switch_, socket, none };

/// --net ID,kind=KIND[,key=value…]
struct NetConfig {
    std::string id;
    NetKind kind = NetKind::switch_;
    std::vector<std::pair<std::string, std::string>> properties; ///< what concerns the outside; a key may come again
};

/// --device NAME[,key=value…]
struct DeviceConfig {
    std::string name;
    std::vector<std::pair<std::string, std::string>> properties;

    const std::string* property(std::string_view key) const {
        for (const auto& [k, v] : properties)
            if (k == key)
                return &v;
        return nullptr;
    }
};

enum class Engine : u8 { automatic, interpreter, translator }; ///< automatic: the translator

struct MachineConfig {
    u64 memory = 512_MiB;
    unsigned cpus = 1;
    std::string cpu; ///< name of the model; empty: the default
    std::string vmx; ///< VMX capabilities to take away, or "on"; empty: VMX as the model has it
    std::string iommu; ///< the remapping unit: "on[,key=value…]"; empty: none
    Engine engine = Engine::automatic;
    u64 code_cache = 64_MiB;           ///< for translated code
    unsigned serial_ports = 1;
    std::optional<BootFile> kernel, initrd;
    std::vector<BootFile> modules;
    std::string append;
    std::vector<DiskConfig> disks;
    std::vector<NetConfig> nets;
    std::vector<DeviceConfig> devices;
    std::optional<u16> debug_exit;     ///< port of the isa-debug-exit device
    unsigned debug_exit_size = 4;      ///< in bytes
    i64 rtc = default_rtc;             ///< seconds since 1970, UTC, at power on
    u64 seed = 0;                      ///< RDRAND and RDSEED
    bool stale = false;                ///< processors keep translations as long as the architecture permits, and tell of stale ones
    bool qemu_board = false;           ///< as on QEMU's boards, bits 1:0 of port CF8h count, and PIRQs for the 8259s reach the I/O APIC's pins too
    bool triple_fault_resets = false;  ///< as on a board that wires SHUTDOWN to RESET, instead of stopping with an explanation

    static constexpr i64 default_rtc = 1'767'225'600; ///< 2026-01-01 00:00:00
    static constexpr unsigned most_cpus = 64;
    static constexpr unsigned most_serial_ports = 4;
    static constexpr u64 least_memory = 1_MiB, most_memory = 1024_GiB;
};

} // namespace vitrine::machine
