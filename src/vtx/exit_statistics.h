// SPDX-License-Identifier: Apache-2.0
// VM exits counted by virtual machine, reason and guest rip, with what each cost: instructions until the next VM entry. And what one
// processor's retired instructions were: in VMX non-root operation, in root operation, without VMX. Exact, and not state: it tells what
// has happened since the machine was powered on or restored. VM entries and exits themselves retire nothing.
#pragma once

#include "vtx/spec/exits.h"

#include <array>
#include <unordered_map>
#include <vector>

namespace vitrine::vtx {

class ExitStatistics {
public:
    struct Key {
        u64 vmcs = 0; ///< physical address: one for each virtual processor
        u64 rip = 0;  ///< of the guest
        ExitReason reason{};

        bool operator==(const Key&) const = default;
    };

    struct Sum {
        u64 exits = 0;
        u64 instructions = 0; ///< of the VMM, from the exit to the next VM entry on the same processor
        u64 highest = 0;      ///< the dearest one
        u64 guest = 0;        ///< instructions of the guest, from the VM entry to the exit

        void add(const Sum& other) {
            exits += other.exits;
            instructions += other.instructions;
            guest += other.guest;
            highest = highest < other.highest ? other.highest : highest;
        }
    };

    struct Row {
        Key key; ///< fields that were not asked for are 0
        Sum sum;
    };

    enum class By : u8 { reason, vmcs, rip }; ///< rip: by reason and rip

    /// Instructions that the processor retired, by where.
    struct Retired {
        u64 without_vmx = 0; ///< before VMXON, after VMXOFF
        u64 root = 0, non_root = 0;
    };

    /// A VM exit, or a VM entry that failed late. `retired`, here and below: so many instructions the processor has retired.
    void exited(const Key& key, u64 retired) {
        const bool was_guest = mode_ == Mode::non_root;
        const u64 spent = go(Mode::root, retired);
        if (open_)
            close(was_guest ? 0 : spent);
        open_ = &slot(key);
        ++open_->exits;
        open_->guest += was_guest ? spent : 0;
        vmcs_ = 0;
    }

    /// A VM entry of this VMCS: what the exit before it cost is known.
    void entered(u64 vmcs, u64 retired) {
        const u64 spent = go(Mode::non_root, retired);
        vmcs_ = vmcs;
        if (open_)
            close(spent);
    }

    void vmxon(u64 retired) { go(Mode::root, retired); }

    /// VMXOFF, reset: no VM entry is to be expected.
    void left(u64 retired) {
        go(Mode::without_vmx, retired);
        open_ = nullptr;
        vmcs_ = 0;
    }

    /// What is counted from has become another number of retired instructions.
    void begin_at(u64 retired) { since_ = retired; }

    /// The machine was restored: counting begins there. `vmcs` 0: not in VMX non-root operation.
    void restored(bool in_operation, u64 vmcs, u64 retired) {
        *this = {};
        mode_ = vmcs ? Mode::non_root : in_operation ? Mode::root : Mode::without_vmx;
        vmcs_ = vmcs;
        since_ = retired;
    }

    /// Up to now.
    Retired retired(u64 now) const {
        std::array<u64, 3> sums = by_mode_;
        sums[static_cast<unsigned>(mode_)] += now - since_;
        return {sums[0], sums[1], sums[2]};
    }

    /// Of the guest that runs now, since its VM entry; 0 for every other one. They are in no row yet.
    u64 unfinished(u64 vmcs, u64 now) const { return mode_ == Mode::non_root && vmcs == vmcs_ ? now - since_ : 0; }

    /// Sums over everything but what is asked for; most exits first. `vmcs` 0: of all.
    std::vector<Row> rows(By by, u64 vmcs = 0) const;

    static constexpr std::size_t most_places = 1 << 14; ///< kept apart by rip; later ones are counted with rip 0

private:
    enum class Mode : u8 { without_vmx, root, non_root };

    struct Hash {
        std::size_t operator()(const Key& k) const {
            return (k.vmcs ^ k.rip * 0x9e37'79b9'7f4a'7c15 ^ static_cast<u64>(k.reason) << 48) * 0xd1b5'4a32'd192'ed03 >> 20;
        }
    };

    Sum& slot(Key key) {
        const auto found = sums_.find(key);
        if (found != sums_.end())
            return found->second;
        if (sums_.size() >= most_places)
            key.rip = 0;
        return sums_[key];
    }

    /// To another mode of operation; what was retired in the one before.
    u64 go(Mode mode, u64 retired) {
        const u64 spent = retired - since_;
        by_mode_[static_cast<unsigned>(mode_)] += spent;
        mode_ = mode;
        since_ = retired;
        return spent;
    }

    void close(u64 cost) {
        open_->instructions += cost;
        open_->highest = open_->highest < cost ? cost : open_->highest;
        open_ = nullptr;
    }

    std::unordered_map<Key, Sum, Hash> sums_; ///< references into it last
    Sum* open_ = nullptr;                     ///< of the last exit; no VM entry has followed
    std::array<u64, 3> by_mode_{};
    u64 since_ = 0; ///< instructions retired when the mode began
    u64 vmcs_ = 0;  ///< that runs; 0: none
    Mode mode_ = Mode::without_vmx;
};

} // namespace vitrine::vtx
