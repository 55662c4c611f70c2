// SPDX-License-Identifier: Apache-2.0
// APIC virtualisation: accesses to the APIC-access page, TPR, PPR, EOI and self-IPI virtualisation, pending virtual interrupts, posted ones, IPIs.
// SDM volume 3, APIC Virtualization and Virtual Interrupts.
#include "vtx/spec/posted_interrupts.h"
#include "vtx/unit.h"
#include "x86/model.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vitrine::vtx {

namespace {

namespace offset {
constexpr u64 tpr = 0x080, ppr = 0x0a0, eoi = 0x0b0, isr = 0x100, irr = 0x200, icr_low = 0x300, icr_high = 0x310, self_ipi = 0x3f0;
}

/// The interrupt command: what must be zero for the processor to virtualise it.
namespace command {
constexpr u32 reserved = 0xfff0'0000 | 3 << 16 | 3 << 12, ///< and the delivery status
    plain = 1 << 15 | 7 << 8,                             ///< trigger and delivery mode: an edge, fixed
    shorthand = 3 << 18, self = 1 << 18, logical = 1 << 11;

constexpr bool to_one(u32 value) { return !(value & (reserved | plain | shorthand | logical)); }
} // namespace command

/// Registers that APIC-register virtualisation lets be read from the virtual-APIC page.
bool readable(u64 o) {
    return o == 0x020 || o == 0x030 || o == 0x080 || o == 0x0b0 || o == 0x0d0 || o == 0x0e0 || o == 0x0f0 || (o >= 0x100 && o <= 0x280) ||
           (o >= 0x300 && o <= 0x380) || o == 0x3e0;
}

/// And those that may be written there: not the version register.
bool writable(u64 o) {
    return o == 0x020 || o == 0x080 || o == 0x0b0 || o == 0x0d0 || o == 0x0e0 || o == 0x0f0 || o == 0x280 || (o >= 0x300 && o <= 0x380) ||
           o == 0x3e0;
}

} // namespace

u32 Unit::virtual_register(u64 o) const { return cpu_.space().read<u32>(Physical{vmcs_[F::virtual_apic_address] + o}, cpu_.requester()); }

void Unit::set_virtual_register(u64 o, u32 value) { cpu_.space().write<u32>(Physical{vmcs_[F::virtual_apic_address] + o}, value, cpu_.requester()); }

bool Unit::delivers_virtual() const { return vtx::secondary.virtual_interrupt_delivery(secondary_controls()) != 0; }

void Unit::set_virtual_bit(u64 base, unsigned vector, bool on) {
    const u64 o = base + vector / 32 * 16;
    const u32 mask = 1u << (vector % 32), old = virtual_register(o);
    set_virtual_register(o, on ? old | mask : old & ~mask);
}

u8 Unit::highest_virtual_bit(u64 base) const {
    for (unsigned word = 8; word-- > 0;)
        if (const u32 value = virtual_register(base + word * 16))
            return static_cast<u8>(word * 32 + 31 - static_cast<unsigned>(std::countl_zero(value)));
    return 0;
}

u8 Unit::rvi() const { return static_cast<u8>(vmcs_[F::guest_interrupt_status]); }

u8 Unit::svi() const { return static_cast<u8>(vmcs_[F::guest_interrupt_status] >> 8); }

void Unit::set_interrupt_status(u8 new_rvi, u8 new_svi) { vmcs_.set(F::guest_interrupt_status, new_rvi | u64{new_svi} << 8); }

void Unit::virtualize_ppr() {
    const u8 task = vtpr();
    set_virtual_register(offset::ppr, task >> 4 >= svi() >> 4 ? task : svi() & 0xf0u);
}

void Unit::evaluate_virtual() {
    cpu_.virtual_interrupt = rvi() >> 4 > (virtual_register(offset::ppr) & 0xff) >> 4;
    cpu_.events_changed();
}

void Unit::virtualize_tpr() {
    if (delivers_virtual()) {
        virtualize_ppr();
        evaluate_virtual();
    } else if (vtpr() >> 4 < (vmcs_[F::tpr_threshold] & 15)) {
        trap_exit(ExitReason::tpr_below_threshold, 0);
    }
}

void Unit::virtualize_eoi() {
    const u8 vector = svi();
    set_virtual_bit(offset::isr, vector, false);
    set_interrupt_status(rvi(), highest_virtual_bit(offset::isr));
    virtualize_ppr();
    if (vmcs_[after(F::eoi_exit_bitmap_0, vector / 64u)] >> (vector % 64) & 1)
        trap_exit(ExitReason::virtualized_eoi, vector);
    else
        evaluate_virtual();
}

bool Unit::virtualizes_ipis() const { return vtx::tertiary.ipi_virtualization(tertiary_controls()) != 0; }

/// IPI Virtualization: the interrupt is posted for the virtual processor with APIC id `target`, and that one notified. False: nothing is
/// done, and an APIC-write exit is due.
bool Unit::virtualize_ipi(u8 vector, u32 target) {
    constexpr u8 lowest_legal = 16;
    if (vector < lowest_legal || target > vmcs_[F::last_pid_pointer_index])
        return false;
    const u64 pointer = cpu_.space().read<u64>(Physical{vmcs_[F::pid_pointer_table] + 8 * u64{target}}, cpu_.requester());
    if (pid_pointer.valid(pointer) != 1 || pid_pointer.reserved(pointer) || pointer >> cpu_.model().physical_bits)
        return false;
    const Physical descriptor{pointer & ~low_mask(6)};
    const Physical requests = descriptor + vector / 32 * 4;
    cpu_.space().write<u32>(requests, cpu_.space().read<u32>(requests, cpu_.requester()) | 1u << (vector % 32), cpu_.requester());
    const Physical at = descriptor + PostedControl::offset;
    const u64 control = cpu_.space().read<u64>(at, cpu_.requester());
    const bool notifies = !posted_control.outstanding(control) && !posted_control.suppress(control);
    if (notifies)
        cpu_.space().write<u64>(at, posted_control.outstanding.with(control, 1), cpu_.requester());
    cpu_.glass().tell(Topic::vmx, "virtual-ipi", {{"cpu", cpu_.index()}, {"vmcs", vmcs_.pointer()}, {"vector", vector}, {"target", target},
                                                  {"descriptor", descriptor.value}, {"notifies", notifies}});
    if (!ipi_counter_)
        ipi_counter_ = &cpu_.glass().counter("vmx.virtual-ipi");
    ++*ipi_counter_;
    if (notifies)
        cpu_.apic().notify(static_cast<u32>(posted_control.destination(control)), static_cast<u8>(posted_control.vector(control)));
    return true;
}

void Unit::virtualize_self_ipi(u8 vector) {
    set_virtual_bit(offset::irr, vector, true);
    set_interrupt_status(std::max(rvi(), vector), svi());
    evaluate_virtual();
}

u8 Unit::acknowledge_virtual(Cpu& cpu) {
    const u8 vector = rvi();
    set_virtual_bit(offset::isr, vector, true);
    set_virtual_bit(offset::irr, vector, false);
    set_virtual_register(offset::ppr, vector & 0xf0u);
    set_interrupt_status(highest_virtual_bit(offset::irr), vector);
    cpu.virtual_interrupt = false;
    count("vmx.virtual-interrupt", virtual_counter_);
    cpu.glass().tell(Topic::vmx, "virtual-interrupt", {{"cpu", cpu.index()}, {"vmcs", vmcs_.pointer()}, {"vector", vector}});
    return vector;
}

/// An exit that comes after the instruction under way.
void Unit::trap_exit(ExitReason reason, u64 qualification) {
    trap_reason_ = reason;
    trap_qualification_ = qualification;
    cpu_.trap_exit_due = true;
    cpu_.events_changed();
    cpu_.leave_block();
}

void Unit::start_virtual_interrupts() {
    cpu_.virtual_interrupt = false;
    const u64 two = secondary_controls();
    cpu_.apic_access_page = vtx::secondary.virtualize_apic_accesses(two) ? vmcs_[F::apic_access_address] : ~0ull;
    if (cpu_.apic_access_page != last_apic_page_) {
        last_apic_page_ = cpu_.apic_access_page;
        cpu_.tlb().drop_tags(); // accesses to the page may not go past the checks
    }
    if (delivers_virtual()) {
        virtualize_ppr();
        evaluate_virtual();
    } else if (on(vtx::primary.use_tpr_shadow, F::primary) && vtx::secondary.virtualize_apic_accesses(two) && vtpr() >> 4 < (vmcs_[F::tpr_threshold] & 15)) {
        trap_exit(ExitReason::tpr_below_threshold, 0);
    }
}

Faultable<bool> Unit::apic_access(Cpu& cpu, Linear, Physical at, void* data, unsigned size, ApicUse use) {
    const u64 o = at.page_offset();
    const u64 two = secondary_controls();
    const bool registers = vtx::secondary.apic_register_virtualization(two) != 0;
    // Only within the low four bytes of a register.
    const bool narrow = data && size <= 4 && (o & 15) + size <= 4 && on(vtx::primary.use_tpr_shadow, F::primary);
    const u64 r = o & ~u64{15};
    bool virtualized = narrow && use != ApicUse::fetch;
    if (use == ApicUse::read)
        virtualized = virtualized && (registers ? readable(r) : r == offset::tpr);
    else
        virtualized = virtualized && (registers ? writable(r)
                                                : r == offset::tpr || (delivers_virtual() && (r == offset::eoi || r == offset::icr_low)) ||
                                                      (virtualizes_ipis() && (r == offset::icr_low || r == offset::icr_high)));
    if (!virtualized) {
        constexpr u64 types[] = {0, 1, 2};
        recorded_ = {ExitReason::apic_access, o | types[static_cast<unsigned>(use)] << 12, {}};
        recorded_.information.set_rf = true;
        if (const Instruction* i = cpu.current_instruction())
            recorded_.information.instruction_length = i->length;
        return cpu.raise_exit();
    }
    const Physical page{vmcs_[F::virtual_apic_address] + o};
    if (use == ApicUse::read) {
        cpu.space().read(page, {static_cast<u8*>(data), size}, cpu.requester());
        return true;
    }
    cpu.space().write(page, std::span<const u8>(static_cast<const u8*>(data), size), cpu.requester());
    emulate_write(r);
    return true;
}

/// APIC-Write Emulation: after the store.
void Unit::emulate_write(u64 r) {
    switch (r) {
    case offset::tpr:
        set_virtual_register(r, virtual_register(r) & 0xff);
        return virtualize_tpr();
    case offset::eoi:
        if (!delivers_virtual())
            break;
        set_virtual_register(r, 0);
        return virtualize_eoi();
    case offset::icr_low: {
        const u32 value = virtual_register(r);
        if (delivers_virtual() && !(value & (command::reserved | command::plain)) && (value & command::shorthand) == command::self && (value & 0xf0))
            return virtualize_self_ipi(static_cast<u8>(value));
        if (virtualizes_ipis() && command::to_one(value) && virtualize_ipi(static_cast<u8>(value), virtual_register(offset::icr_high) >> 24))
            return;
        break;
    }
    case offset::icr_high: return set_virtual_register(r, virtual_register(r) & 0xff00'0000);
    default: break;
    }
    trap_exit(ExitReason::apic_write, r);
}

/// RDMSR and WRMSR of 800h to 8ffh with "virtualize x2APIC mode". Outcome::next: not virtualised.
Outcome Unit::x2apic_access(u32 msr, bool write) {
    const u64 two = secondary_controls();
    constexpr u32 tpr = 0x808, eoi = 0x80b, interrupt_command = 0x830, self_ipi = 0x83f;
    if (!vtx::secondary.virtualize_x2apic_mode(two) || msr >> 8 != 8)
        return Outcome::next;
    const u64 low = cpu_.gpr[rax] & low_mask(32), high = cpu_.gpr[rdx] & low_mask(32);
    if (!write) {
        if (msr != tpr && !vtx::secondary.apic_register_virtualization(two))
            return Outcome::next;
        const u64 value = cpu_.space().read<u64>(Physical{vmcs_[F::virtual_apic_address] + ((msr & 0xff) << 4)}, cpu_.requester());
        cpu_.gpr[rax] = value & low_mask(32);
        cpu_.gpr[rdx] = value >> 32;
        return Outcome::end;
    }
    if (msr == tpr) {
        if (high || low >> 8)
            return cpu_.gp();
        cpu_.space().write<u64>(Physical{vmcs_[F::virtual_apic_address] + offset::tpr}, low, cpu_.requester());
        virtualize_tpr();
        return Outcome::end;
    }
    if (msr == interrupt_command && virtualizes_ipis()) {
        constexpr u64 refused = command::reserved & ~(1u << 12); // the delivery status is no fault
        if (low & refused)
            return cpu_.gp();
        cpu_.space().write<u64>(Physical{vmcs_[F::virtual_apic_address] + offset::icr_low}, low | high << 32, cpu_.requester());
        if (!command::to_one(static_cast<u32>(low)) || !virtualize_ipi(static_cast<u8>(low), static_cast<u32>(high)))
            trap_exit(ExitReason::apic_write, offset::icr_low);
        return Outcome::end;
    }
    if (!delivers_virtual() || (msr != eoi && msr != self_ipi))
        return Outcome::next;
    if (msr == eoi) {
        if (high || low)
            return cpu_.gp();
        virtualize_eoi();
        return Outcome::end;
    }
    if (high || low >> 8)
        return cpu_.gp();
    cpu_.space().write<u64>(Physical{vmcs_[F::virtual_apic_address] + offset::self_ipi}, low, cpu_.requester());
    if (low & 0xf0)
        virtualize_self_ipi(static_cast<u8>(low));
    else
        trap_exit(ExitReason::apic_write, offset::self_ipi);
    return Outcome::end;
}

/// Posted-Interrupt Processing, when the external interrupt is the notification. False: it is an ordinary one.
bool Unit::posted(u8 vector) {
    if (!on(pin.process_posted_interrupts, F::pin_based) || vector != (vmcs_[F::posted_interrupt_vector] & 0xff))
        return false;
    count("vmx.posted-notification", posted_counter_);
    const Physical descriptor{vmcs_[F::posted_interrupt_descriptor]};
    const u64 control = cpu_.space().read<u64>(descriptor + PostedControl::offset, cpu_.requester());
    cpu_.space().write<u64>(descriptor + PostedControl::offset, posted_control.outstanding.with(control, 0), cpu_.requester());
    if (!cpu_.apic().write_msr(0x80b, 0)) {
        Access eoi{.offset = offset::eoi, .size = 4, .write = true, .requester = cpu_.requester()};
        cpu_.apic().access(eoi);
    }
    u8 highest = 0;
    for (unsigned word = 0; word < 8; ++word) {
        const Physical at = descriptor + word * 4;
        const u32 requests = cpu_.space().read<u32>(at, cpu_.requester());
        if (!requests)
            continue;
        cpu_.space().write<u32>(at, 0, cpu_.requester());
        set_virtual_register(offset::irr + word * 16, virtual_register(offset::irr + word * 16) | requests);
        highest = static_cast<u8>(word * 32 + 31 - static_cast<unsigned>(std::countl_zero(requests)));
    }
    set_interrupt_status(std::max(rvi(), highest), svi());
    cpu_.glass().tell(Topic::vmx, "posted-interrupts", {{"cpu", cpu_.index()}, {"vmcs", vmcs_.pointer()}, {"descriptor", descriptor.value}, {"highest", highest}});
    evaluate_virtual();
    return true;
}

} // namespace vitrine::vtx
