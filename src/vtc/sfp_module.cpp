// SPDX-License-Identifier: Apache-2.0
// The wires' protocol: I2C, as the module sees it. (SFF-8472, Two-wire Interface.)
#include "vtc/sfp_module.h"

namespace vitrine::vtc {

namespace {

constexpr u8 module_address = 0xa0;

} // namespace

/// Data changes while the clock is high are a start or a stop; bits are taken at the clock's rise and given at its fall.
void SfpModule::move(bool clock_now, bool data_now) {
    const bool rise = clock_now && !clock, fall = !clock_now && clock;
    if (clock && clock_now && data != data_now) {
        count = byte = 0;
        slave = true;
        sending = false;
        selected = !data_now; // a start: the next byte is an address
        heard = false;
    } else if (rise && selected) {
        ++count;
        if (count <= 8 && !sending)
            byte = static_cast<u8>(byte << 1 | data_now);
        else if (count == 9 && sending && data_now)
            selected = false; // not acknowledged: no more
    } else if (fall && selected) {
        if (count == 8 && !sending) {
            if (!heard) {
                selected = (byte & 0xfe) == module_address;
                heard = true;
                addressed = byte & 1;
            } else {
                place = byte; // the first byte written is where to read; there is nothing to write to
            }
            slave = !selected;
        } else if (count == 8) {
            slave = true;
        } else if (count == 9) {
            count = 0;
            if (sending || addressed) {
                sending = true;
                byte = place < cable_.size() ? cable_[place] : u8{0};
                ++place;
                slave = byte >> 7 & 1;
            } else {
                byte = 0;
                slave = true;
            }
        } else if (sending) {
            slave = byte >> (7 - count) & 1;
        }
    }
    clock = clock_now;
    data = data_now;
}

void SfpModule::state(Visitor& v) {
    v.field("clock", clock);
    v.field("data", data);
    v.field("slave", slave);
    v.field("count", count);
    v.field("byte", byte);
    v.field("place", place);
    v.field("selected", selected);
    v.field("sending", sending);
    v.field("addressed", addressed);
    v.field("heard", heard);
    if (v.loading() && count > 9)
        v.refuse("a module's wires are in an impossible state");
}

} // namespace vitrine::vtc
