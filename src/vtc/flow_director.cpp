// SPDX-License-Identifier: Apache-2.0
// Flow director: adding, removing and finding filters.
#include "vtc/flow_director.h"

#include "vtc/spec/i82599.h"

#include <algorithm>

namespace vitrine::vtc {

using namespace i82599;

namespace {

enum Command : u32 { command_add = 1, command_remove = 2, command_query = 3 };
constexpr u32 largest = 32 << 10;

u32 swapped(u32 value) { return __builtin_bswap32(value); }

u32 halves_swapped(u32 value) { return value << 16 | value >> 16; }

/// Port masks lie in their register with each half's bits reversed.
u32 reversed_halves(u32 value) {
    u32 out = 0;
    for (unsigned n = 0; n < 16; ++n)
        out |= (value >> n & 0x10001) << (15 - n);
    return out;
}

void count_half(u32& value, unsigned shift, u32 mask) {
    if ((value >> shift & mask) != mask)
        value += 1u << shift;
}

} // namespace

void FlowDirector::Filter::state(Visitor& v) {
    v.field("bucket", bucket);
    v.field("id", id);
    v.field("command", command);
    v.field("source", source);
    v.field("destination", destination);
    v.field("ports", ports);
    v.field("vlan and flexible bytes", vlan_flex);
}

bool FlowDirector::perfect() const { return regs_.get(fdirctrl) & fdirctrl_perfect; }

/// 8K signatures or 2K perfect filters for each 64 KiB of the packet buffer, of which two stay unused.
u32 FlowDirector::capacity() const {
    const u32 lent = regs_.get(fdirctrl) & fdirctrl_memory;
    return lent ? ((perfect() ? 1024u : 4096u) << lent) - 2 : 0;
}

u16 FlowDirector::bucket_of(u32 hash) const {
    const u32 lent = regs_.get(fdirctrl) & fdirctrl_memory;
    return static_cast<u16>(hash & (((perfect() ? 1024u : 4096u) << lent) - 1));
}

// ---- hashes -----------------------------------------------------------------------------------------------------------------

/// Each bit of the key that is set adds the stream of bits, moved by the bit's number. The stream repeats after 32 bits but for the
/// first dword, which comes in twice, half a dword apart.
u16 FlowDirector::hash(u32 key, u32 folded, u32 kind) {
    const u32 high = folded ^ kind ^ kind >> 16;
    const u64 stream = static_cast<u64>(high) << 16 | ((folded >> 16 ^ kind) & 0xffff);
    u64 sum = 0;
    for (; key; key &= key - 1)
        sum ^= stream >> __builtin_ctz(key);
    return static_cast<u16>(sum & 0x7fff);
}

FlowDirector::Flow FlowDirector::masked(Flow f) const {
    const u32 mask = regs_.get(fdirm), transport = f.kind >> 16 & 3;
    // The destination's port is in the upper half of the register.
    if (const u32 at = (mask & fdirm_l4) || transport == 2 ? u32{fdirtcpm} : transport == 1 ? u32{fdirudpm} : 0)
        f.ports &= ~halves_swapped(reversed_halves(regs_.get(at)));
    if (mask & fdirm_vlan)
        f.kind &= ~0xfffu;
    if (mask & fdirm_priority)
        f.kind &= ~0xe000u;
    if (mask & fdirm_pool)
        f.kind &= 0xff'ffff;
    if (mask & fdirm_l4)
        f.kind &= ~(3u << 16);
    if (mask & fdirm_flex)
        f.flex = 0;
    f.source &= ~swapped(regs_.get(fdirsip4m));
    f.destination &= ~swapped(regs_.get(fdirdip4m));
    return f;
}

/// The kind: pool 31:24, IPv6 18, transport 17:16, VLAN tag without its CFI 15:0. Ports: the source's in 31:16, as in a packet.
std::optional<FlowDirector::Flow> FlowDirector::flow_of(const Packet& p, unsigned pool) const {
    if (!p.ipv4 && !p.ipv6)
        return std::nullopt;
    Flow f;
    const u32 transport = p.transport == L4::udp ? 1 : p.transport == L4::tcp ? 2 : p.transport == L4::sctp ? 3 : 0;
    f.kind = pool << 24 | (p.ipv6 ? 4u << 16 : 0) | transport << 16 | (p.tagged ? p.tag & 0xefffu : 0);
    for (unsigned n = 0; n < (p.ipv4 ? 4u : 16u); n += 4) {
        f.source ^= get32(p.frame, p.l3 + (p.ipv4 ? 12 : 8) + n);
        f.destination ^= get32(p.frame, p.l3 + (p.ipv4 ? 16 : 24) + n);
    }
    if (transport)
        f.ports = static_cast<u32>(p.source_port()) << 16 | p.destination_port();
    const u32 at = (regs_.get(fdirctrl) >> 16 & 31) * 2;
    f.flex = at + 2 <= p.frame.size() ? get16(p.frame, at) : 0;
    return perfect() ? masked(f) : f;
}

FlowDirector::Flow FlowDirector::flow_of(const Filter& c) const {
    Flow f;
    f.kind = (c.command >> 24 & 63) << 24 | (c.command >> 5 & 7) << 16 | (c.vlan_flex & 0xefff);
    f.source = swapped(c.source);
    f.destination = swapped(c.destination);
    f.ports = halves_swapped(c.ports);
    f.flex = __builtin_bswap16(static_cast<u16>(c.vlan_flex >> 16));
    return masked(f);
}

// ---- the table --------------------------------------------------------------------------------------------------------------

FlowDirector::Filter* FlowDirector::find(u16 bucket, u16 id) {
    if (table_.empty())
        return nullptr;
    for (Filter& f : table_[bucket])
        if (f.id == id)
            return &f;
    return nullptr;
}

void FlowDirector::count_free() {
    u32& free = regs_.at(fdirfree);
    free = (free & 0xffff'0000) | (capacity() - std::min(capacity(), count_));
}

bool FlowDirector::add() {
    const u32 hashes = regs_.get(fdirhash), command = regs_.get(fdircmd);
    const u16 bucket = bucket_of(hashes), id = static_cast<u16>(perfect() ? hashes >> 16 : hashes >> 16 & 0x7fff);
    const Filter made{bucket, id, command, regs_.get(fdiripsa), regs_.get(fdiripda), regs_.get(fdirport), regs_.get(fdirvlan)};
    if (Filter* there = find(bucket, id)) {
        if (command & fdircmd_update)
            *there = made;
        return false;
    }
    if (count_ >= capacity()) {
        count_half(regs_.at(fdirfstat), 0, 0xff);
        return false;
    }
    if (table_.empty())
        table_.resize(largest);
    table_[bucket].push_back(made);
    ++count_;
    count_half(regs_.at(fdirustat), 0, 0xffff);
    if (u32& longest = regs_.at(fdirlen); table_[bucket].size() > (longest & 63))
        longest = static_cast<u32>(bucket) << 16 | static_cast<u32>(std::min<std::size_t>(63, table_[bucket].size()));
    count_free();
    return capacity() - count_ == (regs_.get(fdirctrl) >> 28) * 16;
}

void FlowDirector::remove() {
    const u32 hashes = regs_.get(fdirhash);
    const u16 bucket = bucket_of(hashes);
    Filter* f = find(bucket, static_cast<u16>(perfect() ? hashes >> 16 : hashes >> 16 & 0x7fff));
    if (!f)
        return count_half(regs_.at(fdirfstat), 8, 0xff);
    auto& list = table_[bucket];
    list.erase(list.begin() + (f - list.data()));
    --count_;
    count_half(regs_.at(fdirustat), 16, 0xffff);
    count_free();
}

bool FlowDirector::written(u32 offset, u32 value) {
    if (offset == fdirctrl) {
        // Whatever was there is gone; the chip clears its memory at once.
        reset();
        u32& control = regs_.at(fdirctrl);
        control = (value & ~fdirctrl_done) | (value & fdirctrl_memory ? fdirctrl_done : 0);
        count_free();
        return false;
    }
    u32& command = regs_.at(fdircmd);
    bool few = false;
    if (value & fdircmd_clear)
        reset();
    else if (regs_.get(fdirctrl) & fdirctrl_done)
        switch (value & fdircmd_command) {
        case command_add:
            few = add();
            break;
        case command_remove:
            remove();
            break;
        case command_query: {
            const u32 hashes = regs_.get(fdirhash);
            const bool there = find(bucket_of(hashes), static_cast<u16>(perfect() ? hashes >> 16 : hashes >> 16 & 0x7fff));
            command = (command & ~fdircmd_valid) | (there ? fdircmd_valid : 0);
            break;
        }
        default:
            break;
        }
    command &= ~fdircmd_command; // done at once
    return few;
}

std::optional<FlowMatch> FlowDirector::match(const Packet& p, unsigned pool) {
    const u32 control = regs_.get(fdirctrl);
    if (!(control & fdirctrl_done) || !(control & fdirctrl_memory))
        return std::nullopt;
    const auto flow = flow_of(p, pool);
    if (!flow)
        return std::nullopt;
    const u16 hashed = hash(regs_.get(fdirhkey), flow->folded(), flow->kind);
    const Filter* found = nullptr;
    if (!table_.empty()) {
        const auto& list = table_[bucket_of(hashed)];
        const u16 signature = list.empty() ? u16{0} : hash(regs_.get(fdirskey), flow->folded(), flow->kind);
        for (const Filter& f : list) {
            const Flow wanted = perfect() ? flow_of(f) : Flow{};
            if (perfect() ? p.ipv4 && wanted.kind == flow->kind && wanted.source == flow->source && wanted.destination == flow->destination &&
                                wanted.ports == flow->ports && wanted.flex == flow->flex
                          : f.id == signature && (f.command >> 5 & 7) == (flow->kind >> 16 & 7)) {
                found = &f;
                break;
            }
        }
    }
    regs_.count(found ? fdirmatch : fdirmiss);
    if (!found)
        return std::nullopt;
    FlowMatch m;
    m.drop = found->command & fdircmd_drop;
    if (found->command & fdircmd_queue)
        m.queue = static_cast<u8>(found->command >> 16 & 127);
    if (control & fdirctrl_report)
        m.report = hashed | static_cast<u32>(found->id) << 16;
    return m;
}

void FlowDirector::state(Visitor& v) {
    std::vector<Filter> all;
    for (const auto& list : table_)
        all.insert(all.end(), list.begin(), list.end());
    v.field("flow filters", all);
    if (!v.loading())
        return;
    reset();
    if (all.size() > largest)
        return v.refuse("the flow director in the state has more filters than the chip");
    if (!all.empty())
        table_.resize(largest);
    for (Filter& f : all) {
        if (f.bucket >= largest)
            return v.refuse("a flow filter in the state is impossible");
        table_[f.bucket].push_back(f);
        ++count_;
    }
}

} // namespace vitrine::vtc
