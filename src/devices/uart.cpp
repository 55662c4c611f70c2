// SPDX-License-Identifier: Apache-2.0
// The serial port's registers and the order of its interrupts.
#include "devices/uart.h"

#include <algorithm>

namespace vitrine {

namespace {

enum : unsigned { rbr_thr = 0, ier = 1, iir_fcr = 2, lcr = 3, mcr = 4, lsr = 5, msr = 6, scr = 7 };

enum : u8 { // IER, and the IIR codes that answer them in falling priority
    ier_received = 0x01,
    ier_transmitter = 0x02,
    ier_line_status = 0x04,
    ier_modem_status = 0x08,
    iir_none = 0x01,
    iir_line_status = 0x06,
    iir_received = 0x04,
    iir_timeout = 0x0c,
    iir_transmitter = 0x02,
    iir_modem_status = 0x00,
    iir_fifos = 0xc0,
};

enum : u8 {
    lsr_data_ready = 0x01,
    lsr_overrun = 0x02,
    lsr_break = 0x10,
    lsr_thr_empty = 0x20,
    lsr_transmitter_empty = 0x40,
};

enum : u8 { mcr_dtr = 0x01, mcr_rts = 0x02, mcr_out1 = 0x04, mcr_out2 = 0x08 };

enum : u8 { msr_cts = 0x10, msr_dsr = 0x20, msr_ri = 0x40, msr_dcd = 0x80 };

enum : u8 { fcr_clear_receiver = 0x02 }; // the transmitter never holds anything to clear

enum : u8 { lcr_break = 0x40 };

} // namespace

Uart::Uart(Clock& clock, Bus& ports, std::string_view name, u16 base, Line irq, ByteOutput& output)
    : clock_(clock), name_(name), irq_(std::move(irq)), output_(output), timeout_(clock, name_ + ".timeout",
                                                                                  [this] {
                                                                                      timeout_pending_ = true;
                                                                                      update();
                                                                                  }),
      region_{.device = this, .name = name_, .size = 8, .max_size = 1} {
    ports.map(region_, base);
}

void Uart::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    ier_ = lcr_ = mcr_ = fcr_ = 0;
    msr_delta_ = 0;
    overrun_ = break_ = transmitter_empty_ = timeout_pending_ = false;
    received_.clear();
    timeout_.cancel();
    update();
}

std::size_t Uart::trigger_level() const {
    constexpr u8 levels[] = {1, 4, 8, 14};
    return fifos() ? levels[fcr_ >> 6] : 1;
}

// Start, data, parity and stop bits; one and a half stop bits count as two.
u64 Uart::character_time() const {
    const u64 bits = 1 + 5 + (lcr_ & 3) + (lcr_ & 8 ? 1 : 0) + (lcr_ & 4 ? 2 : 1);
    const u64 divisor = divisor_ == 0 ? 0x10000 : divisor_;
    return bits * divisor * 16 * nanoseconds_per_second / clock_rate;
}

u8 Uart::modem_lines() const {
    if (!loopback())
        return msr_cts | msr_dsr | msr_dcd; // somebody is at the other end
    return static_cast<u8>((mcr_ & mcr_rts ? msr_cts : 0) | (mcr_ & mcr_dtr ? msr_dsr : 0) |
                           (mcr_ & mcr_out1 ? msr_ri : 0) | (mcr_ & mcr_out2 ? msr_dcd : 0));
}

u8 Uart::interrupt_identity() const {
    if ((ier_ & ier_line_status) && (overrun_ || break_))
        return iir_line_status;
    if ((ier_ & ier_received) && received_.size() >= trigger_level())
        return iir_received;
    if ((ier_ & ier_received) && timeout_pending_)
        return iir_timeout;
    if ((ier_ & ier_transmitter) && transmitter_empty_)
        return iir_transmitter;
    if ((ier_ & ier_modem_status) && msr_delta_)
        return iir_modem_status;
    return iir_none;
}

void Uart::update() {
    const bool level = interrupt_identity() != iir_none && (mcr_ & mcr_out2) && !loopback();
    if (level != irq_level_) {
        irq_level_ = level;
        irq_.set(level);
    }
}

// Four character times without a character coming or going, and something below the trigger level waiting.
void Uart::restart_timeout() {
    timeout_pending_ = false;
    timeout_.arm(fifos() && !received_.empty() ? clock_.now() + 4 * character_time() : never);
}

std::size_t Uart::room() const {
    return loopback() || received_.size() >= depth() ? 0 : depth() - received_.size();
}

void Uart::take(u8 value) {
    if (received_.size() < depth()) {
        received_.push_back(value);
    } else {
        overrun_ = true;
        if (!fifos()) // the newest overwrites the receiver buffer; a full FIFO keeps what it has
            received_.back() = value;
    }
    restart_timeout();
}

void Uart::receive(std::span<const u8> data) {
    if (loopback())
        return; // the input is disconnected
    for (const u8 byte : data)
        take(byte);
    update();
}

void Uart::transmit(u8 value) {
    if (loopback())
        take(value);
    else
        output_.put({&value, 1});
    transmitter_empty_ = true; // sent at once: the holding register is empty again
}

u8 Uart::read_receiver() {
    u8 value = 0;
    if (!received_.empty()) {
        value = received_.front();
        received_.pop_front();
    }
    restart_timeout();
    return value;
}

u8 Uart::read_line_status() {
    const u8 value = static_cast<u8>(lsr_thr_empty | lsr_transmitter_empty | (received_.empty() ? 0 : lsr_data_ready) |
                                     (overrun_ ? lsr_overrun : 0) | (break_ ? lsr_break : 0));
    overrun_ = break_ = false;
    return value;
}

u8 Uart::read_modem_status() {
    const u8 value = modem_lines() | msr_delta_;
    msr_delta_ = 0;
    return value;
}

void Uart::modem_changed(u8 before) {
    const u8 now = modem_lines(), changed = now ^ before;
    msr_delta_ |= changed >> 4 & 0x0b; // DCTS, DDSR, DDCD: any change
    if (before & ~now & msr_ri)        // TERI: only the fall
        msr_delta_ |= 0x04;
}

void Uart::write_fifo_control(u8 value) {
    const bool switched = (value ^ fcr_) & 1;
    if (switched || (value & fcr_clear_receiver)) {
        received_.clear();
        timeout_pending_ = false;
        timeout_.cancel();
    }
    fcr_ = value & 1 ? value & 0xc9 : 0; // the other bits count only while FIFOs are on
}

u8 Uart::read(unsigned reg) {
    switch (reg) {
    case rbr_thr:
        return divisor_access() ? static_cast<u8>(divisor_) : read_receiver();
    case ier:
        return divisor_access() ? static_cast<u8>(divisor_ >> 8) : ier_;
    case iir_fcr: {
        const u8 identity = interrupt_identity();
        if (identity == iir_transmitter)
            transmitter_empty_ = false; // reading it is its acknowledgement
        return static_cast<u8>(identity | (fifos() ? iir_fifos : 0));
    }
    case lcr:
        return lcr_;
    case mcr:
        return mcr_;
    case lsr:
        return read_line_status();
    case msr:
        return read_modem_status();
    default:
        return scratch_;
    }
}

void Uart::write(unsigned reg, u8 value) {
    switch (reg) {
    case rbr_thr:
        if (divisor_access())
            divisor_ = static_cast<u16>((divisor_ & 0xff00) | value);
        else
            transmit(value);
        return;
    case ier:
        if (divisor_access()) {
            divisor_ = static_cast<u16>((divisor_ & 0x00ff) | value << 8);
            return;
        }
        if (value & ~ier_ & ier_transmitter) // enabling it while the register is empty raises it
            transmitter_empty_ = true;
        ier_ = value & 0x0f;
        return;
    case iir_fcr:
        return write_fifo_control(value);
    case lcr:
        if (value & ~lcr_ & lcr_break && loopback()) { // a break comes back as a zero with its error
            take(0);
            break_ = true;
        }
        lcr_ = value;
        return;
    case mcr: {
        const u8 before = modem_lines();
        mcr_ = value & 0x1f;
        return modem_changed(before);
    }
    case msr:
        return; // writing is for the factory
    case scr:
        scratch_ = value;
        return;
    default:
        return;
    }
}

void Uart::access(Region&, Access& a) {
    const auto reg = static_cast<unsigned>(a.offset & 7);
    if (a.write)
        write(reg, static_cast<u8>(a.value));
    else
        a.value = read(reg);
    update();
}

void Uart::state(Visitor& v) {
    v.field("ier", ier_);
    v.field("lcr", lcr_);
    v.field("mcr", mcr_);
    v.field("fcr", fcr_);
    v.field("scratch", scratch_);
    v.field("msr-delta", msr_delta_);
    v.field("divisor", divisor_);
    v.field("overrun", overrun_);
    v.field("break", break_);
    v.field("transmitter-empty", transmitter_empty_);
    v.field("timeout-pending", timeout_pending_);
    v.field("irq", irq_level_);
    v.field("received", received_);
    v.field("timeout", timeout_);
    if (v.loading() && received_.size() > fifo_size)
        v.refuse("uart: more received than the FIFO holds");
}

} // namespace vitrine
