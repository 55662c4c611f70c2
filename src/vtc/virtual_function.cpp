// SPDX-License-Identifier: Apache-2.0
// Virtual functions and their mailboxes.
#include "vtc/virtual_function.h"

#include "pci/express.h"
#include "pci/extended.h"
#include "pci/msix.h"
#include "vtc/adapter.h"

#include <fmt/format.h>

namespace vitrine::vtc {

namespace {

constexpr u64 bar_size = 16_KiB;
constexpr u32 pending_bits = 0x2000;

} // namespace

VirtualFunction::VirtualFunction(Adapter& adapter, Clock& clock, unsigned index)
    : pci::VirtualFunction(adapter.platform(), fmt::format("{}vf{}", adapter.name(), index), adapter, adapter.sriov(), index,
                           {.vendor = 0xffff,
                            .device = 0xffff,
                            .revision = 1,
                            .class_code = 0x020000,
                            .subsystem_vendor = 0x8086,
                            .subsystem = adapter.chip().subsystem}),
      adapter_(adapter), regs_(adapter.chip().vf_registers, bar_size),
      vectors_(clock, fmt::format("{}vf{}.interrupts", adapter.name(), index), [this](unsigned n) {
                   if (n >= msix()->vectors()) // of a state that somebody wrote
                       return;
                   this->glass().tell(Topic::vtc, "interrupt", {{"function", name()}, {"requester", requester_id()}, {"vector", n}});
                   msix()->trigger(n);
               }) {
    add_virtual_bar(0, {.kind = pci::BarKind::memory_64, .size = bar_size, .name = "registers", .min_size = 4, .max_size = 8});
    add_virtual_bar(3, {.kind = pci::BarKind::memory_64, .size = bar_size, .name = "msix", .min_size = 4, .max_size = 8});
    add<pci::Msix>(0x70, pci::Msix::Options{.vectors = adapter.chip().vf_vectors, .bar = 3, .table = 0, .pending = pending_bits});
    add<pci::Express>(0xa0, pci::Express::Options{.link = adapter.chip().link});
    add<pci::Aer>(0x100);
    add<pci::Ari>(0x150);
}

void VirtualFunction::bar_access(unsigned bar, Access& a) {
    if (!a.write)
        a.value = 0;
    if (bar != 0 || !is_aligned(a.offset, 4) || adapter_.busy_at_rings(a))
        return;
    for (unsigned done = 0; done < a.size; done += 4) {
        const u32 offset = static_cast<u32>(a.offset) + done;
        if (a.write)
            adapter_.vf_write(*this, offset, static_cast<u32>(a.value >> (8 * done)));
        else
            a.value |= static_cast<u64>(adapter_.vf_read(*this, offset)) << (8 * done);
    }
}

// ---- mailbox ----------------------------------------------------------------------------------------------------------------

u32 VirtualFunction::mailbox_read() {
    const u32 value = mailbox_;
    mailbox_ &= ~mailbox::cleared_by_reading;
    return value;
}

/// The lock is taken only if the other side has not got it; a request tells the PF.
void VirtualFunction::mailbox_write(u32 value) {
    if (!(value & mailbox::vf_in_use))
        mailbox_ &= ~mailbox::vf_in_use;
    else if (!(mailbox_ & mailbox::pf_in_use))
        mailbox_ |= mailbox::vf_in_use;
    if (value & mailbox::vf_request) {
        ++requests_;
        adapter_.vf_mail(index(), true);
    }
    if (value & mailbox::vf_acknowledge)
        adapter_.vf_mail(index(), false);
}

u32 VirtualFunction::physical_mailbox_read() const {
    return (mailbox_ & mailbox::vf_in_use ? mailbox::pf_vf_in_use : 0) | (mailbox_ & mailbox::pf_in_use ? mailbox::pf_own_in_use : 0);
}

void VirtualFunction::physical_mailbox_write(u32 value) {
    if (value & mailbox::pf_free_vf)
        mailbox_ &= ~mailbox::vf_in_use;
    if (!(value & mailbox::pf_own_in_use))
        mailbox_ &= ~mailbox::pf_in_use;
    else if (!(mailbox_ & mailbox::vf_in_use))
        mailbox_ |= mailbox::pf_in_use;
    if (value & mailbox::pf_send) {
        ++replies_;
        mailbox_ |= mailbox::pf_status;
        other_cause();
    }
    if (value & mailbox::pf_send_acknowledge) {
        mailbox_ |= mailbox::pf_acknowledge;
        other_cause();
    }
}

void VirtualFunction::other_cause() { adapter_.vf_other_cause(*this); }

void VirtualFunction::physical_reset(bool done) {
    if (done) {
        mailbox_ = (mailbox_ & ~mailbox::reset_in_progress) | mailbox::reset_done;
    } else {
        mailbox_ = mailbox::reset_in_progress;
    }
    if (present())
        other_cause();
}

void VirtualFunction::soft_reset() {
    const bool physical_ready = !(mailbox_ & mailbox::reset_in_progress);
    regs_.reset();
    vectors_.reset();
    mailbox_ = physical_ready ? mailbox::reset_done : mailbox::reset_in_progress;
    adapter_.vf_was_reset(index());
}

void VirtualFunction::device_reset(Reset) { soft_reset(); }

void VirtualFunction::device_state(Visitor& v) {
    v.field("registers", regs_);
    v.field("vectors", vectors_);
    v.field("mailbox", mailbox_);
    v.field("message", message_);
    v.field("requests", requests_);
    v.field("replies", replies_);
}

std::string Adapter::describe_vf(unsigned n) const {
    if (n >= vfs_.size())
        return fmt::format("{} has virtual functions 0 to {}\n", name(), vfs_.size() - 1);
    const VirtualFunction& f = *vfs_[n];
    if (!f.present())
        return fmt::format("{}: virtual function {} is not enabled\n", name(), n);
    const PoolCounters& c = pools_[n];
    const u16 id = f.requester_id();
    return fmt::format("{}: requester {:02x}:{:02x}.{}, bus master {}, registers at {:x}\n"
                       "  mailbox: {} requests, {} replies;{}{}{}{}\n"
                       "  interrupts sent {}, held back by throttling {}\n"
                       "  received {} frames, {} bytes; sent {} frames, {} bytes, of them {} to the port's own pools\n"
                       "  lost: {} for want of a descriptor, {} with the queue off, {} too long, {} by a filter; refused: {} spoofed, {} with bad descriptors\n",
                       f.name(), id >> 8, id >> 3 & 31, id & 7, f.may_master() ? "on" : "off", f.bar_address(0).value_or(0), f.requests(),
                       f.replies(), f.mailbox_bits() & mailbox::vf_in_use ? " VF has the lock" : "",
                       f.mailbox_bits() & mailbox::pf_in_use ? " PF has the lock" : "",
                       f.mailbox_bits() & mailbox::pf_status ? " a message waits for the VF" : "",
                       f.mailbox_bits() & mailbox::reset_in_progress ? " PF is in reset" : "", f.vectors().sent(), f.vectors().throttled(), c.rx_frames,
                       c.rx_bytes, c.tx_frames, c.tx_bytes, c.looped, c.no_descriptor, c.not_enabled, c.too_long, c.unwanted, c.spoofed, c.bad_descriptor);
}

} // namespace vitrine::vtc
