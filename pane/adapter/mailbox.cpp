// SPDX-License-Identifier: Apache-2.0
// What virtual functions ask for through their mailboxes. A guest writes the questions: each costs the same small work,
// whatever is in it, and who asks too often waits. (82576 and 82599 datasheets, Virtual Mailbox; the messages are those
// of igbvf and ixgbevf.)
#include "pane/adapter/port.h"
#include "pane/guest/guest.h"

#include <cstring>

namespace vitrine::pane {

namespace {

constexpr unsigned message_words = 16;
using Message = u32[message_words];

// The physical function's mailbox control: both chips have the same bits.
constexpr u32 send = 1, acknowledge = 2, own = 8, take_from_function = 0x10;

// The first word: what is asked 7:0, more about it 23:16, what became of it.
constexpr u32 granted = 1u << 31, refused = 1u << 30, clear_to_send = 1u << 29;
constexpr u32 from_physical = 0x100;

u32 more(const Message& m) {
    return m[0] >> 16 & 0xff;
}

constexpr u32 longest_frame = 1522; ///< with FCS and tag; the port takes no longer one

bool reset(Port& p, unsigned v, Message& m) {
    VirtualFunction& f = p.virtual_functions[v];
    f.clear_to_send = true;
    p.write(p.chip->pool_control + 4 * v, pool_takes::untagged | pool_takes::broadcasts);
    p.write(p.chip->pool_vlan + 4 * v, 0);
    pool_enable(p, v, true);
    memcpy(&m[1], &f.address, sizeof f.address);
    m[3] = 0; // multicast addresses are hashed by their upper twelve bits
    return true;
}

/// Addresses are given by Pane; the answer to the one that it gave is yes.
bool set_address(Port& p, unsigned v, Message& m) {
    Mac wanted;
    memcpy(&wanted, &m[1], sizeof wanted);
    if (more(m) != 0)
        return more(m) == 1; // further addresses are forgotten, and there are none
    return wanted == p.virtual_functions[v].address;
}

bool set_multicast(Port& p, unsigned v, Message& m) {
    VirtualFunction& f = p.virtual_functions[v];
    f.hash_count = more(m) < VirtualFunction::most_hashes ? more(m) : VirtualFunction::most_hashes;
    memcpy(f.hashes, &m[1], f.hash_count * sizeof *f.hashes);
    p.change(p.chip->pool_control + 4 * v, pool_takes::multicast_hash);
    filter_multicast(p);
    return true;
}

/// Networks that the configuration gives to guests are theirs alone.
bool set_vlan(Port& p, unsigned v, Message& m) {
    const auto vlan = static_cast<u16>(m[1] & 0xfff);
    if (vlan == 0)
        return true; // untagged frames, which it has anyway
    for (unsigned n = 0; n < p.pool_count; ++n)
        if (p.pools[n].vlan == vlan)
            return false;
    p.virtual_functions[v].has_vlans = true;
    return filter_vlan(p, v, vlan, more(m) & 1);
}

bool set_longest_frame(Port&, unsigned, Message& m) {
    return m[1] <= longest_frame;
}

/// No more than what it has: further addresses and promiscuous modes are refused, to give them up is granted.
bool nothing_more(Port&, unsigned, Message& m) {
    return more(m) == 0;
}

bool negotiate(Port& p, unsigned v, Message& m) {
    constexpr u32 version_2_0 = 1, version_1_4 = 5;
    if (m[1] == version_2_0 || m[1] > version_1_4)
        return false;
    p.virtual_functions[v].interface = static_cast<u8>(m[1]);
    return true;
}

bool queues(Port&, unsigned, Message& m) {
    m[1] = m[2] = 1; // to send and to receive
    m[3] = m[4] = 0; // no tags to be stripped, and the first queue
    return true;
}

bool set_cast_mode(Port& p, unsigned v, Message& m) {
    enum : u32 { none, multicast, all_multicast };

    const u32 mode = m[1] < multicast ? m[1] : u32{multicast}; // as far as a function goes that is not trusted
    const u32 bits = pool_takes::broadcasts | pool_takes::multicast_hash;
    p.change(p.chip->pool_control + 4 * v, mode == none ? 0 : bits, mode == none ? bits : 0);
    m[1] = mode;
    return true;
}

bool link_state(Port&, unsigned, Message& m) {
    m[1] = 1; // the function may use the link, whatever state that is in
    return true;
}

struct Row {
    u8 what, interface; ///< the version that has it
    bool (*answer)(Port& port, unsigned function, Message& message);
    unsigned words; ///< of the answer
};

constexpr u8 asks_for_reset = 1;
constexpr u8 version_1_1 = 2, version_1_2 = 3;

// clang-format off
constexpr Row rows[] = {
    {asks_for_reset, 0, reset,             4},
    {0x02, 0,           set_address,       1},
    {0x03, 0,           set_multicast,     1},
    {0x04, 0,           set_vlan,          1},
    {0x05, 0,           set_longest_frame, 1},
    {0x06, 0,           nothing_more,      1},
    {0x08, 0,           negotiate,         1},
    {0x09, version_1_1, queues,            5},
    {0x0c, version_1_2, set_cast_mode,     2},
    {0x10, version_1_2, link_state,        2},
};

// clang-format on

u32 control_of(const Port& p, unsigned v) {
    return p.chip->mailbox_control + 4 * v;
}

bool lock(Port& p, unsigned v, bool by_force) {
    p.write(control_of(p, v), own);
    if (p.read(control_of(p, v)) & own)
        return true;
    if (!by_force)
        return false;
    p.write(control_of(p, v), take_from_function);
    p.write(control_of(p, v), own);
    return p.read(control_of(p, v)) & own;
}

bool write_message(Port& p, unsigned v, const Message& m, unsigned words) {
    if (!lock(p, v, true))
        return false;
    for (unsigned n = 0; n < words; ++n)
        p.write(p.chip->mailbox_memory + 4 * (v * message_words + n), m[n]);
    p.write(control_of(p, v), send);
    return true;
}

void answer(Port& p, unsigned v) {
    VirtualFunction& f = p.virtual_functions[v];
    ++f.messages;
    if (!lock(p, v, true)) {
        ++f.refused;
        return;
    }
    Message m;
    for (unsigned n = 0; n < message_words; ++n)
        m[n] = p.read(p.chip->mailbox_memory + 4 * (v * message_words + n));
    p.write(control_of(p, v), acknowledge);

    const auto what = static_cast<u8>(m[0]);
    const Row* row = nullptr;
    for (const Row& r : rows)
        if (r.what == what && r.interface <= f.interface)
            row = &r;
    const bool may = row && !(m[0] & (granted | refused)) && (f.clear_to_send || what == asks_for_reset);
    const bool good = may && row->answer(p, v, m);
    f.refused += !good;
    m[0] = (m[0] & 0xff'ffff) | (good ? granted : refused) |
           (f.clear_to_send && what != asks_for_reset ? clear_to_send : 0);
    write_message(p, v, m, good ? row->words : 1);
}

/// It begins anew: what it had asked for is forgotten, and it neither sends nor receives until it asks for that.
void was_reset(Port& p, unsigned v) {
    VirtualFunction& f = p.virtual_functions[v];
    ++f.resets;
    f.clear_to_send = false;
    f.interface = 0;
    if (f.hash_count) {
        f.hash_count = 0;
        filter_multicast(p);
    }
    if (f.has_vlans) {
        f.has_vlans = false;
        filter_forget_vlans(p, v);
    }
}

void silence(Port& p, unsigned v, bool on) {
    VirtualFunction& f = p.virtual_functions[v];
    const u32 its = 1u << v % 32;
    p.change(p.chip->mailbox_mask + 4 * (v / 32), on ? 0 : its, on ? its : 0);
    f.silenced = on;
    f.silences += on;
    on ? ++p.silenced : --p.silenced;
}

/// Whether it may ask once more now.
bool heard(Port& p, unsigned v, u64 now) {
    VirtualFunction& f = p.virtual_functions[v];
    if (now >= f.window_end) {
        f.window_end = now + microseconds(VirtualFunction::window);
        f.requests = 0;
    }
    if (++f.requests <= VirtualFunction::most_requests)
        return true;
    silence(p, v, true);
    return false;
}

} // namespace

void mailbox_events(Port& p, u64 now) {
    for (u64 resets = p.chip->take_resets(p) & low_mask(p.virtual_function_count); resets; resets &= resets - 1)
        was_reset(p, static_cast<unsigned>(__builtin_ctzll(resets)));
    for (unsigned first = 0; first < p.virtual_function_count; first += 16) {
        const u32 at = p.chip->mailbox_cause + 4 * (first / 16), causes = p.read(at);
        p.write(at, causes & 0xffff'0000);
        for (u32 left = causes >> 16; left; left &= left - 1)
            if (const unsigned v = first + static_cast<unsigned>(__builtin_ctz(left)); v < p.virtual_function_count)
                ++p.virtual_functions[v].acknowledgements;
        for (u32 left = causes & 0xffff; left; left &= left - 1) {
            const unsigned n = static_cast<unsigned>(__builtin_ctz(left)), v = first + n;
            if (v >= p.virtual_function_count || p.virtual_functions[v].silenced)
                continue;
            const u64 start = rdtsc();
            if (heard(p, v, now)) {
                p.write(at, 1u << n);
                answer(p, v);
            }
            if (Guest* g = p.virtual_functions[v].function->owner)
                g->used += rdtsc() - start; // it is the guest's time that its questions take
        }
    }
    for (u64 spoofers = p.chip->take_spoofers(p); spoofers; spoofers &= spoofers - 1)
        if (const unsigned v = static_cast<unsigned>(__builtin_ctzll(spoofers)); v < p.virtual_function_count)
            ++p.virtual_functions[v].spoofed;
}

void mailbox_ping(Port& p) {
    for (unsigned v = 0; v < p.virtual_function_count; ++v) {
        const u32 causes = p.read(p.chip->mailbox_cause + 4 * (v / 16));
        if (causes >> v % 16 & 1)
            continue; // a question lies there; its answer tells as much
        if (!lock(p, v, false))
            continue;
        p.write(p.chip->mailbox_memory + 4 * (v * message_words),
                from_physical | (p.virtual_functions[v].clear_to_send ? clear_to_send : 0));
        p.write(control_of(p, v), send);
    }
}

u64 mailbox_next(Port& p, u64 now) {
    u64 next = ~0ull;
    if (!p.silenced)
        return next;
    bool again = false;
    for (unsigned v = 0; v < p.virtual_function_count; ++v) {
        VirtualFunction& f = p.virtual_functions[v];
        if (f.silenced && now >= f.window_end) {
            silence(p, v, false);
            again = true;
        } else if (f.silenced && f.window_end < next) {
            next = f.window_end;
        }
    }
    if (again)
        mailbox_events(p, now);
    return next;
}

} // namespace vitrine::pane
