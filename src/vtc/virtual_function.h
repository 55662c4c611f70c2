// SPDX-License-Identifier: Apache-2.0
// A virtual function: its registers lead to its own queues, vectors and mailbox in the adapter, and to nothing else.
#pragma once

#include "pci/sriov.h"
#include "vtc/bank.h"
#include "vtc/vectors.h"

#include <array>

namespace vitrine::vtc {

class Adapter;

/// The mailbox between a VF and the PF: 64 bytes that both write, a lock, and pulses. Both chips have the same bits.
namespace mailbox {
inline constexpr unsigned dwords = 16;
// The VF's register. REQ and ACK are pulses; PFSTS, PFACK and RSTD are cleared by reading.
inline constexpr u32 vf_request = 0x01, vf_acknowledge = 0x02, vf_in_use = 0x04, pf_in_use = 0x08, pf_status = 0x10, pf_acknowledge = 0x20,
                     reset_in_progress = 0x40, reset_done = 0x80;
inline constexpr u32 cleared_by_reading = pf_status | pf_acknowledge | reset_done;
// The PF's register.
inline constexpr u32 pf_send = 0x01, pf_send_acknowledge = 0x02, pf_vf_in_use = 0x04, pf_own_in_use = 0x08, pf_free_vf = 0x10;
} // namespace mailbox

class VirtualFunction final : public pci::VirtualFunction {
public:
    VirtualFunction(Adapter& adapter, Clock& clock, unsigned index);

    Bank& regs() { return regs_; }
    Vectors& vectors() { return vectors_; }
    const Vectors& vectors() const { return vectors_; }

    // --- mailbox
    u32 mailbox_read();
    void mailbox_write(u32 value);
    u32 physical_mailbox_read() const;
    void physical_mailbox_write(u32 value);
    u32& message(unsigned dword) { return message_[dword % mailbox::dwords]; }
    u32 mailbox_bits() const { return mailbox_; }
    /// The physical function's reset begins or is done.
    void physical_reset(bool done);
    /// Where the mailbox's and other causes go: a vector, or none.
    void other_cause();
    /// By CTRL.RST of the VF, or a function-level reset.
    void soft_reset();

    u64 requests() const { return requests_; }
    u64 replies() const { return replies_; }

protected:
    void bar_access(unsigned bar, Access& access) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    Adapter& adapter_;
    Bank regs_;
    Vectors vectors_;
    u32 mailbox_ = mailbox::reset_in_progress;
    std::array<u32, mailbox::dwords> message_{};
    u64 requests_ = 0, replies_ = 0;
};

} // namespace vitrine::vtc
