// SPDX-License-Identifier: Apache-2.0
// The walks, and the rules that entries must keep.
#include "vtd/walk.h"

#include <fmt/format.h>

#include <cstring>

namespace vitrine::vtd {

namespace {


u64 mask_of(std::initializer_list<Field> fields) {
    u64 mask = 0;
    for (const Field& f : fields)
        mask |= f.mask();
    return mask;
}

} // namespace

std::string text_of(const Step& s) {
    static constexpr const char* second_names[] = {"?", "SSPTE", "SSPDE", "SSPDPTE", "SSPML4E", "SSPML5E"};
    const char* name = s.kind == Step::Kind::root      ? "root"
                       : s.kind == Step::Kind::context ? "context"
                       : s.kind == Step::Kind::interrupt ? "IRTE"
                                                         : second_names[s.level < 6 ? s.level : 0];
    if (!s.readable)
        return fmt::format("{}@{:x}=no-memory", name, s.at.value);
    if (s.kind == Step::Kind::second_stage)
        return fmt::format("{}@{:x}={:x}", name, s.at.value, s.low);
    return fmt::format("{}@{:x}={:016x}:{:016x}", name, s.at.value, s.high, s.low);
}

std::string text_of(const Steps& steps) {
    std::string text;
    for (const Step& s : steps)
        text += (text.empty() ? "" : ",") + text_of(s);
    return text.empty() ? "none" : text;
}

bool Walker::read(Physical at, u64& low, u64* high) const {
    const u8* host = space_.host(at);
    if (!host)
        return false;
    std::memcpy(&low, host, 8);
    if (high)
        std::memcpy(high, host + 8, 8);
    return true;
}

ContextLook Walker::context(u64 latched_root, u16 source) const {
    ContextLook look;
    const auto fail = [&](FaultReason reason) {
        look.fault = reason;
        return look;
    };
    if (root_table.mode(latched_root))
        return fail(FaultReason::mode_unsupported);
    Step root{.kind = Step::Kind::root, .at = Physical{(latched_root & root_table.address.mask()) + 16ull * (source >> 8)}};
    root.readable = read(root.at, root.low, &root.high);
    look.steps.add(root);
    if (!root.readable)
        return fail(FaultReason::root_inaccessible);
    if (!root_entry.present(root.low))
        return fail(FaultReason::root_not_present);
    if (root.high || (root.low & ~mask_of({root_entry.present, root_entry.context_table})) || beyond(root.low) || root.low >> 52)
        return fail(FaultReason::root_reserved);
    Step context{.kind = Step::Kind::context, .at = Physical{(root.low & root_entry.context_table.mask()) + 16ull * (source & 0xff)}};
    context.readable = read(context.at, context.low, &context.high);
    look.steps.add(context);
    if (!context.readable)
        return fail(FaultReason::context_inaccessible);
    look.low = context.low;
    look.high = context.high;
    look.silenced = context_low.fault_disable(look.low);
    if (!context_low.present(look.low))
        return fail(FaultReason::context_not_present);
    const auto& l = context_low;
    const auto& h = context_high;
    if ((look.low & ~mask_of({l.present, l.fault_disable, l.type, l.table})) || beyond(look.low) || look.low >> 52 ||
        (look.high & ~mask_of({h.width, h.available, h.domain})))
        return fail(FaultReason::context_reserved);
    // AW 1 is three levels (39 bits), 2 is four (48 bits).
    const u64 width = h.width(look.high), widest = options_.address_bits == 39 ? 1 : 2;
    const bool translates = look.type() == TranslationType::translate;
    const bool passes = look.type() == TranslationType::pass_through && options_.pass_through;
    if ((!translates && !passes) || width < 1 || width > widest || (passes && width != widest))
        return fail(FaultReason::context_invalid);
    return look;
}

SecondLook Walker::second(const SecondStart& start, u64 address, bool write) const {
    SecondLook look;
    look.readable = start.readable;
    look.writable = start.writable;
    Physical table = start.table;
    for (unsigned level = start.level;; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        Step s{.kind = Step::Kind::second_stage, .level = static_cast<u8>(level), .at = table + 8 * bits(address, shift + 8, shift)};
        s.readable = read(s.at, s.low);
        look.steps.add(s);
        look.size_log2 = static_cast<u8>(shift);
        if (!s.readable) {
            look.fault = FaultReason::table_inaccessible;
            return look;
        }
        const u64 e = s.low;
        const auto& f = second_stage;
        look.readable &= f.read(e) != 0;
        look.writable &= f.write(e) != 0;
        if (write ? !look.writable : !look.readable) {
            look.fault = write ? FaultReason::write_not_permitted : FaultReason::read_not_permitted;
            return look;
        }
        const bool large = level > 1 && f.large(e);
        const bool leaf = level == 1 || (large && level <= 3);
        u64 reserved = f.transient.mask();
        if (leaf)
            reserved |= (options_.snoop_control ? 0 : f.snoop.mask()) | (low_mask(shift) & f.address.mask());
        else
            reserved |= f.snoop.mask() | (level > 3 ? f.large.mask() : 0);
        if ((e & reserved) || beyond(e & f.address.mask())) {
            look.fault = FaultReason::entry_reserved;
            return look;
        }
        if (leaf) {
            look.page = e & f.address.mask();
            return look;
        }
        table = Physical{e & f.address.mask()};
    }
}

InterruptLook Walker::interrupt(u64 latched, u32 index) const {
    InterruptLook look;
    Step s{.kind = Step::Kind::interrupt, .at = Physical{(latched & interrupt_table.address.mask()) + 16ull * index}};
    s.readable = read(s.at, s.low, &s.high);
    look.steps.add(s);
    if (!s.readable) {
        look.fault = FaultReason::irte_inaccessible;
        return look;
    }
    look.low = s.low;
    look.high = s.high;
    look.silenced = remapped_low.fault_disable(s.low);
    if (!remapped_low.present(s.low)) {
        look.fault = FaultReason::irte_not_present;
        return look;
    }
    const auto& h = remapped_high;
    const u64 of_source = mask_of({h.source, h.qualifier, h.validation});
    bool good = h.validation(s.high) != u64(SourceValidation::reserved);
    if (remapped_low.posted(s.low)) {
        const auto& p = posted_low;
        good &= options_.posted_interrupts;
        good &= !(s.low & ~mask_of({p.present, p.fault_disable, p.available, p.urgent, p.posted, p.vector, p.descriptor_low}));
        good &= !(s.high & ~(of_source | posted_high.descriptor_high.mask()));
    } else {
        const auto& r = remapped_low;
        const u64 mode = r.delivery_mode(s.low);
        good &= mode != 3 && mode != 6;
        good &= !(s.low & ~mask_of({r.present, r.fault_disable, r.logical, r.redirection_hint, r.level, r.delivery_mode, r.available, r.posted, r.vector, r.destination}));
        // Without extended interrupt mode the destination is 8 bits, at 47:40.
        good &= interrupt_table.extended(latched) || !(r.destination(s.low) & ~0xff00ull);
        good &= !(s.high & ~of_source);
    }
    if (!good)
        look.fault = FaultReason::irte_reserved;
    return look;
}

} // namespace vitrine::vtd
