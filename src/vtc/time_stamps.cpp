// SPDX-License-Identifier: Apache-2.0
// The system time, and the instants at which PTP messages come and go. One stamp of either kind waits for the driver at a time; until
// it has been read no other is taken. (82576 datasheet, Time SYNC; 82599 datasheet, Time SYNC; IEEE 1588, message formats.)
#include "vtc/adapter.h"
#include "vtc/spec/common.h"

#include <bit>

namespace vitrine::vtc {

namespace {

constexpr std::size_t header_size = 34; ///< of a PTP message of version 2
constexpr std::size_t control_field = 32;
constexpr u8 first_general_message = 8;

/// TSYNCRXCTL bits 3:1.
enum class Stamped : u32 { v2_by_type = 0, v1 = 1, v2_anywhere = 2, events = 5 };

} // namespace

/// TIMINCA: an increment in bits 23:0, added each period of bits 31:24.
u64 Adapter::system_time() const {
    const u32 increment = reg(chip_.time_increment);
    const u64 period = (increment >> 24) * chip_.time_unit;
    return period ? time_base_ + (clock_.now() - time_set_) * 10 / period * (increment & 0xff'ffff) : time_base_;
}

u32 Adapter::read_time(u32 offset) {
    if (offset == chip_.time_low) {
        const u64 now = system_time();
        regs_.at(chip_.time_high) = static_cast<u32>(now >> 32);
        return static_cast<u32>(now);
    }
    return reg(offset);
}

/// Whether the frame is a message that the driver wants stamped; then it is.
bool Adapter::stamp_received(const Packet& p, const Choice& choice) {
    const u32 control = reg(chip_.receive_stamp_control);
    if (!(control & stamp_enabled) || (control & stamp_valid))
        return false;
    const unsigned pool = static_cast<unsigned>(std::countr_zero(choice.pools));
    const EthertypeFilter* type = filters_.type_of(p, pool);
    const bool ethernet = type && type->stamped;
    const bool udp = p.transport == L4::udp && filters_.tuple_of(p, pool, [](const TupleFilter& f) { return f.stamped; });
    if (!ethernet && !udp)
        return false;
    const auto message = p.frame.subspan(ethernet ? p.l3 : p.l4 + p.l4_header);
    if (message.size() < header_size)
        return false;
    const u32 wanted = reg(chip_.stamped_messages), id = message[0] & 15;
    const bool second = (message[1] & 15) == 2, first = udp && get16(message, 0) == 1;
    bool take = false;
    switch (static_cast<Stamped>(control >> 1 & 7)) {
    case Stamped::v2_by_type:
        take = ethernet && second && id == (wanted >> 8 & 15);
        break;
    case Stamped::v1:
        take = first && message[control_field] == (wanted & 0xff);
        break;
    case Stamped::v2_anywhere:
        take = second && id == (wanted >> 8 & 15);
        break;
    case Stamped::events:
        take = second && id < first_general_message;
        break;
    }
    if (!take)
        return false;
    const u64 now = system_time();
    regs_.at(chip_.receive_stamp_low) = static_cast<u32>(now);
    regs_.at(chip_.receive_stamp_high) = static_cast<u32>(now >> 32);
    regs_.at(chip_.receive_stamp_control) |= stamp_valid;
    explain("stamped", p, Detail{"time", now});
    return true;
}

void Adapter::stamp_sent() {
    const u32 control = reg(chip_.transmit_stamp_control);
    if (!(control & stamp_enabled) || (control & stamp_valid))
        return;
    const u64 now = system_time();
    regs_.at(chip_.transmit_stamp_low) = static_cast<u32>(now);
    regs_.at(chip_.transmit_stamp_high) = static_cast<u32>(now >> 32);
    regs_.at(chip_.transmit_stamp_control) = control | stamp_valid;
}

} // namespace vitrine::vtc
