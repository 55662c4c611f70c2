// SPDX-License-Identifier: Apache-2.0
// Finds the device, decodes the instruction, moves the value.
#include "pane/vmx/device_memory.h"

#include "pane/guest/guest.h"
#include "pane/vmx/decode.h"
#include "pane/vmx/guest_memory.h"

namespace vitrine::pane {

namespace {

enum Segment : unsigned { cs = 1, ss = 2 };

/// A range of guest-physical addresses where something answers.
struct Range {
    u64 base, size;
    u64 (*read)(Vcpu& v, u32 offset, unsigned size);
    void (*write)(Vcpu& v, u32 offset, unsigned size, u64 value);
};

u64 read_virtio(Vcpu& v, u32 offset, unsigned size) {
    VirtioDevice& d = v.guest->virtio[offset / VirtioDevice::window];
    return d.kind() ? d.read(offset % VirtioDevice::window, size) : ~0ull;
}

void write_virtio(Vcpu& v, u32 offset, unsigned, u64 value) {
    VirtioDevice& d = v.guest->virtio[offset / VirtioDevice::window];
    if (d.kind())
        d.write(offset % VirtioDevice::window, static_cast<u32>(value));
}

constexpr Range ranges[] = {
    {0xd000'0000, Guest::virtio_slots * VirtioDevice::window, read_virtio, write_virtio},
    {IoApic::address, 0x1000, [](Vcpu& v, u32 offset, unsigned) { return u64{v.guest->io_apic.read(offset & 0xff)}; },
     [](Vcpu& v, u32 offset, unsigned, u64 value) { v.guest->io_apic.write(*v.guest, offset & 0xff, static_cast<u32>(value)); }},
    {0xfee0'0000, 0x1000,
     [](Vcpu& v, u32 offset, unsigned) { return v.apic.enabled() && !v.apic.x2apic() ? u64{v.apic.read(offset & 0xff0)} : u64{0xffff'ffff}; },
     [](Vcpu& v, u32 offset, unsigned, u64 value) {
         if (v.apic.enabled() && !v.apic.x2apic())
             v.apic.write(offset & 0xff0, static_cast<u32>(value));
     }},
};

const Range* find(u64 gpa) {
    for (const Range& r : ranges)
        if (gpa - r.base < r.size)
            return &r;
    return nullptr;
}

unsigned code_bits() {
    const u64 rights = vmread(vtx::guest_access_rights(cs));
    if ((vmread(F::guest_efer) & control::efer_lma) && (rights >> 13 & 1))
        return 64;
    return rights >> 14 & 1 ? 32 : 16;
}

u64& register_of(Vcpu& v, unsigned n, u64& rsp) {
    if (n != 4)
        return v.gpr(n);
    rsp = vmread(F::guest_rsp);
    return rsp;
}

u64 with_size(u64 old, u64 value, unsigned size) {
    if (size == 4)
        return static_cast<u32>(value); // writing 32 bits clears the upper half
    return (old & ~low_mask(8 * size)) | (value & low_mask(8 * size));
}

Assigned* assigned_at(const Guest& g, u64 gpa) {
    for (unsigned n = 0; n < g.assigned_count; ++n)
        if (g.assigned[n]->answers_at(gpa))
            return g.assigned[n];
    return nullptr;
}

} // namespace

void device_memory_access(Vcpu& v, GuestPhysical gpa) {
    u8 code[15];
    const unsigned bits = code_bits();
    const u64 rip = vmread(F::guest_rip) + (bits == 64 ? 0 : vmread(vtx::guest_base(cs)));
    const unsigned available = read_linear(v, Linear{rip}, code, sizeof code);
    MemoryMove m;
    if (!decode_move(code, available, bits, m)) {
        say("[{}] an access to {x} by an instruction that Pane does not know: {x} {x} {x} {x} {x} {x}", v.guest->config.name, gpa.value,
            code[0], code[1], code[2], code[3], code[4], code[5]);
        return v.guest->end(Ending::crash, "reached for device memory by an instruction that is no MOV");
    }
    const Range* range = find(gpa.value);
    Assigned* device = range ? nullptr : assigned_at(*v.guest, gpa.value);
    ++(range || device ? v.guest->statistics.device_accesses : v.guest->statistics.ept_violations);
    const u32 offset = range ? static_cast<u32>(gpa.value - range->base) : 0;
    u64 rsp = 0;
    u64& reg = register_of(v, m.reg, rsp);
    if (m.write) {
        const u64 value = m.immediate ? m.value : m.high_byte ? reg >> 8 : reg;
        if (range)
            range->write(v, offset, m.size, value & low_mask(8 * m.size));
        else if (device)
            device->memory_write(gpa.value, m.size, value & low_mask(8 * m.size));
    } else {
        u64 value = range ? range->read(v, offset, m.size) : device ? device->memory_read(gpa.value, m.size) : ~0ull;
        value &= low_mask(8 * m.size);
        if (m.sign_extend)
            value = sign_extend(value, 8 * m.size);
        reg = m.high_byte ? (reg & ~0xff00ull) | (value & 0xff) << 8 : with_size(reg, value, m.register_size);
        if (m.reg == 4 && !m.high_byte)
            vmwrite(F::guest_rsp, reg);
    }
    vmwrite(F::guest_rip, vmread(F::guest_rip) + m.length);
    const u64 state = vmread(F::guest_interruptibility_state);
    if (state & 3)
        vmwrite(F::guest_interruptibility_state, state & ~3ull);
}

} // namespace vitrine::pane
