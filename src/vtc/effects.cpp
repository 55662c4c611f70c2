// SPDX-License-Identifier: Apache-2.0
// What registers do that both chips have: mailboxes, EEPROM, semaphore, rates, system time. The chips see what is not here.
#include "vtc/adapter.h"
#include "vtc/spec/common.h"
#include "vtc/virtual_function.h"

namespace vitrine::vtc {

std::optional<u32> Adapter::common_read(const Bank::Place& place, u32 offset, u32 stored) {
    switch (place.row->effect) {
    case Effect::semaphore: // taken by who reads it free
        regs_.value(place) |= 1;
        return stored;
    case Effect::free_running:
        return static_cast<u32>(clock_.now() / 1000);
    case Effect::mailbox: {
        VirtualFunction* f = vf(place.index);
        return f ? f->physical_mailbox_read() : 0;
    }
    case Effect::mailbox_memory: {
        VirtualFunction* f = vf(place.index / mailbox::dwords);
        return f ? f->message(place.index) : 0;
    }
    case Effect::rate:
        return rates_[reg(chip_.rate_select) % chip_.queues];
    case Effect::time:
        return offset == chip_.time_increment ? stored : read_time(offset);
    case Effect::stamp:
        regs_.at(offset == chip_.receive_stamp_high ? chip_.receive_stamp_control : chip_.transmit_stamp_control) &= ~stamp_valid;
        return stored;
    default:
        return std::nullopt;
    }
}

bool Adapter::common_write(const Bank::Place& place, u32 offset, u32 before, u32 written) {
    switch (place.row->effect) {
    case Effect::control_extended:
        if (written & ctrl_ext_pfrstd) {
            regs_.value(place) &= ~ctrl_ext_pfrstd;
            for (const auto& f : vfs_)
                f->physical_reset(true);
        }
        return true;
    case Effect::nvm_read:
        if (written & nvm_start) {
            const u32 word = written >> 2 & 0x3fff;
            regs_.value(place) = static_cast<u32>(word < nvm_.size() ? nvm_[word] : 0xffff) << 16 | (written & 0xfffc) | nvm_done;
        }
        return true;
    case Effect::receive_control:
    case Effect::pool_enable:
        kick_transmit();
        kick_receive();
        return true;
    case Effect::mailbox:
        if (VirtualFunction* f = vf(place.index))
            f->physical_mailbox_write(written);
        return true;
    case Effect::mailbox_memory:
        if (VirtualFunction* f = vf(place.index / mailbox::dwords))
            f->message(place.index) = written;
        return true;
    case Effect::mailbox_cause:
        regs_.value(place) &= ~written;
        return true;
    case Effect::rate:
        rates_[reg(chip_.rate_select) % chip_.queues] = written;
        return true;
    case Effect::filter:
        filters_ = filter_rules();
        return true;
    case Effect::time: {
        // What has passed so far passed at the old rate.
        const u32 stored = regs_.value(place);
        regs_.value(place) = before;
        const u64 now = system_time();
        regs_.value(place) = stored;
        time_base_ = offset == chip_.time_low    ? (now & ~low_mask(32)) | written
                     : offset == chip_.time_high ? (now & low_mask(32)) | u64{written} << 32
                                                 : now;
        time_set_ = clock_.now();
        return true;
    }
    default:
        return false;
    }
}

void Adapter::set_interval(Vectors& vectors, unsigned n, u32 value) {
    vectors.set_interval(n, bits(value, chip_.throttle_high, chip_.throttle_low) * chip_.throttle_unit);
}

// ---- tables that filters look into --------------------------------------------------------------------------------------------

bool Adapter::in_hash_table(Mac mac, unsigned select) const {
    static constexpr unsigned shifts[] = {4, 3, 2, 0};
    const u32 hash = mac_high(mac) >> shifts[select & 3] & 0xfff;
    return reg((is_group(mac) ? chip_.multicast_table : chip_.unicast_table) + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

bool Adapter::vlan_known(u16 vlan) const { return reg(chip_.vlan_table + 4 * (vlan >> 5)) >> (vlan & 31) & 1; }

bool Adapter::vlan_in_entries(u16 vlan, u64 entries) const {
    for (unsigned n = 0; n < chip_.vlan_entries; ++n)
        if (const u32 v = reg(chip_.vlan_pools + 4 * n); (entries >> n & 1) && (v & vlvf_valid) && (v & vlvf_vlan) == vlan)
            return true;
    return false;
}

std::array<u8, 40> Adapter::hash_key() const {
    std::array<u8, 40> key{};
    for (unsigned n = 0; n < key.size(); ++n)
        key[n] = static_cast<u8>(reg(chip_.hash_key + (n & ~3u)) >> (8 * (n & 3)));
    return key;
}

} // namespace vitrine::vtc
