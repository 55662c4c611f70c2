// SPDX-License-Identifier: Apache-2.0
// The educational device at work.
#include "devices/edu.h"

#include "pci/msi.h"

namespace vitrine {

namespace {

enum Offset : u16 {
    identification = 0x00,
    liveness_check = 0x04,
    factorial = 0x08,
    status = 0x20,
    interrupt_status = 0x24,
    interrupt_raise = 0x60,
    interrupt_acknowledge = 0x64,
    dma_source = 0x80,
    dma_destination = 0x88,
    dma_count = 0x90,
    dma_command = 0x98,
};

constexpr u64 wide_from = 0x80; ///< registers here take 8 bytes as well
constexpr u32 identity = 0x0100'00ed;
constexpr u32 computing = 0x01, interrupt_when_computed = 0x80;
constexpr u64 dma_start = 1, dma_to_memory = 2, dma_interrupt = 4;
constexpr u32 factorial_cause = 0x001, dma_cause = 0x100;

/// Modulo 2^32; from 34 on there are 32 factors of two in it.
u32 factorial_of(u32 n) {
    if (n >= 34)
        return 0;
    u32 result = 1;
    for (; n > 1; --n)
        result *= n;
    return result;
}

} // namespace

Edu::Edu(const pci::Platform& platform, Clock& clock, const Options& options)
    : Function(platform, "edu", {.vendor = 0x1234, .device = 0x11e8, .revision = 0x10, .class_code = 0x00ff00}),
      clock_(clock), dma_mask_(options.dma_mask),
      factorial_timer_(clock, "edu.factorial", [this] { factorial_done(); }),
      dma_timer_(clock, "edu.dma", [this] { dma_done(); }) {
    add_bar(0, {.kind = pci::BarKind::memory_32, .size = 1_MiB, .name = "registers", .min_size = 4, .max_size = 8});
    config().set_reset(pci::interrupt_pin, 1, 1);
    config().set(pci::interrupt_pin, 1, 1);
    add<pci::Msi>(0x40, 1u);
}

void Edu::bar_access(unsigned, Access& a) {
    if (a.size == 8 && a.offset < wide_from) {
        glass().odd(Topic::devices, "edu.size", {{"offset", a.offset}});
        if (!a.write)
            a.value = ~0ull;
        return;
    }
    if (a.write)
        write(a.offset, a.value);
    else
        a.value = read(a.offset);
}

u64 Edu::read(u64 offset) {
    switch (offset) {
    case identification:
        return identity;
    case liveness_check:
        return liveness_;
    case factorial:
        return factorial_;
    case status:
        return status_;
    case interrupt_status:
        return interrupt_status_;
    case dma_source:
        return source_;
    case dma_destination:
        return destination_;
    case dma_count:
        return count_;
    case dma_command:
        return command_;
    default:
        glass().odd(Topic::devices, "edu.read-unknown-register", {{"offset", offset}});
        return ~0ull;
    }
}

void Edu::write(u64 offset, u64 value) {
    const u32 low = static_cast<u32>(value);
    if (offset >= dma_source && (command_ & dma_start)) {
        glass().odd(Topic::devices, "edu.write-during-dma", {{"offset", offset}});
        return;
    }
    switch (offset) {
    case liveness_check:
        liveness_ = ~low;
        break;
    case factorial:
        if (status_ & computing)
            break;
        factorial_ = low;
        status_ |= computing;
        factorial_timer_.arm(clock_.now() + factorial_time);
        break;
    case status:
        status_ = (status_ & computing) | (low & interrupt_when_computed);
        break;
    case interrupt_raise:
        raise(low);
        break;
    case interrupt_acknowledge:
        interrupt_status_ &= ~low;
        set_intx(interrupt_status_ != 0);
        break;
    case dma_source:
        source_ = value;
        break;
    case dma_destination:
        destination_ = value;
        break;
    case dma_count:
        count_ = value;
        break;
    case dma_command:
        if (!(value & dma_start))
            break;
        command_ = value & (dma_start | dma_to_memory | dma_interrupt);
        dma_timer_.arm(clock_.now() + dma_time);
        break;
    default:
        glass().odd(Topic::devices, "edu.write-unknown-register", {{"offset", offset}, {"value", value}});
    }
}

void Edu::raise(u32 causes) {
    interrupt_status_ |= causes;
    if (!interrupt_status_)
        return;
    set_intx(true);
    msi()->trigger(0);
}

void Edu::factorial_done() {
    factorial_ = factorial_of(factorial_);
    status_ &= ~computing;
    if (status_ & interrupt_when_computed)
        raise(factorial_cause);
}

bool Edu::transfer() {
    const bool out = command_ & dma_to_memory;
    const u64 own = (out ? source_ : destination_) - buffer_start, other = out ? destination_ : source_;
    if (own > buffer_size || count_ > buffer_size - own) {
        glass().odd(Topic::devices, "edu.dma-outside-the-buffer", {{"offset", own}, {"count", count_}});
        return false;
    }
    if (other & ~dma_mask_)
        glass().odd(Topic::devices, "edu.dma-address-cut", {{"address", other}, {"mask", dma_mask_}});
    const std::span<u8> piece(buffer_.data() + own, count_);
    return out ? dma_write(DeviceAddress{other & dma_mask_}, piece) : dma_read(DeviceAddress{other & dma_mask_}, piece);
}

void Edu::dma_done() {
    if (count_ && !transfer())
        glass().tell(Topic::devices, "edu.dma-failed");
    command_ &= ~dma_start;
    if (command_ & dma_interrupt)
        raise(dma_cause);
}

void Edu::device_reset(Reset) {
    factorial_timer_.cancel();
    dma_timer_.cancel();
    liveness_ = factorial_ = status_ = interrupt_status_ = 0;
    source_ = destination_ = count_ = command_ = 0;
    buffer_.fill(0);
}

void Edu::device_state(Visitor& v) {
    v.field("factorial timer", factorial_timer_);
    v.field("dma timer", dma_timer_);
    v.field("liveness", liveness_);
    v.field("factorial", factorial_);
    v.field("status", status_);
    v.field("interrupt status", interrupt_status_);
    v.field("source", source_);
    v.field("destination", destination_);
    v.field("count", count_);
    v.field("command", command_);
    v.field("buffer", buffer_);
}

} // namespace vitrine
