// SPDX-License-Identifier: Apache-2.0
// EEPROM images. (82576 datasheet, Non-Volatile Memory Map; 82599 datasheet, NVM Map.)
#include "vtc/nvm.h"

namespace vitrine::vtc {

namespace {

constexpr u16 right_sum = 0xbaba, checksum_word = 0x3f, none = 0xffff;

void put_mac(Nvm& nvm, std::size_t at, Mac mac) {
    for (unsigned i = 0; i < 3; ++i) {
        const u64 pair = mac >> (32 - 16 * i) & 0xffff;
        nvm[at + i] = static_cast<u16>(pair >> 8 | pair << 8);
    }
}

} // namespace

Nvm make_nvm_82576(Mac mac) {
    Nvm nvm{};
    nvm.fill(none);
    put_mac(nvm, 0, mac);
    nvm[0x03] = 0x0120; // compatibility: a LAN adapter for servers
    nvm[0x04] = 0xffff; // LEDs as the chip has them
    nvm[0x05] = 0x1204; // image version 1.2.4
    nvm[0x08] = 0x0000, nvm[0x09] = 0x0000; // PBA number
    nvm[0x0a] = 0x44c3; // initialisation control 1
    nvm[0x0b] = 0xa03c, nvm[0x0c] = 0x8086, nvm[0x0d] = 0x10c9, nvm[0x0e] = 0x8086;
    nvm[0x0f] = 0x7000; // initialisation control 2: no wake-up
    nvm[0x14] = 0x0000; // initialisation control 3, second port
    nvm[0x24] = 0x0000; // initialisation control 3: no wake-up
    nvm[checksum_word] = 0;
    u16 all = 0;
    for (unsigned n = 0; n <= checksum_word; ++n)
        all = static_cast<u16>(all + nvm[n]);
    nvm[checksum_word] = static_cast<u16>(right_sum - all);
    return nvm;
}

Nvm make_nvm_82599(Mac mac) {
    Nvm nvm{};
    nvm.fill(none);
    constexpr u16 core = 0x80, sfp_list = 0x100, sfp_data = 0x110, firmware = 0x180, firmware_parameters = 0x190;
    nvm[0x00] = 0x4000 | 0x0200; // control word 1
    nvm[0x01] = nvm[0x02] = 0;
    for (unsigned n = 0x03; n <= 0x0e; ++n)
        nvm[n] = none;
    nvm[0x09] = core; // core 0 section
    nvm[core] = 6;    // words behind the length
    put_mac(nvm, core + 1, mac);
    nvm[core + 4] = nvm[core + 5] = nvm[core + 6] = 0;
    nvm[0x0f] = firmware;
    for (unsigned n = 0; n < 16; ++n)
        nvm[firmware + n] = 0;
    nvm[firmware + 4] = firmware_parameters; // pass-through patch configuration
    for (unsigned n = 0; n < 16; ++n)
        nvm[firmware_parameters + n] = 0;
    nvm[firmware_parameters + 7] = 0x0600; // firmware version
    nvm[0x18] = 5; // image version
    nvm[0x2b] = sfp_list;
    // Kinds of module and where their initialisation lies: passive direct-attach cables on both cores are 0 and 1.
    unsigned at = sfp_list;
    nvm[at++] = 13;
    for (unsigned kind = 0; kind <= 12; ++kind) {
        nvm[at++] = static_cast<u16>(kind);
        nvm[at++] = sfp_data + 0x20;
    }
    nvm[at] = none;
    nvm[sfp_data + 0x20] = 1; // the first word is not written
    nvm[sfp_data + 0x21] = 0x0001;
    nvm[sfp_data + 0x22] = none;
    nvm[0x2c] = 0; // device capabilities: only supported modules
    nvm[0x27] = none, nvm[0x28] = none, nvm[0x37] = none;
    nvm[0x15] = 0, nvm[0x16] = 0; // PBA number
    nvm[0x2d] = 0, nvm[0x2e] = 0;
    u16 all = 0;
    for (unsigned n = 0; n < checksum_word; ++n)
        all = static_cast<u16>(all + nvm[n]);
    for (unsigned n = 0; n <= 6; ++n)
        if (n > 0)
            all = static_cast<u16>(all + nvm[core + n]);
    nvm[checksum_word] = static_cast<u16>(right_sum - all);
    return nvm;
}

} // namespace vitrine::vtc
