// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: how an adapter is plugged in, how a port of either chip is opened with pools, and where its rings are.
#pragma once

#include "vtc/i82576.h"
#include "vtc/i82599.h"
#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"
#include "vtc/spec/i82576.h"
#include "vtc/spec/i82599.h"

#include <algorithm>
#include <vector>

namespace vitrine::vtc {

/// On the board's root bus, with its registers and its MSI-X table where they are said, and link.
void plug_in(auto& board, auto& nic, u64 registers_at, u64 msix_at) {
    board.root.bus().attach(nic, 1);
    nic.attach_virtual_functions(board.root.bus());
    nic.reset(Reset::cold);
    nic.config_write(pci::bar0, 4, static_cast<u32>(registers_at));
    nic.config_write(pci::bar0 + 12, 4, static_cast<u32>(msix_at));
    nic.config_write(pci::command_offset, 2, 6);
    board.pass(10'000'000);
}

/// A frame of zeros behind the addresses and what `rest` says.
inline std::vector<u8> frame_of(Mac to, Mac from, std::size_t size = 64, std::initializer_list<u8> rest = {0x88, 0xb5}) { // local experimental
    std::vector<u8> f(size);
    for (unsigned i = 0; i < 6; ++i) {
        f[i] = static_cast<u8>(to >> (40 - 8 * i));
        f[6 + i] = static_cast<u8>(from >> (40 - 8 * i));
    }
    std::copy(rest.begin(), rest.end(), f.begin() + 12);
    return f;
}

template <class Chip> struct PortOf;

template <> struct PortOf<I82576> {
    static constexpr u32 rx(unsigned queue) { return i82576::rx_rings + queue * ring::size; }
    static constexpr u32 tx(unsigned queue) { return i82576::tx_rings + queue * ring::size; }
    static constexpr unsigned queue_step = 8; ///< from a pool's first queue to its second
    static constexpr unsigned first_queue(unsigned pool) { return pool; }
    static constexpr u32 vf_rx = 0x2800, vf_tx = 0x3800, vf_mailbox = 0xc40, vf_message = 0x800, vf_interrupt_set = 0x1520;

    static void send_no_pauses(auto&& get, auto&& set) { set(i82576::ctrl, get(i82576::ctrl) & ~(1u << 26 | 1u << 28 | 1u << 31)); }

    /// Receives and sends; with `pools`, each has one address (mac + pool) and loopback, and may not spoof.
    static void open(auto&& set, bool pools, Mac mac) {
        using namespace i82576;
        set(rctl, rctl_enable | rctl_bam | rctl_secrc);
        set(tctl, tctl_enable);
        if (!pools)
            return;
        set(mrqc, 3);
        set(vt_ctl, 1u << 30);
        set(dtxswc, 1u << 31 | 0xff);
        for (unsigned n = 0; n < i82576::pools; ++n) {
            set(vmolr + 4 * n, vmolr_aupe | vmolr_bam);
            set(ra + 8 * n, mac_low(mac + n));
            set(ra + 8 * n + 4, rah_valid | mac_high(mac + n) | 1u << (18 + n));
        }
        set(vfre, 0xff);
        set(vfte, 0xff);
    }
};

template <> struct PortOf<I82599> {
    static constexpr u32 rx(unsigned queue) { return queue < 64 ? i82599::rx_rings + queue * ring::size : i82599::rx_rings_high + (queue - 64) * ring::size; }
    static constexpr u32 tx(unsigned queue) { return i82599::tx_rings + queue * ring::size; }
    static constexpr unsigned queue_step = 1;
    static constexpr unsigned first_queue(unsigned pool) { return 2 * pool; }
    static constexpr u32 vf_rx = 0x1000, vf_tx = 0x2000, vf_mailbox = 0x2fc, vf_message = 0x200, vf_interrupt_set = 0x104;

    static void send_no_pauses(auto&&, auto&& set) { set(i82599::fccfg, 0); }

    static void open(auto&& set, bool pools, Mac mac) {
        using namespace i82599;
        set(rxctrl, rxctrl_enable);
        set(dmatxctl, dmatxctl_enable);
        set(fctrl, fctrl_bam);
        set(hlreg0, hlreg0_crc_strip | hlreg0_pad);
        if (!pools)
            return;
        set(gcr_ext, 3);
        set(vt_ctl, 1u << 30 | 1);
        set(dtxgswc, 1);
        for (unsigned n = 0; n < 8; ++n)
            set(vfspoof + 4 * n, 0xff);
        for (unsigned n = 0; n < i82599::pools; ++n) {
            set(vmolr + 4 * n, vmolr_aupe | vmolr_bam);
            set(ra + 8 * n, mac_low(mac + n));
            set(ra + 8 * n + 4, rah_valid | mac_high(mac + n));
            set(mpsar + 8 * n, n < 32 ? 1u << n : 0);
            set(mpsar + 8 * n + 4, n < 32 ? 0 : 1u << (n - 32));
        }
        for (unsigned n = 0; n < 2; ++n) {
            set(vfre + 4 * n, ~0u);
            set(vfte + 4 * n, ~0u);
        }
    }
};

} // namespace vitrine::vtc
