// SPDX-License-Identifier: Apache-2.0
// MSI-X capability: a table of messages and its pending bits in a BAR, masks for each vector and for the function.
#pragma once

#include "base/device.h"
#include "pci/capability.h"
#include "words/integers.h"

#include <vector>

namespace vitrine::pci {

class Msix : public Capability {
public:
    struct Options {
        unsigned vectors = 1; ///< 1 to 2048
        unsigned bar = 0;
        u32 table = 0;        ///< offset in the BAR, a multiple of 8
        u32 pending = 0x1000; ///< likewise
    };

    Msix(Function& function, unsigned offset, const Options& options);

    bool enabled() const;

    unsigned vectors() const { return static_cast<unsigned>(table_.size()); }

    /// Raises vector `n` when MSI-X is enabled; masked ones become pending.
    void trigger(unsigned n);

    /// Whether an access at `offset` of BAR `bar` is to the table or the pending bits.
    bool covers(unsigned bar, u64 offset) const;
    void access(unsigned bar, Access& access);

    void written(unsigned dword, u32 value, u32 lanes) override;
    void reset() override;
    void state(Visitor& v) override;

private:
    struct Entry {
        u32 address_low = 0, address_high = 0, data = 0, control = 1;
        void state(Visitor& v);
    };

    u32 read(u64 offset) const;
    void write(u64 offset, u32 value);
    bool masked(unsigned n) const;
    void send(unsigned n);
    void send_pending(unsigned n);

    u64 table_bytes() const { return table_.size() * 16; }

    u64 pending_bytes() const { return pending_.size() * 8; }

    Options options_;
    std::vector<Entry> table_;
    std::vector<u64> pending_;
};

} // namespace vitrine::pci
