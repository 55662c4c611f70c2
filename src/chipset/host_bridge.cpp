// SPDX-License-Identifier: Apache-2.0
// The host bridge: its registers and the two things that they do, moving ECAM and locking SMRAM.
#include "chipset/host_bridge.h"

#include <algorithm>

namespace vitrine {

using namespace mch;

namespace {

constexpr u32 first_segment = 0xc0000, segment_size = 0x4000, bios_segment = 0xf0000;

} // namespace

HostBridge::HostBridge(const pci::Platform& platform, pci::RootComplex& root, const Memory& memory)
    : Function(platform, "host-bridge",
               {.vendor = mch::vendor,
                .device = mch::device,
                .revision = 2,
                .class_code = 0x060000,
                .subsystem_vendor = mch::vendor,
                .subsystem = mch::device}),
      root_(root) {
    static constexpr std::array<const char*, pam_registers> pam_names{"PAM0", "PAM1", "PAM2", "PAM3",
                                                                      "PAM4", "PAM5", "PAM6"};
    pci::ConfigSpace& c = config();
    c.add(epbar, 4, "EPBAR", 0, 0xffff'f001);
    c.add(epbar + 4, 4, "EPBARH", 0, 0xf);
    c.add(mchbar, 4, "MCHBAR", 0, 0xffff'c001);
    c.add(mchbar + 4, 4, "MCHBARH", 0, 0xf);
    c.add(ggc, 2, "GGC", 2); // no internal graphics decode
    c.add(deven, 4, "DEVEN", 1);
    c.add(pciexbar, 0, 0xe000'0000);
    c.add(pciexbar_high, 4, "PCIEXBARH", 0, 0xf);
    c.add(dmibar, 4, "DMIBAR", 0, 0xffff'f001);
    c.add(dmibar + 4, 4, "DMIBARH", 0, 0xf);
    for (unsigned n = 0; n < pam_registers; ++n)
        c.add(pam0 + n, 1, pam_names[n], 0, n == 0 ? 0x30 : 0x33);
    c.add(lac, 1, "LAC", 0, 0x81);
    c.add(remap_base, 2, "REMAPBASE", 0x3ff, 0x3ff);
    c.add(remap_limit, 2, "REMAPLIMIT", 0, 0x3ff);
    c.add(smram, 0, 2);
    c.add(esmramc, 0, 0x38);
    const u64 top = memory.above_4g ? 4_GiB + memory.above_4g : memory.below_4g;
    c.add(tom, 2, "TOM", static_cast<u32>((memory.below_4g + memory.above_4g) >> 26), 0x1ff);
    c.add(touud, 2, "TOUUD", static_cast<u32>(std::max(top, u64{4_GiB}) >> 20), 0xffff);
    c.add(tseg_base, 4, "TSEGMB", 0, 0xfff0'0000);
    c.add(tolud, 2, "TOLUD", static_cast<u32>(memory.below_4g >> 20) << 4, 0xfff0);
    c.add(error_status, 2, "ERRSTS", 0);
    c.add(error_command, 2, "ERRCMD", 0, 0x1a03);
    c.add(smi_command, 2, "SMICMD", 0, 3);
    c.add(scratchpad, 4, "SKPD", 0, 0xffff'ffff);
}

void HostBridge::set_up_without_firmware(u64 ecam_base, u64 ecam_size) {
    const u64 length = ecam_size == 256_MiB ? 0 : ecam_size == 128_MiB ? 1 : 2;
    // All at once, as far as anybody who looks at the map is concerned.
    for (unsigned n = 1; n < pam_registers; ++n)
        config().set(pam0 + n, 1, 0x33);
    config_write(pam0, 1, 0x30);
    config_write(smram_offset, 1, static_cast<u32>(smram.lock.mask()));
    config_write(pciexbar_high, 4, static_cast<u32>(ecam_base >> 32));
    config_write(pciexbar_low, 4, static_cast<u32>(ecam_base | length << 1 | pciexbar.enable.mask()));
}

std::array<HostBridge::Segment, HostBridge::segment_count> HostBridge::segments() const {
    std::array<Segment, segment_count> list{};
    for (unsigned n = 0; n < segment_count; ++n) {
        // PAM1 to PAM6 have the twelve 16 KiB segments, low half first; PAM0's upper half has the last 64 KiB.
        const bool bios = n == segment_count - 1;
        const u32 value = config().get(bios ? pam0 + 0u : pam0 + 1u + n / 2, 1);
        const bool high = bios || (n & 1);
        list[n] = {bios ? bios_segment : first_segment + n * segment_size, bios ? 0x10000 : segment_size,
                   (high ? pam.high_read : pam.low_read)(value) != 0,
                   (high ? pam.high_write : pam.low_write)(value) != 0};
    }
    return list;
}

bool HostBridge::smram_locked() const {
    return smram.lock(config().get(smram));
}

void HostBridge::map_ecam() {
    const u32 low = config().get(pciexbar);
    if (!pciexbar.enable(low))
        return root_.unmap_ecam();
    static constexpr std::array<u64, 4> sizes{256_MiB, 128_MiB, 64_MiB, 0};
    const u64 size = sizes[pciexbar.length(low)];
    if (!size) {
        glass().odd(Topic::chipset, "host-bridge.pciexbar-length-reserved");
        return root_.unmap_ecam();
    }
    const u64 base = static_cast<u64>(config().get(pciexbar_high, 4)) << 32 | low;
    root_.map_ecam({align_down(base, size), size});
}

void HostBridge::apply_lock() {
    // D_LCK cannot be taken back before a reset; it freezes SMRAM, the TSEG choice and where they lie.
    const bool locked = smram_locked();
    if (locked && smram.open(config().get(smram)))
        config().set(smram, smram.open, 0);
    config().set_writable(smram_offset, 1, locked ? 0 : 0x78);
    config().set_writable(esmramc_offset, 1, locked ? 0 : 0x87);
    config().set_writable(tseg_base, 4, locked ? 0 : 0xfff0'0000);
    config().set_writable(tolud, 2, locked ? 0 : 0xfff0);
}

void HostBridge::config_written(unsigned offset, unsigned size) {
    const auto touches = [&](unsigned from, unsigned n) { return offset < from + n && from < offset + size; };
    if (touches(pciexbar_low, 8))
        map_ecam();
    for (const unsigned bar : {epbar, mchbar, dmibar})
        if (touches(bar, 8) && config().get(bar, 4) & 1)
            glass().odd(Topic::chipset, "host-bridge.nothing-behind-this-base", {{"register", bar}});
    if (touches(pam0, pam_registers) || touches(smram_offset, 2)) {
        apply_lock();
        const auto plain = [](const Segment& s) { return s.read_ram && s.write_ram; };
        const auto list = segments();
        if (touches(pam0, pam_registers) && !std::all_of(list.begin(), list.end(), plain))
            glass().odd(Topic::chipset, "host-bridge.pam-not-ram", {{"register", offset}});
        if (smram.open(config().get(smram)) || esmramc.tseg_enable(config().get(esmramc)))
            glass().odd(Topic::chipset, "host-bridge.smram-used");
        if (memory_map_changed_)
            memory_map_changed_();
    }
}

void HostBridge::device_reset(Reset) {
    apply_lock();
    map_ecam();
    if (memory_map_changed_)
        memory_map_changed_();
}

void HostBridge::device_state(Visitor& v) {
    // All of it lies in configuration space.
    if (v.loading()) {
        apply_lock();
        map_ecam();
        if (memory_map_changed_)
            memory_map_changed_();
    }
}

} // namespace vitrine
