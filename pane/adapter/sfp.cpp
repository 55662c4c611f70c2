// SPDX-License-Identifier: Apache-2.0
// Reads the module's EEPROM over two pins, bit by bit, and gives the serial core the words that belong to that kind of
// module. (82599 datasheet, I2C; SFF-8472. The list of modules in the EEPROM is known from the stock driver alone.)
#include "pane/adapter/sfp.h"

#include "pane/adapter/port.h"
#include "vtc/spec/common.h"
#include "vtc/spec/i82599.h"

namespace vitrine::pane {

namespace {

using namespace vtc::i82599;

constexpr unsigned half_period = 5; ///< microseconds: 100 kHz
constexpr u8 module_address = 0xa0, module_read = 1;
// Bytes of the module
constexpr u8 identifier = 0, ethernet_10g = 3, cable = 8;
constexpr u8 is_sfp = 3, is_short_range = 1 << 4, is_long_range = 1 << 5, is_passive = 1 << 2;

constexpr u32 core_control = 0x14f00;
constexpr u64 eeprom_time = 5'000;
constexpr u16 nothing = 0xffff, module_list = 0x2b;
constexpr unsigned most_modules = 32, most_words = 64;

class Bus {
public:
    explicit Bus(Port& port) : p_(port) {}

    /// A byte of the module; false when nobody answers.
    bool read(u8 at, u8& value) {
        begin();
        bool there = put(module_address) && put(at);
        begin();
        there = there && put(module_address | module_read);
        value = there ? get() : 0;
        end();
        return there;
    }

private:
    void pins(bool clock, bool data) {
        p_.write(i2cctl, (clock ? i2c_clock_out : 0) | (data ? i2c_data_out : 0));
        static_cast<void>(p_.read(i2cctl));
        wait_microseconds(half_period);
    }

    void begin() {
        pins(false, true);
        pins(true, true);
        pins(true, false);
        pins(false, false);
    }

    void end() {
        pins(false, false);
        pins(true, false);
        pins(true, true);
    }

    bool one(bool out) {
        pins(false, out);
        pins(true, out);
        const bool in = p_.read(i2cctl) & i2c_data_in;
        pins(false, out);
        return in;
    }

    /// Whether it was acknowledged.
    bool put(u8 byte) {
        for (unsigned n = 8; n-- > 0;)
            one(byte >> n & 1);
        return !one(true);
    }

    u8 get() {
        u8 byte = 0;
        for (unsigned n = 0; n < 8; ++n)
            byte = static_cast<u8>(byte << 1 | one(true));
        one(true); // no more
        return byte;
    }

    Port& p_;
};

u16 eeprom(Port& p, u32 word) {
    p.write(eerd, word << 2 | vtc::nvm_start);
    return p.wait(eerd, vtc::nvm_done, vtc::nvm_done, eeprom_time) ? static_cast<u16>(p.read(eerd) >> 16) : nothing;
}

/// The words for a kind of module, from a list of kinds and places.
void initialise(Port& p, u16 kind) {
    const u16 list = eeprom(p, module_list);
    if (list == 0 || list == nothing)
        return;
    for (unsigned n = 0; n < most_modules; ++n) {
        const u16 there = eeprom(p, list + 1u + 2 * n);
        if (there == nothing)
            break;
        if (there != kind)
            continue;
        const u16 place = eeprom(p, list + 2u + 2 * n);
        for (unsigned k = 1; k <= most_words; ++k) {
            const u16 word = eeprom(p, place + k);
            if (word == nothing)
                return;
            p.write(core_control, word);
        }
        return;
    }
    say("pane: the adapter's EEPROM knows no such module");
}

} // namespace

void sfp_start(Port& p) {
    Bus bus(p);
    u8 what = 0, ethernet = 0, copper = 0;
    if (!bus.read(identifier, what) || what != is_sfp) {
        say("pane: no module is in the adapter's SFP+ cage");
        return;
    }
    if (!bus.read(ethernet_10g, ethernet) || !bus.read(cable, copper))
        return;
    const u16 core = p.read(status) >> 2 & 1; // which port of the chip it is
    constexpr u16 direct_attach = 3, optical = 5;
    if (copper & is_passive)
        initialise(p, static_cast<u16>(direct_attach + core));
    else if (ethernet & (is_short_range | is_long_range))
        initialise(p, static_cast<u16>(optical + core));
    else
        say("pane: the adapter's SFP+ module is neither a passive cable nor optical for 10 Gb/s; the link may not "
            "come");
}

} // namespace vitrine::pane
