// SPDX-License-Identifier: Apache-2.0
// The unit told to people: what it is set to, what a DMA or an interrupt would meet. Nothing changes.
#include "vtd/unit.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::vtd {

namespace {

std::string bdf(u16 id) { return fmt::format("{:02x}:{:02x}.{}", id >> 8, id >> 3 & 31, id & 7); }

std::string size_text(unsigned size_log2) { return size_log2 == 12 ? "4K" : size_log2 == 21 ? "2M" : size_log2 == 30 ? "1G" : fmt::format("2^{}", size_log2); }

std::string fault_text(FaultReason reason) {
    const FaultRow& row = row_of(reason);
    return fmt::format("fault {:#x}: {}{}{}\n", static_cast<unsigned>(reason), row.meaning, *row.cause ? "; usually: " : "", row.cause);
}

std::string step_lines(const Steps& steps) {
    std::string text;
    for (const Step& s : steps) {
        text += "  " + text_of(s);
        if (s.readable && s.kind == Step::Kind::second_stage)
            text += fmt::format("  {}{}{}", second_stage.read(s.low) ? 'r' : '-', second_stage.write(s.low) ? 'w' : '-', s.level > 1 && second_stage.large(s.low) ? " large" : "");
        if (s.readable && s.kind == Step::Kind::context)
            text += fmt::format("  P={} FPD={} TT={} AW={} domain {:x}, table {:x}", context_low.present(s.low), context_low.fault_disable(s.low),
                                context_low.type(s.low), context_high.width(s.high), context_high.domain(s.high), s.low & context_low.table.mask());
        if (s.readable && s.kind == Step::Kind::root)
            text += fmt::format("  P={} context table {:x}", root_entry.present(s.low), s.low & root_entry.context_table.mask());
        text += "\n";
    }
    return text;
}

} // namespace

std::string Unit::describe() {
    const u64 fsts = registers_.value(fault_status_at);
    std::string text = fmt::format("remapping unit at {:x}\n", region_.base);
    text += fmt::format("  DMA translation {}, root table {:x}\n", translating() ? "on" : "off", root_ & root_table.address.mask());
    text += fmt::format("  interrupt remapping {}{}, table {:x}, {} entries{}\n", remapping_interrupts() ? "on" : "off",
                        interrupt_table.extended(interrupt_table_) ? " in extended (x2APIC) mode" : "", interrupt_table_ & interrupt_table.address.mask(),
                        2u << interrupt_table.size(interrupt_table_), global_status.compatibility(*status_) ? ", compatibility format passes" : "");
    text += fmt::format("  invalidation queue {}, head {:x}, tail {:x}{}\n", queue_enabled() ? "on" : "off", registers_.value(queue_head_at),
                        registers_.value(queue_tail_at),
                        fault_status.queue_error(fsts) ? fmt::format(", stopped: {}", queue_error_names[registers_.value(queue_error_at) % 7]) : "");
    text += fmt::format("  caching mode {}, {} contexts, {} pages, {} interrupt entries are cached\n", options_.caching_mode ? "on" : "off", contexts_.count(),
                        pages_.count(), interrupts_cached_.count());
    if (protected_enable.status(registers_.value(protected_enable_at)))
        text += fmt::format("  protected memory {:x} to {:x}, {:x} to {:x}\n", registers_.value(protected_low_base_at),
                            registers_.value(protected_low_limit_at) | low_mask(21), registers_.value(protected_high_base_at),
                            registers_.value(protected_high_limit_at) | low_mask(21));
    if (fsts)
        text += fmt::format("  fault status {:x}{}{}{}\n", fsts, fault_status.pending(fsts) ? ", faults are recorded" : "", fault_status.overflow(fsts) ? ", overflow" : "",
                            fault_status.queue_error(fsts) ? ", queue error" : "");
    for (unsigned n = 0; n < fault_records; ++n) {
        const u64 at = fault_records_at + 16 * n, low = registers_.value(at), high = registers_.value(at + 8);
        const auto& h = fault_record_high;
        if (!h.fault(high))
            continue;
        const FaultRow* row = find_fault(static_cast<u8>(h.reason(high)));
        const u16 source = static_cast<u16>(h.source(high));
        const std::string what = row && row->interrupt ? fmt::format("interrupt {:x}", low >> 48) : fmt::format("{} of {:x}", h.read(high) ? "read" : "write", low);
        text += fmt::format("  record {}: {} ({}), {}: {:#x}, {}\n", n, bdf(source), name_of(source), what, h.reason(high), row ? row->meaning : "unknown");
    }
    const auto traffic = [&](const char* kind, const std::string& who, const Traffic& t) {
        text += fmt::format("  {} {}: {} reads, {} writes, {} bytes, {} interrupts, {} blocked\n", kind, who, t.reads, t.writes, t.bytes, t.interrupts, t.blocked);
    };
    for (const auto& [id, t] : by_device())
        traffic("device", fmt::format("{} ({})", bdf(id), name_of(id)), t);
    for (const auto& [id, t] : by_domain())
        traffic("domain", fmt::format("{:x}", id), t);
    return text;
}

std::string Unit::describe_walk(u16 requester, u64 address) {
    std::string text = fmt::format("{} ({}), device address {:x}\n", bdf(requester), name_of(requester), address);
    if (!translating())
        return text + "  DMA translation is off: the address is the physical one\n";
    if (address >> 20 == 0xfee)
        return text + "  a write of four bytes is an interrupt request; anything else is refused\n";
    const ContextLook context = walker_.context(root_, requester);
    if (const CachedContext* known = contexts_.find(requester))
        text += fmt::format("  context cache: {:016x}:{:016x}, domain {:x}{}\n", known->high, known->low, known->domain(),
                            known->low == context.low && known->high == context.high ? "" : "; memory says otherwise");
    text += step_lines(context.steps);
    if (context.fault != FaultReason::none)
        return text + "  " + fault_text(context.fault);
    for (const unsigned size : {12u, 21u, 30u})
        if (const CachedPage* known = pages_.find(PageKey::make(context.domain(), address, size)))
            text += fmt::format("  IOTLB: {} page {:x} {}{}\n", size_text(size), known->page, known->readable ? 'r' : '-', known->writable ? 'w' : '-');
    if (context.type() == TranslationType::pass_through)
        return text + "  passes through\n";
    const unsigned width = std::min(options_.address_bits, 12 + 9 * context.levels());
    if (address >> width)
        return text + "  " + fault_text(FaultReason::address_beyond_width);
    for (const bool write : {false, true}) {
        const SecondLook look = walker_.second({context.table(), context.levels()}, address, write);
        if (!write || look.fault == FaultReason::none)
            if (!write)
                text += step_lines(look.steps);
        if (look.fault != FaultReason::none)
            text += fmt::format("  {}: {}", write ? "write" : "read", fault_text(look.fault));
        else
            text += fmt::format("  {}: physical {:x}, {} page\n", write ? "write" : "read", look.page | (address & low_mask(look.size_log2)), size_text(look.size_log2));
    }
    return text;
}

std::string Unit::describe_interrupt(u32 index) {
    if (!options_.interrupt_remapping)
        return "the unit has no interrupt remapping\n";
    if (index >> (interrupt_table.size(interrupt_table_) + 1))
        return fmt::format("interrupt {:x}: {}", index, fault_text(FaultReason::index_beyond_table));
    const InterruptLook look = walker_.interrupt(interrupt_table_, index);
    std::string text = fmt::format("interrupt {:x}{}\n", index, remapping_interrupts() ? "" : " (remapping is off)") + step_lines(look.steps);
    if (const CachedInterrupt* known = interrupts_cached_.find(index))
        text += fmt::format("  interrupt entry cache: {:016x}:{:016x}{}\n", known->high, known->low, known->low == look.low && known->high == look.high ? "" : "; memory says otherwise");
    if (look.fault != FaultReason::none)
        return text + "  " + fault_text(look.fault);
    const auto& h = remapped_high;
    const u16 source = static_cast<u16>(h.source(look.high));
    static constexpr const char* validations[] = {"any source", "source", "buses", "reserved"};
    text += fmt::format("  {}", validations[h.validation(look.high)]);
    switch (static_cast<SourceValidation>(h.validation(look.high))) {
    case SourceValidation::source:
        text += fmt::format(" {} ({}), qualifier {}", bdf(source), name_of(source), h.qualifier(look.high));
        break;
    case SourceValidation::buses:
        text += fmt::format(" {:x} to {:x}", source >> 8, source & 0xff);
        break;
    default:
        break;
    }
    text += '\n';
    if (!remapped_low.posted(look.low)) {
        static constexpr const char* modes[] = {"fixed", "lowest priority", "SMI", "reserved", "NMI", "INIT", "reserved", "ExtINT"};
        const auto& r = remapped_low;
        const bool wide = interrupt_table.extended(interrupt_table_);
        return text + fmt::format("  remapped: vector {:x}, {}, {} destination {:x}{}{}\n", r.vector(look.low), modes[r.delivery_mode(look.low)],
                                  r.logical(look.low) ? "logical" : "physical", wide ? r.destination(look.low) : r.destination(look.low) >> 8 & 0xff,
                                  r.level(look.low) ? ", level" : ", edge", r.redirection_hint(look.low) ? ", to one of them" : "");
    }
    const Physical at{posted_high.descriptor_high(look.high) << 32 | posted_low.descriptor_low(look.low) << 6};
    text += fmt::format("  posted: virtual vector {:x}{}, descriptor {:x}", posted_low.vector(look.low), posted_low.urgent(look.low) ? ", urgent" : "", at.value);
    if (!space_.host(at))
        return text + ", which is no memory\n";
    const u64 control = space_.read<u64>(at + descriptor_control_at, Requester::from_cpu(0));
    const auto& d = descriptor_control;
    return text + fmt::format(": notification vector {:x} to {:x}{}{}\n", d.vector(control), d.destination(control), d.outstanding(control) ? ", outstanding" : "",
                              d.suppress(control) ? ", suppressed" : "");
}

} // namespace vitrine::vtd
