// SPDX-License-Identifier: Apache-2.0
// The registers of a virtual function: its own vectors, mailbox and statistics, and its queues' rings, which are the adapter's.
#include "vtc/adapter.h"
#include "vtc/spec/common.h"
#include "vtc/virtual_function.h"

namespace vitrine::vtc {

/// Of a ring's registers only those that make it a ring: its statistics are the physical function's.
std::optional<u32> Adapter::vf_ring_register(unsigned vf, u32 offset) const {
    const std::optional<u32> at = ring_of_vf(vf, offset);
    const RegisterRow* row = at ? regs_.find(*at).row : nullptr;
    return row && row->effect == Effect::queue ? at : std::nullopt;
}

u32 Adapter::vf_read(VirtualFunction& f, u32 offset) {
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
        if (const auto at = vf_ring_register(f.index(), offset))
            return reg(*at);
        glass().odd(Topic::vtc, "register.unknown-read", {{"adapter", f.name()}, {"offset", offset}});
        return 0;
    }
    const u32 stored = f.regs().value(place);
    Vectors& v = f.vectors();
    switch (place.row->effect) {
    case Effect::none: return stored;
    case Effect::control: return stored & ~ctrl_reset;
    case Effect::counter:
        for (const VfCounter& c : chip_.vf_counters)
            if (c.offset == offset)
                return static_cast<u32>(pools_[f.index()].*c.counter >> c.shift);
        return stored;
    case Effect::free_running: return static_cast<u32>(clock_.now() / 1000);
    case Effect::mailbox: return f.mailbox_read();
    case Effect::mailbox_memory: return f.message(place.index);
    case Effect::vector_cause: {
        const u64 cause = v.cause();
        v.clear(cause);
        return static_cast<u32>(cause);
    }
    case Effect::vector_cause_set: return static_cast<u32>(v.cause());
    case Effect::vector_mask_set: return static_cast<u32>(v.enabled());
    case Effect::vector_auto_clear: return static_cast<u32>(v.auto_clear());
    case Effect::vector_auto_mask: return static_cast<u32>(v.auto_mask());
    default: return vf_read_effect(place.row->effect, stored);
    }
}

void Adapter::vf_write(VirtualFunction& f, u32 offset, u32 value) {
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
        if (const auto at = vf_ring_register(f.index(), offset))
            return write_ring(*at, value);
        glass().odd(Topic::vtc, "register.unknown-write", {{"adapter", f.name()}, {"offset", offset}, {"value", value}});
        return;
    }
    u32& stored = f.regs().value(place);
    stored = (stored & ~place.row->writable) | (value & place.row->writable);
    Vectors& v = f.vectors();
    const u64 own = value & low_mask(chip_.vf_vectors);
    switch (place.row->effect) {
    case Effect::control:
        if (value & ctrl_reset)
            f.soft_reset();
        break;
    case Effect::mailbox: f.mailbox_write(value); break;
    case Effect::mailbox_memory: f.message(place.index) = value; break;
    case Effect::vector_cause: v.clear(own); break;
    case Effect::vector_cause_set: v.raise(own); break;
    case Effect::vector_mask_set: v.enable(own); break;
    case Effect::vector_mask_clear: v.disable(own); break;
    case Effect::vector_auto_clear: v.set_auto_clear(own); break;
    case Effect::vector_auto_mask: v.set_auto_mask(own); break;
    case Effect::throttle: set_interval(v, place.index, value); break;
    default: break;
    }
}

} // namespace vitrine::vtc
