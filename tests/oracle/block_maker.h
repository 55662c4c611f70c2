// SPDX-License-Identifier: Apache-2.0
// Makes random blocks of code whose memory operands mostly reach memory, so that most blocks come far before they end by an exception.
#pragma once

#include "settings.h"
#include "trial.h"

#include <vector>

namespace vitrine::oracle {

struct MadeBlock {
    const Setting* setting = nullptr;
    Case begin; ///< registers, memory, segments; `address` is linear
    std::vector<u8> bytes;
    std::vector<u8> lengths; ///< of the instructions
    bool branches = false;   ///< something follows it but the next instruction

    /// One line for each instruction.
    std::string text() const;
};

class BlockMaker {
public:
    BlockMaker(const Repertoire& repertoire, const CpuModel& model);

    /// Block `index` of the seed.
    void make(MadeBlock& out, u64 seed, u64 index) const;

private:
    struct Lists {
        std::vector<ZydisMnemonic> natives, vectors, x87, others;
    };
    /// Roles of general registers, as bits: kept by the block's instructions, mostly.
    struct Roles {
        u32 pointers, counts;
    };

    void put_registers(MadeBlock& b, Random& r, const Roles& roles) const;
    void put_segments(MadeBlock& b, Random& r) const;
    bool instruction(MadeBlock& b, Random& r, const Roles& roles, Case& c) const;
    bool fits(const MadeBlock& b, Random& r, const Roles& roles, const Case& c) const;
    void aim(const MadeBlock& b, Random& r, Case& c) const;

    const Repertoire& repertoire_;
    const CpuModel& model_;
    Lists lists_[modes];
};

} // namespace vitrine::oracle
