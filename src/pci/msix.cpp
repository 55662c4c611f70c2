// SPDX-License-Identifier: Apache-2.0
// MSI-X: the table as software sees it, masks, and what became pending behind them.
#include "pci/msix.h"

#include "base/error.h"
#include "pci/function.h"
#include "pci/spec/capabilities.h"

namespace vitrine::pci {

void Msix::Entry::state(Visitor& v) {
    v.field("address", address_low);
    v.field("upper address", address_high);
    v.field("data", data);
    v.field("control", control);
}

Msix::Msix(Function& function, unsigned offset, const Options& options)
    : Capability(function, offset, 12), options_(options), table_(options.vectors),
      pending_((options.vectors + 63) / 64) {
    VERIFY(options.vectors >= 1 && options.vectors <= 2048 && options.bar < bar_count);
    VERIFY(is_aligned(options.table, 8) && is_aligned(options.pending, 8));
    VERIFY(options.table + table_bytes() <= options.pending || options.pending + pending_bytes() <= options.table);
    function.link(CapabilityId::msix, offset);
    function.msix_ = this;
    config().add(msix_control, offset, options.vectors - 1);
    config().add(offset + 4, 4, "MSIXTBL", options.table | options.bar);
    config().add(offset + 8, 4, "MSIXPBA", options.pending | options.bar);
}

bool Msix::enabled() const {
    return msix_control.enable(config().get(msix_control, offset()));
}

bool Msix::masked(unsigned n) const {
    return msix_control.function_mask(config().get(msix_control, offset())) || (table_[n].control & msix_vector_masked);
}

void Msix::trigger(unsigned n) {
    VERIFY(n < table_.size());
    if (!enabled())
        return;
    if (masked(n))
        pending_[n / 64] |= bit(n % 64);
    else
        send(n);
}

void Msix::send(unsigned n) {
    const Entry& e = table_[n];
    function_.message(e.address_low | static_cast<u64>(e.address_high) << 32, e.data);
}

void Msix::send_pending(unsigned n) {
    if (!(pending_[n / 64] & bit(n % 64)) || !enabled() || masked(n))
        return;
    pending_[n / 64] &= ~bit(n % 64);
    send(n);
}

bool Msix::covers(unsigned bar, u64 offset) const {
    return bar == options_.bar && ((offset >= options_.table && offset - options_.table < table_bytes()) ||
                                   (offset >= options_.pending && offset - options_.pending < pending_bytes()));
}

u32 Msix::read(u64 offset) const {
    if (offset >= options_.pending && offset - options_.pending < pending_bytes()) {
        const u64 at = offset - options_.pending;
        return static_cast<u32>(pending_[at / 8] >> (at & 4 ? 32 : 0));
    }
    const Entry& e = table_[(offset - options_.table) / msix_entry_size];
    switch ((offset - options_.table) % msix_entry_size / 4) {
    case 0:
        return e.address_low;
    case 1:
        return e.address_high;
    case 2:
        return e.data;
    default:
        return e.control;
    }
}

void Msix::write(u64 offset, u32 value) {
    if (offset < options_.table || offset - options_.table >= table_bytes()) {
        function_.glass().odd(Topic::pci, "msix-pending-bits-written", {{"function", function_.name()}});
        return;
    }
    const unsigned n = static_cast<unsigned>((offset - options_.table) / msix_entry_size);
    Entry& e = table_[n];
    switch ((offset - options_.table) % msix_entry_size / 4) {
    case 0:
        e.address_low = value & ~3u;
        break;
    case 1:
        e.address_high = value;
        break;
    case 2:
        e.data = value;
        break;
    default:
        e.control = value & msix_vector_masked;
        send_pending(n);
    }
}

void Msix::access(unsigned, Access& a) {
    if ((a.size != 4 && a.size != 8) || !is_aligned(a.offset, a.size)) {
        function_.glass().odd(Topic::pci, "msix-access-size", {{"function", function_.name()}, {"size", a.size}});
        if (!a.write)
            a.value = low_mask(8 * a.size);
        return;
    }
    if (!a.write)
        a.value = 0;
    for (unsigned done = 0; done < a.size; done += 4) {
        // Table and pending bits are multiples of 8 bytes: both halves lie in the same of the two.
        if (a.write)
            write(a.offset + done, static_cast<u32>(a.value >> (8 * done)));
        else
            a.value |= static_cast<u64>(read(a.offset + done)) << (8 * done);
    }
}

void Msix::written(unsigned, u32, u32) {
    function_.interrupt_mode_changed();
    if (!enabled())
        return;
    for (unsigned n = 0; n < table_.size(); ++n)
        send_pending(n);
}

void Msix::reset() {
    table_.assign(table_.size(), Entry{});
    pending_.assign(pending_.size(), 0);
}

void Msix::state(Visitor& v) {
    v.begin("msix");
    for (Entry& e : table_)
        v.field("entry", e);
    for (u64& p : pending_)
        v.field("pending", p);
    v.end();
}

} // namespace vitrine::pci
