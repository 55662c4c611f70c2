// SPDX-License-Identifier: Apache-2.0
// Finds the functions bus by bus, through the bridges that the firmware has numbered, and measures their BARs.
#include "pane/pci/pci.h"

#include "pane/kernel/acpi.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/time.h"

namespace vitrine::pane {

constinit Function* functions[most_functions]{};
constinit unsigned function_count = 0;

namespace {

u64 ecam; ///< of bus 0; 0: there is none
u8 first_bus, last_bus;

constexpr u32 all_ones = ~0u;

volatile u8* register_at(u16 id, unsigned offset) {
    const u8 bus = static_cast<u8>(id >> 8);
    if (!ecam || bus < first_bus || bus > last_bus || offset >= pci::extended_size)
        return nullptr;
    return reinterpret_cast<volatile u8*>(ecam + (u64{id} << 12) + offset);
}

/// A BAR's size is what it does not take of all ones; decoding is off meanwhile.
unsigned measure(Function& f, unsigned n) {
    const unsigned at = pci::bar0 + 4 * n;
    const u32 low = config_read(f.id, at, 4);
    Bar& bar = f.bars[n];
    bar.memory = !(low & pci::bar_is_io);
    bar.wide = bar.memory && (low & pci::bar_is_64_bit) && n + 1 < Function::bar_count;
    bar.prefetchable = bar.memory && (low & pci::bar_is_prefetchable);
    const u32 high = bar.wide ? config_read(f.id, at + 4, 4) : 0;
    config_write(f.id, at, 4, all_ones);
    u64 mask = config_read(f.id, at, 4) & (bar.memory ? ~15u : ~3u);
    config_write(f.id, at, 4, low);
    if (bar.wide) {
        config_write(f.id, at + 4, 4, all_ones);
        mask |= u64{config_read(f.id, at + 4, 4)} << 32;
        config_write(f.id, at + 4, 4, high);
    } else {
        mask |= mask ? 0xffff'ffffull << 32 : 0;
    }
    bar.size = ~mask + 1;
    bar.address = (low & (bar.memory ? ~15u : ~3u)) | u64{high} << 32;
    return bar.wide ? 2 : 1;
}

void look_for_capabilities(Function& f) {
    f.express = find_capability(f.id, pci::CapabilityId::express);
    f.msi = find_capability(f.id, pci::CapabilityId::msi);
    f.msix = find_capability(f.id, pci::CapabilityId::msix);
}

void map_bars(const Function& f) {
    for (const Bar& bar : f.bars)
        if (bar.size && bar.memory && bar.address)
            map_devices(bar.address, bar.size);
}

void add(u16 id) {
    if (function_count == most_functions)
        panic("there are more than {} PCI functions", most_functions);
    Function& f = *make<Function>();
    functions[function_count++] = &f;
    f.id = id;
    f.vendor = static_cast<u16>(config_read(id, pci::vendor_id, 2));
    f.device = static_cast<u16>(config_read(id, pci::device_id, 2));
    f.class_code = config_read(id, pci::revision_id, 4) >> 8;
    f.bridge = config_read(id, pci::header_type, 1) & 0x7f;
    look_for_capabilities(f);
    if (f.bridge || f.class_code >> 16 == 0x06)
        return; // a bridge's windows are the firmware's business
    const u32 decoding = config_read(id, pci::command_offset, 2);
    command_bits(f, 0, pci::command.memory_space.mask() | pci::command.io_space.mask());
    for (unsigned n = 0; n < Function::bar_count;)
        n += measure(f, n);
    config_write(id, pci::command_offset, 2, decoding);
    map_bars(f);
}

void scan(u8 bus) {
    for (unsigned device = 0; device < 32; ++device)
        for (unsigned number = 0; number < 8; ++number) {
            const u16 id = static_cast<u16>(bus << 8 | device << 3 | number);
            if (config_read(id, pci::vendor_id, 2) == 0xffff) {
                if (number == 0)
                    break;
                continue;
            }
            add(id);
            const u8 header = static_cast<u8>(config_read(id, pci::header_type, 1));
            if (const u8 below = static_cast<u8>(config_read(id, pci::secondary_bus, 1)); (header & 0x7f) == 1 && below > bus)
                scan(below); // deeper buses have higher numbers, so this ends
            if (number == 0 && !(header & pci::multi_function))
                break;
        }
}

} // namespace

void pci_start(const MachineTables& machine) {
    if (!machine.ecam) {
        say("pane: no ECAM (MCFG table): Pane sees no PCI functions, and none can be assigned");
        return;
    }
    ecam = machine.ecam;
    first_bus = machine.ecam_first_bus;
    last_bus = machine.ecam_last_bus;
    scan(first_bus);
}

Function* function_of(u16 id) {
    for (unsigned n = 0; n < function_count; ++n)
        if (functions[n]->id == id)
            return functions[n];
    return nullptr;
}

Function* offer_virtual_function(const Function& physical, u16 id, u16 vendor, u16 device, const Bar (&bars)[Function::bar_count]) {
    if (function_count == most_functions || function_of(id))
        return nullptr;
    Function& f = *make<Function>();
    functions[function_count++] = &f;
    f.id = id;
    f.vendor = vendor;
    f.device = device;
    f.class_code = config_read(id, pci::revision_id, 4) >> 8;
    f.physical = &physical;
    f.offered = true;
    for (unsigned n = 0; n < Function::bar_count; ++n)
        f.bars[n] = bars[n];
    look_for_capabilities(f);
    map_bars(f);
    return &f;
}

u32 config_read(u16 id, unsigned offset, unsigned size) {
    volatile u8* at = register_at(id, offset);
    if (!at)
        return all_ones >> (32 - 8 * size);
    return size == 1 ? *at : size == 2 ? *reinterpret_cast<volatile u16*>(at) : *reinterpret_cast<volatile u32*>(at);
}

void config_write(u16 id, unsigned offset, unsigned size, u32 value) {
    volatile u8* at = register_at(id, offset);
    if (!at)
        return;
    if (size == 1)
        *at = static_cast<u8>(value);
    else if (size == 2)
        *reinterpret_cast<volatile u16*>(at) = static_cast<u16>(value);
    else
        *reinterpret_cast<volatile u32*>(at) = value;
}

u16 find_capability(u16 id, pci::CapabilityId capability) {
    if (!pci::status.capabilities_list(config_read(id, pci::status.offset, 2)))
        return 0;
    unsigned at = config_read(id, pci::capabilities_pointer, 1) & 0xfc;
    for (unsigned steps = 0; at >= pci::first_capability && steps < 48; ++steps) {
        if (config_read(id, at, 1) == static_cast<u8>(capability))
            return static_cast<u16>(at);
        at = config_read(id, at + 1, 1) & 0xfc;
    }
    return 0;
}

u16 find_extended_capability(u16 id, pci::ExtendedId capability) {
    unsigned at = pci::conventional_size;
    for (unsigned steps = 0; at >= pci::conventional_size && steps < 960; ++steps) {
        const u32 header = config_read(id, at, 4);
        if (header == 0 || header == all_ones)
            return 0;
        if ((header & 0xffff) == static_cast<u16>(capability))
            return static_cast<u16>(at);
        at = header >> 20 & 0xffc;
    }
    return 0;
}

void command_bits(const Function& f, u64 set, u64 clear) {
    const u64 value = config_read(f.id, pci::command_offset, 2);
    config_write(f.id, pci::command_offset, 2, static_cast<u32>((value & ~clear) | set));
}

bool reset_function(const Function& f) {
    if (!f.express || !pci::device_capabilities.function_level_reset(capability_read(f.id, f.express, pci::device_capabilities)))
        return false;
    u32 bars[Function::bar_count];
    for (unsigned n = 0; n < Function::bar_count; ++n)
        bars[n] = config_read(f.id, pci::bar0 + 4 * n, 4);
    const u64 control = capability_read(f.id, f.express, pci::device_control);
    command_bits(f, 0, pci::command.bus_master.mask());
    capability_write(f.id, f.express, pci::device_control, pci::device_control.initiate_flr.with(control, 1));
    // A function has 100 ms; until then its configuration space may answer with all ones.
    const u64 start = rdtsc(), limit = microseconds(100'000);
    while (config_read(f.id, pci::command_offset, 4) == all_ones && rdtsc() - start < limit)
        relax();
    capability_write(f.id, f.express, pci::device_control, control);
    for (unsigned n = 0; n < Function::bar_count && !f.physical; ++n)
        config_write(f.id, pci::bar0 + 4 * n, 4, bars[n]);
    return true;
}

FunctionName::FunctionName(u16 id) {
    constexpr const char* digits = "0123456789abcdef";
    const char name[] = {digits[id >> 12], digits[id >> 8 & 15], ':', digits[id >> 7 & 1], digits[id >> 3 & 15], '.', digits[id & 7], 0};
    for (unsigned n = 0; n < sizeof name; ++n)
        text[n] = name[n];
}

bool parse_function_name(std::string_view text, u16& id) {
    const auto digit = [&](unsigned n) -> unsigned {
        const char c = text[n];
        return c >= '0' && c <= '9' ? static_cast<unsigned>(c - '0') : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10 : 99;
    };
    if (text.size() != 7 || text[2] != ':' || text[5] != '.')
        return false;
    for (const unsigned n : {0, 1, 3, 4, 6})
        if (digit(n) > 15)
            return false;
    if (digit(3) > 1 || digit(6) > 7)
        return false;
    id = static_cast<u16>(digit(0) << 12 | digit(1) << 8 | digit(3) << 7 | digit(4) << 3 | digit(6));
    return true;
}

} // namespace vitrine::pane
