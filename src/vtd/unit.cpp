// SPDX-License-Identifier: Apache-2.0
// The unit as a device: registers, global commands, register-based invalidation, state.
#include "vtd/unit.h"

#include "vtd/register_rows.h"

#include <fmt/format.h>

namespace vitrine::vtd {

namespace {

constexpr unsigned context_sets = 64, page_sets = 128, interrupt_sets = 64, ways = 4;

} // namespace

Unit::Counters::Counters(Glass& g)
    : context_hit(g.counter("vtd.context.hit")), context_miss(g.counter("vtd.context.miss")), iotlb_hit(g.counter("vtd.iotlb.hit")),
      iotlb_miss(g.counter("vtd.iotlb.miss")), entry_hit(g.counter("vtd.interrupt-entry.hit")), entry_miss(g.counter("vtd.interrupt-entry.miss")),
      dma_blocked(g.counter("vtd.dma.blocked")), remapped(g.counter("vtd.interrupt.remapped")), posted(g.counter("vtd.interrupt.posted")),
      notified(g.counter("vtd.interrupt.notified")), interrupts_blocked(g.counter("vtd.interrupt.blocked")),
      descriptors(g.counter("vtd.queue.descriptors")), recorded(g.counter("vtd.fault.recorded")), lost(g.counter("vtd.fault.lost")) {}

Unit::Unit(const Wiring& w, const Options& options)
    : clock_(w.clock), space_(w.space), glass_(w.space.glass()), plain_(w.plain), interrupts_(w.interrupts), io_apic_(w.io_apic), options_(options),
      walker_(space_, options_), region_{.device = this, .name = "vtd", .size = region_size, .min_size = 4, .max_size = 8},
      contexts_(context_sets, ways, w.watch), pages_(page_sets, ways, w.watch), tables_(1, 1, true),
      interrupts_cached_(interrupt_sets, ways, w.watch), stale_(w.watch ? std::make_unique<StaleFinder>(*w.watch, w.clock, glass_) : nullptr),
      counters_(glass_) {
    registers_.missing = 0; // reserved registers
    declare_registers();
    if (stale_) {
        const auto settle = [this](Cached& entry) { stale_->settle(entry); };
        contexts_.dropped = settle;
        pages_.dropped = settle;
        tables_.dropped = settle;
        interrupts_cached_.dropped = settle;
    }
    space_.mmio().map(region_, default_base);
    reset(Reset::cold);
}

Unit::~Unit() { space_.mmio().unmap(region_); }

void Unit::declare_registers() {
    for (const RegisterRow& row : register_rows()) {
        if (row.of_interrupts && !options_.interrupt_remapping)
            continue;
        RegisterFile::Row& made = registers_.add(row.reg, 0);
        made.fields = row.fields;
        for (const Field& f : row.fields) {
            const u64 mask = f.mask();
            made.rw |= f.kind() == FieldKind::rw ? mask : 0;
            made.rw1c |= f.kind() == FieldKind::rw1c ? mask : 0;
            made.wo |= f.kind() == FieldKind::wo ? mask : 0;
        }
    }
    registers_.find(capability_at)->reg.reset = options_.capability();
    registers_.find(extended_capability_at)->reg.reset = options_.extended_capability();
    status_ = &registers_.value(global_status_at);
    protected_ = &registers_.value(protected_enable_at);

    const auto on_write = [this](u64 at, RegisterFile::WriteEffect effect) { registers_.find(at)->on_write = std::move(effect); };
    on_write(global_command_at, [this](u64, u64) { command(std::exchange(registers_.value(global_command_at), 0)); });
    on_write(context_command_at, [this](u64, u64) { context_command_written(); });
    on_write(iotlb_invalidate_at, [this](u64, u64) { iotlb_command_written(); });
    on_write(queue_tail_at, [this](u64, u64) { run_queue(); });
    on_write(fault_status_at, [this](u64 written, u64 before) {
        status_cleared();
        // An error that is gone lets the queue go on.
        if (fault_status.queue_error(before) && fault_status.queue_error(written)) {
            registers_.value(queue_error_at) = 0;
            run_queue();
        }
    });
    on_write(completion_status_at, [this](u64, u64) {
        if (!registers_.value(completion_status_at))
            registers_.value(completion_event_at) &= ~event_control.pending.mask();
    });
    for (const u64 at : {u64{fault_event_at}, u64{completion_event_at}})
        on_write(at, [this, at](u64, u64) { event_control_written(at); });
    on_write(protected_enable_at, [this](u64, u64) {
        u64& v = registers_.value(protected_enable_at);
        v = protected_enable.status.with(v, protected_enable.enable(v));
    });
    for (unsigned n = 0; n < fault_records; ++n)
        on_write(fault_records_at + 16 * n + 8, [this](u64, u64) {
            bool any = false;
            for (unsigned k = 0; k < fault_records; ++k)
                any |= fault_record_high.fault(registers_.value(fault_records_at + 16 * k + 8)) != 0;
            u64& fsts = registers_.value(fault_status_at);
            fsts = fault_status.pending.with(fsts, any);
            status_cleared();
        });
}

void Unit::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    registers_.reset();
    root_ = interrupt_table_ = 0;
    next_record_ = 0;
    contexts_.clear();
    pages_.clear();
    tables_.clear();
    interrupts_cached_.clear();
    page_sizes_ = 0;
}

void Unit::access(Region&, Access& a) {
    if (a.write)
        registers_.write(a.offset, a.size, a.value, glass_);
    else
        a.value = registers_.read(a.offset, a.size, glass_);
}

void Unit::set_status(const Field& field, bool on) { *status_ = field.with(*status_, on); }

// Software writes all bits that are to stay set, and one more: what is new or gone is the command. Commands with an effect of their own are done
// whenever their bit is set.
void Unit::command(u64 value) {
    const u64 before = *status_;
    const auto& c = global_command;
    const auto& s = global_status;
    glass_.tell(Topic::vtd, "command", {{"value", value}, {"status", before}});
    if (c.set_root_table(value)) {
        root_ = registers_.value(root_table_at);
        set_status(s.root_table, true);
        glass_.tell(Topic::vtd, "root-table", {{"address", root_}});
    }
    if (c.set_interrupt_table(value) && options_.interrupt_remapping) {
        interrupt_table_ = registers_.value(interrupt_table_at);
        set_status(s.interrupt_table, true);
        glass_.tell(Topic::vtd, "interrupt-table", {{"address", interrupt_table_}});
    }
    set_status(s.translation, c.translation(value));
    if (options_.interrupt_remapping) {
        set_status(s.interrupt_remapping, c.interrupt_remapping(value));
        set_status(s.compatibility, c.compatibility(value));
    }
    if (c.queue(value) != s.queue(before)) {
        set_status(s.queue, c.queue(value));
        registers_.value(queue_head_at) = 0;
        if (c.queue(value))
            run_queue();
    }
    if (c.translation(value) != s.translation(before))
        glass_.tell(Topic::vtd, translating() ? "translation-on" : "translation-off", {{"root", root_}});
    if (options_.interrupt_remapping && c.interrupt_remapping(value) != s.interrupt_remapping(before))
        glass_.tell(Topic::vtd, remapping_interrupts() ? "remapping-on" : "remapping-off", {{"table", interrupt_table_}});
}

// ---- register-based invalidation --------------------------------------------------------------------------------------------

void Unit::context_command_written() {
    u64& v = registers_.value(context_command_at);
    const auto& c = context_command;
    if (!c.invalidate(v))
        return;
    Granularity done = Granularity::reserved;
    if (queue_enabled())
        glass_.odd(Topic::vtd, "register-invalidation-with-queue", {{"register", "CCMD"}, {"value", v}});
    else
        done = invalidate_contexts(static_cast<Granularity>(c.requested(v)), static_cast<u16>(c.domain(v)), static_cast<u16>(c.source(v)),
                                   static_cast<unsigned>(c.function_mask(v)));
    v = c.actual.with(c.invalidate.with(v, 0), static_cast<u64>(done));
}

void Unit::iotlb_command_written() {
    u64& v = registers_.value(iotlb_invalidate_at);
    const auto& c = iotlb_invalidate;
    if (!c.invalidate(v))
        return;
    const u64 where = registers_.value(invalidate_address_at);
    const unsigned mask = static_cast<unsigned>(invalidate_address.mask(where));
    Granularity done = Granularity::reserved;
    if (queue_enabled())
        glass_.odd(Topic::vtd, "register-invalidation-with-queue", {{"register", "IOTLB"}, {"value", v}});
    else if (auto wanted = static_cast<Granularity>(c.requested(v)); true) {
        if (wanted == Granularity::selective && mask > most_address_mask)
            wanted = Granularity::domain; // coarser than asked for is allowed, and told
        done = invalidate_pages(wanted, static_cast<u16>(c.domain(v)), where & invalidate_address.address.mask(), mask, invalidate_address.hint(where));
    }
    v = c.actual.with(c.invalidate.with(v, 0), static_cast<u64>(done));
}

// ---- state ------------------------------------------------------------------------------------------------------------------

void Unit::state(Visitor& v) {
    v.begin("registers");
    registers_.state(v);
    v.end();
    v.field("root table", root_);
    v.field("interrupt table", interrupt_table_);
    v.field("next record", next_record_);
    v.field("context cache", contexts_);
    v.field("IOTLB", pages_);
    if (stale_)
        v.field("paging-structure cache", tables_);
    v.field("interrupt entry cache", interrupts_cached_);
    if (!v.loading())
        return;
    if (next_record_ >= fault_records) {
        next_record_ = 0;
        v.refuse("the remapping unit's next fault record does not exist");
    }
    // What software cannot have written, and what follows from other bits.
    for (RegisterFile::Row& row : registers_.rows()) {
        u64 known = 0;
        for (const Field& f : row.fields)
            known |= f.mask();
        row.value &= known;
    }
    registers_.value(version_at) = registers_.find(version_at)->reg.reset;
    registers_.value(capability_at) = options_.capability();
    registers_.value(extended_capability_at) = options_.extended_capability();
    registers_.value(global_command_at) = 0;
    page_sizes_ = 0;
    pages_.for_each([this](CachedPage& p) { page_sizes_ |= bit(p.size_log2); });
}

void Unit::end_of_run() {
    const auto publish = [this](const std::string& who, const Traffic& t) {
        const std::pair<const char*, u64> counts[] = {{"reads", t.reads}, {"writes", t.writes}, {"bytes", t.bytes}, {"interrupts", t.interrupts}, {"blocked", t.blocked}};
        for (const auto& [what, n] : counts)
            if (n)
                glass_.counter(fmt::format("vtd.{}.{}", who, what)) = n;
    };
    for (const auto& [id, t] : by_device())
        publish(fmt::format("device.{:02x}:{:02x}.{}", id >> 8, id >> 3 & 31, id & 7), t);
    for (const auto& [id, t] : by_domain())
        publish(fmt::format("domain.{:04x}", id), t);
    if (!stale_)
        return;
    const auto settle = [this](Cached& entry) {
        if (entry.pending)
            stale_->settle(entry);
    };
    contexts_.for_each(settle);
    pages_.for_each(settle);
    tables_.for_each(settle);
    interrupts_cached_.for_each(settle);
}

std::string Unit::name_of(u16 requester) const {
    std::string name = namer_ ? namer_(requester) : std::string();
    return name.empty() ? "nobody" : name;
}

std::string Unit::walk_text(const Steps& steps) const {
    std::string text = text_of(steps);
    if (stale_)
        if (const std::string by = stale_->changed_by(steps); !by.empty())
            text += ",last-changed-by=" + by;
    return text;
}

} // namespace vitrine::vtd
