// SPDX-License-Identifier: Apache-2.0
// The 82599's flow director: a hash table of flows, each with a queue. A signature filter is two hashes of a flow, a perfect one the
// flow's fields under the port's masks. Drivers compute the hashes that a filter lies under; the chip computes them of each packet.
// (82599 datasheet, Flow Director Filters.) The chip keeps at most so many filters as the packet buffer lends it memory for.
#pragma once

#include "base/visitor.h"
#include "vtc/bank.h"
#include "vtc/filters.h"
#include "vtc/packet.h"

#include <optional>
#include <vector>

namespace vitrine::vtc {

class FlowDirector {
public:
    explicit FlowDirector(Bank& regs) : regs_(regs) {}

    /// FDIRCTRL, FDIRCMD or FDIRFREE was written. True: few filters are left free, and the driver is to be told.
    bool written(u32 offset, u32 value);

    /// Counts too. Nothing when the director is off, or no filter matches.
    std::optional<FlowMatch> match(const Packet& p, unsigned pool);

    void reset() { table_.clear(), count_ = 0; }
    void state(Visitor& v);

    /// Of a flow's 42 bytes folded to a dword, and of the dword before them: pool, kind of flow and VLAN.
    static u16 hash(u32 key, u32 folded, u32 kind);

private:
    struct Filter {
        u16 bucket = 0, id = 0; ///< `id`: a signature, or software's number
        u32 command = 0, source = 0, destination = 0, ports = 0, vlan_flex = 0;
        void state(Visitor& v);
    };
    struct Flow {
        u32 kind = 0, source = 0, destination = 0, ports = 0, flex = 0; ///< under the masks
        u32 folded() const { return source ^ destination ^ ports ^ flex << 16; }
    };

    bool perfect() const;
    u32 capacity() const;
    u16 bucket_of(u32 hash) const;
    Flow masked(Flow flow) const;
    std::optional<Flow> flow_of(const Packet& p, unsigned pool) const;
    Flow flow_of(const Filter& f) const;
    Filter* find(u16 bucket, u16 id);
    bool add();
    void remove();
    void count_free();

    Bank& regs_;
    std::vector<std::vector<Filter>> table_; ///< by bucket; empty as long as there is no filter
    u32 count_ = 0;
};

} // namespace vitrine::vtc
