// SPDX-License-Identifier: Apache-2.0
// VM exits counted by virtual machine, reason and guest rip, with what each cost: instructions until the next VM entry. Not state: it
// tells what has happened since the machine was powered on or restored.
#pragma once

#include "vtx/spec/exits.h"

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

        void add(const Sum& other) {
            exits += other.exits;
            instructions += other.instructions;
            highest = highest < other.highest ? other.highest : highest;
        }
    };

    struct Row {
        Key key; ///< fields that were not asked for are 0
        Sum sum;
    };

    enum class By : u8 { reason, vmcs, rip }; ///< rip: by reason and rip

    void exited(const Key& key, u64 retired) {
        open_ = &slot(key);
        ++open_->exits;
        since_ = retired;
    }

    /// The next VM entry: what the exit cost is known.
    void entered(u64 retired) {
        if (!open_)
            return;
        const u64 cost = retired - since_;
        open_->instructions += cost;
        open_->highest = open_->highest < cost ? cost : open_->highest;
        open_ = nullptr;
    }

    /// VMXOFF, reset: no VM entry is to be expected.
    void left() { open_ = nullptr; }

    /// Sums over everything but what is asked for; most exits first. `vmcs` 0: of all.
    std::vector<Row> rows(By by, u64 vmcs = 0) const;

    static constexpr std::size_t most_places = 1 << 14; ///< kept apart by rip; later ones are counted with rip 0

private:
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

    std::unordered_map<Key, Sum, Hash> sums_; ///< references into it last
    Sum* open_ = nullptr;
    u64 since_ = 0; ///< instructions retired at the exit
};

} // namespace vitrine::vtx
