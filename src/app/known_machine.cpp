// SPDX-License-Identifier: Apache-2.0
// Comparing options with what a file knows.
#include "app/known_machine.h"

#include "app/values.h"
#include "machine/net.h"

#include <algorithm>

#include <fmt/format.h>

namespace vitrine::app {

namespace {

using machine::BootFile;
using machine::Description;
using machine::DeviceConfig;
using machine::FileDescription;
using machine::MachineConfig;

std::string text_of_size(u64 bytes) {
    for (const auto& [unit, letter] : {std::pair{1_GiB, 'G'}, {1_MiB, 'M'}, {1_KiB, 'K'}})
        if (bytes % unit == 0)
            return fmt::format("{}{}", bytes / unit, letter);
    return std::to_string(bytes);
}

std::string text_of_devices(const MachineConfig& c) {
    std::string text;
    for (const DeviceConfig& device : c.devices) {
        text += (text.empty() ? "" : " ") + device.name;
        for (const auto& [key, value] : device.properties)
            text += "," + key + "=" + value;
    }
    return text.empty() ? "none" : text;
}

std::string text_of_nets(const MachineConfig& c) {
    std::string text;
    for (const machine::NetConfig& net : c.nets)
        text += (text.empty() ? "" : " ") + machine::text_of(net);
    return text.empty() ? "none" : text;
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

/// An option that says what the machine is: what it comes to, for comparing and for the message.
struct Row {
    std::string_view option;
    std::string (*value)(const MachineConfig&);
};

// clang-format off
constexpr Row rows[] = {
    {"--memory",     [](const MachineConfig& c) { return text_of_size(c.memory); }},
    {"--cpus",       [](const MachineConfig& c) { return std::to_string(c.cpus); }},
    {"--cpu",        [](const MachineConfig& c) { return c.cpu.empty() ? std::string("the default") : c.cpu; }},
    {"--vmx",        [](const MachineConfig& c) { return quoted(c.vmx); }},
    {"--iommu",      [](const MachineConfig& c) { return c.iommu.empty() ? std::string("off") : c.iommu; }},
    {"--serial",     [](const MachineConfig& c) { return fmt::format("{} serial ports", c.serial_ports); }},
    {"--append",     [](const MachineConfig& c) { return quoted(c.append); }},
    {"--device",     [](const MachineConfig& c) { return text_of_devices(c); }},
    {"--net",        [](const MachineConfig& c) { return text_of_nets(c); }},
    {"--debug-exit", [](const MachineConfig& c) { return text_of_devices(c); }},
    {"--rtc",        [](const MachineConfig& c) { return fmt::format("@{}", c.rtc); }},
    {"--seed",       [](const MachineConfig& c) { return std::to_string(c.seed); }},
    {"--stale",      [](const MachineConfig& c) { return std::string(c.stale ? "max" : "normal"); }},
    {"--disk",       [](const MachineConfig& c) { return fmt::format("{} disks", c.disks.size()); }},
};
// clang-format on

Error contradiction(std::string_view option, std::string_view file, const std::string& has) {
    return Error(fmt::format("{} contradicts {}, which has {}; leave it out", option, file, has));
}

std::vector<const BootFile*> files_of(const MachineConfig& c) {
    std::vector<const BootFile*> files;
    for (const auto& file : {&c.kernel, &c.initrd})
        if (*file)
            files.push_back(&**file);
    for (const BootFile& module : c.modules)
        files.push_back(&module);
    return files;
}

Expected<> compare_files(const Description& known, std::string_view file, const MachineConfig& given) {
    for (const std::string_view option : {"--kernel", "--initrd", "--module"}) {
        std::vector<const FileDescription*> have;
        for (const FileDescription& f : known.files)
            if (f.option == option)
                have.push_back(&f);
        std::vector<const BootFile*> got;
        for (const BootFile* f : files_of(given))
            if (f->option == option)
                got.push_back(f);
        if (got.empty())
            continue;
        if (have.empty())
            return contradiction(option, file, "none");
        if (have.size() != got.size())
            return contradiction(option, file, fmt::format("{} of them", have.size()));
        for (std::size_t n = 0; n < got.size(); ++n)
            if (machine::hash_of(got[n]->data) != have[n]->hash || got[n]->text != have[n]->text)
                return contradiction(fmt::format("{} {}", option, got[n]->name), file,
                                     fmt::format("'{}' with the XXH3 {}", have[n]->name, have[n]->hash.text()));
    }
    return {};
}

} // namespace

Expected<> take_machine(const Description& known, std::string_view file, RunOptions& options) {
    const auto given = [&](std::string_view option) {
        return std::find(options.given.begin(), options.given.end(), option) != options.given.end();
    };
    const MachineConfig& mine = options.config;
    for (const Row& row : rows)
        if (given(row.option) && row.value(mine) != row.value(known.config))
            return contradiction(row.option, file, row.value(known.config));
    TRY(compare_files(known, file, mine));

    MachineConfig config = known.config;
    config.engine = mine.engine;
    config.code_cache = mine.code_cache;
    if (given("--disk"))
        config.disks = mine.disks;
    options.serial.resize(config.serial_ports, "none");
    // What was given for booting may be needed by a recording, which has no contents of its own.
    if (!config.kernel)
        config.kernel = std::move(options.config.kernel);
    if (!config.initrd)
        config.initrd = std::move(options.config.initrd);
    if (config.modules.empty())
        config.modules = std::move(options.config.modules);
    options.config = std::move(config);
    return {};
}

Expected<> find_files(const Description& known, std::string_view file, RunOptions& options) {
    MachineConfig& c = options.config;
    const bool modules = !c.modules.empty();
    std::size_t module = 0;
    for (const FileDescription& f : known.files) {
        std::optional<BootFile> given;
        if (f.option == "--module")
            given = modules ? std::optional(std::move(c.modules[module])) : std::nullopt;
        else
            given = std::move(f.option == "--kernel" ? c.kernel : c.initrd);
        BootFile boot{f.option, f.name, {}, f.text};
        if (given) {
            boot.data = std::move(given->data);
        } else {
            auto data = read_file(file, f.path);
            if (!data.ok())
                return Error(fmt::format("{}; {} FILE tells where it lies now", data.error().message, f.option), data.error().status);
            boot.data = std::move(data).value();
        }
        if (machine::hash_of(boot.data) != f.hash)
            return Error(fmt::format("{}: '{}' is not what the machine was booted from ({} with the XXH3 {}); {} FILE tells where that lies now",
                                     file, f.path, f.option, f.hash.text(), f.option));
        if (f.option != "--module")
            (f.option == "--kernel" ? c.kernel : c.initrd) = std::move(boot);
        else if (modules)
            c.modules[module] = std::move(boot);
        else
            c.modules.push_back(std::move(boot));
        module += f.option == "--module";
    }
    return {};
}

} // namespace vitrine::app
