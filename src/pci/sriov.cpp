// SPDX-License-Identifier: Apache-2.0
// SR-IOV: registers, routing ids and addresses of virtual functions.
#include "pci/sriov.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <bit>

namespace vitrine::pci {

SrIov::SrIov(Function& function, unsigned offset, Options options)
    : Capability(function, offset, sriov_length), options_(std::move(options)) {
    function.link_extended(ExtendedId::single_root_io_virtualization, 1, offset);
    ConfigSpace& c = config();
    c.add(offset + sriov_capabilities, 4, "SRIOVCAP", 0);
    c.add(sriov_control, offset);
    c.add(offset + sriov_status, 2, "SRIOVSTA", 0);
    c.add(offset + sriov_initial_vfs, 2, "INITVFS", options_.total_vfs);
    c.add(offset + sriov_total_vfs, 2, "TOTALVFS", options_.total_vfs);
    c.add(offset + sriov_num_vfs, 2, "NUMVFS", 0, 0xffff);
    c.add(offset + sriov_dependency, 1, "FDL", 0);
    c.add(offset + sriov_first_offset, 2, "VFOFF", options_.first_offset_without_ari);
    c.add(offset + sriov_stride, 2, "VFSTRIDE", options_.stride);
    c.add(offset + sriov_vf_device, 2, "VFDID", options_.vf_device);
    c.add(offset + sriov_supported_page_sizes, 4, "SUPPGSZ", sriov_page_sizes);
    c.add(offset + sriov_system_page_size, 4, "SYSPGSZ", 1, sriov_page_sizes);
    static constexpr std::array<const char*, bar_count> names{"VFBAR0", "VFBAR1", "VFBAR2", "VFBAR3", "VFBAR4", "VFBAR5"};
    for (const VfBar& b : options_.bars) {
        VERIFY(b.n < bar_count && std::has_single_bit(b.size) && b.kind != BarKind::io);
        const bool wide = b.kind != BarKind::memory_32;
        const u32 type = b.kind == BarKind::memory_64                ? bar_is_64_bit
                         : b.kind == BarKind::memory_64_prefetchable ? bar_is_64_bit | bar_is_prefetchable
                                                                     : 0;
        const u64 mask = ~(b.size - 1) & ~0xfull;
        c.add(offset + sriov_vf_bar0 + 4 * b.n, 4, names[b.n], type, static_cast<u32>(mask));
        if (wide)
            c.add(offset + sriov_vf_bar0 + 4 * b.n + 4, 4, names[b.n + 1], 0, static_cast<u32>(mask >> 32));
    }
    c.add(offset + sriov_migration_state, 4, "VFMSAO", 0);
}

bool SrIov::enabled() const { return sriov_control.vf_enable(config().get(sriov_control, offset())); }

bool SrIov::memory_enabled() const {
    return enabled() && sriov_control.vf_memory_space_enable(config().get(sriov_control, offset()));
}

unsigned SrIov::count() const {
    return enabled() ? std::min<unsigned>(config().get(offset() + sriov_num_vfs, 2), options_.total_vfs) : 0;
}

u16 SrIov::requester_id(unsigned vf) const {
    return static_cast<u16>(function_.requester_id() + config().get(offset() + sriov_first_offset, 2) + vf * options_.stride);
}

bool SrIov::has(u16 requester) const {
    const u16 from_first = static_cast<u16>(requester - requester_id(0));
    return from_first % options_.stride == 0 && from_first / options_.stride < count();
}

const SrIov::VfBar* SrIov::bar(unsigned n) const {
    for (const VfBar& b : options_.bars)
        if (b.n == n)
            return &b;
    return nullptr;
}

/// Each VF's BAR begins on a page of its own.
u64 SrIov::spacing(const VfBar& b) const {
    const u32 pages = config().get(offset() + sriov_system_page_size, 4);
    return std::max<u64>(b.size, pages ? page_size << std::countr_zero(pages) : page_size);
}

std::optional<u64> SrIov::bar_address(unsigned n, unsigned vf) const {
    const VfBar* b = bar(n);
    if (!b || !memory_enabled() || vf >= count() || (function_.power() && !function_.memory_decoded()))
        return std::nullopt;
    const unsigned at = offset() + sriov_vf_bar0 + 4 * n;
    u64 base = config().get(at, 4) & ~0xfull;
    if (b->kind != BarKind::memory_32)
        base |= static_cast<u64>(config().get(at + 4, 4)) << 32;
    const u64 all = spacing(*b) * options_.total_vfs;
    if (base == 0 || base + (all - 1) < base)
        return std::nullopt;
    return base + vf * spacing(*b);
}

std::vector<Wish> SrIov::wishes() {
    std::vector<Wish> list;
    for (const VfBar& b : options_.bars)
        list.push_back({b.kind, align_up(b.size * options_.total_vfs, b.size), b.size, [this, b](u64 base) {
                            const unsigned at = offset() + sriov_vf_bar0 + 4 * b.n;
                            config().write(at, 4, static_cast<u32>(base));
                            if (b.kind != BarKind::memory_32)
                                config().write(at + 4, 4, static_cast<u32>(base >> 32));
                        }});
    return list;
}

/// What follows from the control register.
void SrIov::follow() {
    ConfigSpace& c = config();
    const u64 control = c.get(sriov_control, offset());
    c.set(offset() + sriov_first_offset, 2,
          sriov_control.ari_capable_hierarchy(control) ? options_.first_offset : options_.first_offset_without_ari);
    c.set_writable(offset() + sriov_num_vfs, 2, sriov_control.vf_enable(control) ? 0 : 0xffff);
}

void SrIov::written(unsigned, u32, u32) {
    follow();
    if (options_.changed)
        options_.changed();
}

void SrIov::reset() {
    follow();
    if (options_.changed)
        options_.changed();
}

VirtualFunction::VirtualFunction(const Platform& platform, std::string name, const Function& physical, const SrIov& sriov, unsigned index,
                                 Identity identity)
    : Function(platform, std::move(name), [&] {
          identity.vendor = identity.device = 0xffff;
          return identity;
      }()),
      physical_(physical), sriov_(sriov), index_(index) {
    // Memory space is the physical function's VF MSE, and there is no INTx pin.
    config().set_writable(command_offset, 2, static_cast<u32>(command.bus_master.mask()));
}

std::optional<u64> VirtualFunction::bar_address(unsigned n) const { return sriov_.bar_address(n, index_); }

} // namespace vitrine::pci
