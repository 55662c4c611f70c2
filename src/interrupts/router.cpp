// SPDX-License-Identifier: Apache-2.0
// Delivery: who gets a message, and what a line is connected to.
#include "interrupts/router.h"

#include "base/error.h"

namespace vitrine {

using namespace apic;

Interrupts::Interrupts(Clock& clock, Space& space, const Options& options)
    : glass_(space.glass()), io_apic_(space.mmio(), glass_, *this, options.io_apic),
      pic_(space.ports(), glass_, Line([this](bool level) { ext_int(level); })) {
    VERIFY(!options.apic_ids.empty());
    ApicBus& bus = *this;
    for (const u32 id : options.apic_ids) {
        const auto n = static_cast<unsigned>(local_.size());
        local_.push_back(std::make_unique<LocalApic>(
            clock, glass_, bus,
            LocalApic::Options{n, id, n == 0, options.physical_bits, options.x2apic, options.tsc_deadline}));
    }
    for (unsigned n = 0; n < lines; ++n) {
        if (n == 2)
            continue;
        Line isa;
        if (n < 16) {
            pic_inputs_[n].connect(Line([this, n](bool level) { pic_.set_input(n, level); }));
            isa = pic_inputs_[n].input();
        }
        lines_[n].connect(Line([this, n, isa](bool level) mutable {
            isa.set(level);
            io_apic_.set_pin(n == 0 ? 2 : n, level);
        }));
    }
    nmi_.connect(Line([this](bool level) {
        for (auto& apic : local_)
            apic->set_lint(1, level);
    }));
}

Line Interrupts::gsi(unsigned n) {
    VERIFY(n < lines);
    return lines_[n == 2 ? 0 : n].input();
}

Line Interrupts::pic_input(unsigned n) {
    VERIFY(n < pic_inputs_.size() && n != 2);
    return pic_inputs_[n].input();
}

// INT of the 8259s goes to LINT0 of every processor and to pin 0 of the I/O APIC; software opens one way and masks the
// rest.
void Interrupts::ext_int(bool level) {
    for (auto& apic : local_)
        apic->set_lint(0, level);
    io_apic_.set_pin(0, level);
}

void Interrupts::message(Requester requester, u64 address, u32 data) {
    if (msi_address.fee(address) != 0xfee || address >> 32) {
        glass_.odd(Topic::interrupts, "msi.not-an-interrupt", {{"requester", requester.id}, {"address", address}});
        return;
    }
    if (msi_address.remappable(address)) // without remapping hardware the bit means nothing
        glass_.odd(Topic::interrupts, "msi.remappable-format-without-remapping",
                   {{"requester", requester.id}, {"address", address}, {"data", data}});
    if (msi_data.level(data) && !msi_data.assert_level(data))
        return; // de-assertion of a level
    InterruptMessage m;
    m.destination = static_cast<u32>(msi_address.destination(address));
    m.logical = msi_address.logical(address);
    m.redirection_hint = msi_address.redirection_hint(address);
    m.mode = static_cast<DeliveryMode>(msi_data.delivery_mode(data));
    m.vector = static_cast<u8>(msi_data.vector(data));
    m.level = msi_data.level(data);
    if (m.mode == DeliveryMode::start_up || m.mode == DeliveryMode::reserved) {
        glass_.odd(Topic::interrupts, "msi.reserved-delivery-mode",
                   {{"requester", requester.id}, {"address", address}, {"data", data}});
        return;
    }
    glass_.tell(Topic::interrupts, "msi", {{"requester", requester.id}, {"address", address}, {"data", data}});
    deliver(m);
}

void Interrupts::deliver(const InterruptMessage& m, const LocalApic* except) {
    const bool one = m.mode == DeliveryMode::lowest_priority || (m.redirection_hint && m.mode == DeliveryMode::fixed);
    LocalApic* chosen = nullptr;
    bool reached = false;
    for (auto& apic : local_) {
        if (apic.get() == except || !apic->is_destination(m))
            continue;
        if (!one) {
            apic->accept(m);
            reached = true;
        } else if (apic->takes_fixed() && (!chosen || apic->arbitration_priority() < chosen->arbitration_priority())) {
            chosen = apic.get(); // of equals the first
        }
    }
    if (chosen)
        chosen->accept(m);
    else if (!reached && !except)
        glass_.odd(Topic::interrupts, "interrupt.no-destination",
                   {{"destination", m.destination}, {"logical", m.logical}, {"vector", m.vector}});
}

void Interrupts::ipi(unsigned from, const InterruptMessage& m, Shorthand shorthand) {
    if (shorthand == Shorthand::self)
        return local_[from]->accept(m);
    if (shorthand == Shorthand::none)
        return deliver(m);
    InterruptMessage all = m;
    all.logical = false;
    all.wide = true;
    all.destination = 0xffff'ffff;
    deliver(all, shorthand == Shorthand::all_excluding_self ? local_[from].get() : nullptr);
}

void Interrupts::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    io_apic_.reset(kind);
    pic_.reset(kind);
    for (auto& apic : local_)
        apic->reset(kind);
}

void Interrupts::state(Visitor& v) {
    v.field("pic", pic_);
    v.field("ioapic", io_apic_);
    for (auto& apic : local_)
        v.field("apic", *apic);
    for (WiredOr& line : lines_)
        v.field("line", line);
    for (WiredOr& input : pic_inputs_)
        v.field("pic-input", input);
    v.field("nmi", nmi_);
}

} // namespace vitrine
