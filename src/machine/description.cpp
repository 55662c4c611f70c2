// SPDX-License-Identifier: Apache-2.0
// Descriptions of machines: made, saved, loaded, and checked as what strangers wrote.
#include "machine/description.h"

#include "machine/device_table.h"
#include "machine/machine.h"
#include "machine/save_visitor.h"
#include "x86/model.h"

#include <filesystem>

#include <cpuid.h>
#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr u64 most_bytes = 16_MiB; ///< of a description
constexpr u64 most_files = 1024;

void visit(Visitor& v, std::string_view name, Hash128& hash) {
    u64 low = static_cast<u64>(hash.value), high = static_cast<u64>(hash.value >> 64);
    v.field(name, low);
    v.field(name, high);
    hash.value = static_cast<u128>(high) << 64 | low;
}

void visit(Visitor& v, DiskConfig& disk) {
    v.begin("disk");
    v.field("file", disk.file);
    v.field("mode", disk.mode);
    v.field("overlay", disk.overlay);
    v.end();
    if (disk.mode > DiskMode::discard)
        v.refuse("a disk has an unknown mode");
}

void visit(Visitor& v, NetConfig& net) {
    v.begin("net");
    v.field("id", net.id);
    v.field("kind", net.kind);
    net.properties.resize(v.count("properties", net.properties.size(), most_files));
    for (auto& [key, value] : net.properties) {
        v.field("key", key);
        v.field("value", value);
    }
    v.end();
    if (net.kind > NetKind::none)
        v.refuse("a network is of an unknown kind");
}

void visit(Visitor& v, DeviceConfig& device) {
    v.begin("device");
    v.field("name", device.name);
    device.properties.resize(v.count("properties", device.properties.size(), most_files));
    for (auto& [key, value] : device.properties) {
        v.field("key", key);
        v.field("value", value);
    }
    v.end();
    if (v.loading())
        if (auto known = check_device(device); !known.ok())
            v.refuse(known.error().message);
}

void visit(Visitor& v, MachineConfig& c) {
    // A new member does not compile until it is thought of here. The engine never matters, the debug exit is among the devices,
    // files are described apart.
    [[maybe_unused]] const auto& [memory, cpus, cpu, vmx, iommu, engine, code_cache, serial_ports, kernel, initrd, modules, append, disks, nets, devices,
                                  debug_exit, debug_exit_size, rtc, seed, stale, qemu_board, triple_fault_resets] = c;
    v.begin("config");
    v.field("memory", c.memory);
    v.field("cpus", c.cpus);
    v.field("cpu", c.cpu);
    v.field("vmx", c.vmx);
    v.field("iommu", c.iommu);
    v.field("serial ports", c.serial_ports);
    v.field("append", c.append);
    v.field("rtc", c.rtc);
    v.field("seed", c.seed);
    v.field("stale", c.stale);
    v.field("QEMU board", c.qemu_board);
    v.field("triple fault resets", c.triple_fault_resets);
    c.disks.resize(v.count("disks", c.disks.size(), most_files));
    for (DiskConfig& disk : c.disks)
        visit(v, disk);
    c.nets.resize(v.count("nets", c.nets.size(), most_files));
    for (NetConfig& net : c.nets)
        visit(v, net);
    c.devices.resize(v.count("devices", c.devices.size(), most_files));
    for (DeviceConfig& device : c.devices)
        visit(v, device);
    v.end();
    if (c.memory < MachineConfig::least_memory || c.memory > MachineConfig::most_memory || c.memory % page_size != 0)
        v.refuse("the memory has an impossible size");
    if (c.cpus < 1 || c.cpus > MachineConfig::most_cpus)
        v.refuse("the number of processors is impossible");
    if (c.serial_ports > MachineConfig::most_serial_ports)
        v.refuse("the number of serial ports is impossible");
}

FileDescription describe(const BootFile& file) {
    return {file.option, file.name, file.text, std::filesystem::absolute(file.name).string(), file.data.size(), hash_of(file.data)};
}

Hash128 hash_of_model(const CpuModel& model) {
    constexpr u32 bases[] = {0, 0x4000'0000, 0x8000'0000};
    std::vector<u32> shown;
    for (const u32 base : bases)
        for (u32 leaf = base; leaf < base + 0x24; ++leaf)
            for (u32 subleaf = 0; subleaf < 20; ++subleaf) {
                const CpuidResult r = model.cpuid(leaf, subleaf, {});
                shown.insert(shown.end(), {r.eax, r.ebx, r.ecx, r.edx});
            }
    return hash_of({reinterpret_cast<const u8*>(shown.data()), shown.size() * sizeof(u32)});
}

} // namespace

void FileDescription::state(Visitor& v) {
    v.field("option", option);
    v.field("name", name);
    v.field("text", text);
    v.field("path", path);
    v.field("size", size);
    visit(v, "hash", hash);
    if (option != "--kernel" && option != "--initrd" && option != "--module")
        v.refuse("a file has no place in the machine");
}

void Description::state(Visitor& v) {
    v.begin("description");
    visit(v, config);
    files.resize(v.count("files", files.size(), most_files));
    for (FileDescription& file : files)
        v.field("file", file);
    visit(v, "model", model);
    v.field("host class", host_class);
    v.field("instructions", instructions);
    v.field("now", now);
    visit(v, "hash", hash);
    v.end();
}

Description describe(Machine& machine) {
    Description d;
    const MachineConfig& c = machine.config();
    d.config = c;
    d.config.kernel.reset();
    d.config.initrd.reset();
    d.config.modules.clear();
    if (c.kernel)
        d.files.push_back(describe(*c.kernel));
    if (c.initrd)
        d.files.push_back(describe(*c.initrd));
    for (const BootFile& module : c.modules)
        d.files.push_back(describe(module));
    d.model = hash_of_model(machine.model());
    d.host_class = host_class();
    d.instructions = machine.instructions();
    d.now = machine.now();
    d.hash = machine.hash();
    return d;
}

std::vector<u8> description_bytes(Description description) {
    SaveVisitor v;
    description.state(v);
    return v.data();
}

Expected<Description> read_description(SectionReader& file, std::string_view section) {
    const std::vector<u8> bytes = TRY(file.take(section, most_bytes));
    Description d;
    LoadVisitor v(bytes);
    d.state(v);
    v.finish();
    if (!v.problem().empty())
        return file.error(section, fmt::format("does not fit: {}; {} wrote it, this is {}", v.problem(), file.writer(), this_program()));
    return d;
}

Expected<> check_model(const Description& description) {
    CpuModel model = TRY(find_cpu_model(description.config.cpu));
    if (!description.config.vmx.empty())
        model.set(Feature::vmx); // as Machine::create does
    if (hash_of_model(model) != description.model)
        return Error(fmt::format("the processor model '{}' is not the same here; a named model is, such as {}", model.name,
                                 cpu_identities()[0].name));
    return {};
}

std::string host_class() {
    u32 a = 0, text[3]{};
    __get_cpuid(0, &a, &text[0], &text[2], &text[1]);
    return std::string(reinterpret_cast<const char*>(text), sizeof text);
}

} // namespace vitrine::machine
