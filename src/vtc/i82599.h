// SPDX-License-Identifier: Apache-2.0
// The Intel 82599 10-gigabit adapter: 128 queues, 64 pools, 63 virtual functions, a passive direct-attach cable in its SFP+ cage.
// Not modelled, and told when asked for: flow director filters (all misses), receive-side coalescing (never done), DCB, FCoE, security.
#pragma once

#include "vtc/adapter.h"
#include "vtc/nvm.h"

namespace vitrine::vtc {

class I82599 final : public Adapter {
public:
    I82599(const pci::Platform& platform, Clock& clock, Options options);

    std::string describe() const override;

    static constexpr u64 negotiation_time = 1'000'000; ///< virtual nanoseconds

protected:
    u32 receive_ring(unsigned queue) const override;
    u32 transmit_ring(unsigned queue) const override;
    u32 canonical(u32 offset) const override;
    u32 read_effect(const Bank::Place& place, u32 offset, u32 stored) override;
    void write_effect(const Bank::Place& place, u32 offset, u32 before, u32 written) override;
    PortRules port_rules() const override;
    PoolRules pool_rules(unsigned pool) const override;
    MirrorRule mirror_rule(unsigned n) const override;
    std::optional<u64> exact(Mac mac) const override;
    bool hashed(Mac mac) const override;
    bool vlan_known(u16 vlan) const override;
    u64 vlan_pools(u16 vlan) const override;
    bool vlan_in_entries(u16 vlan, u64 entries) const override;
    unsigned pool_of(unsigned queue) const override;
    unsigned vf_of(unsigned queue) const override;
    unsigned queue_of(unsigned pool, unsigned index) const override;
    SpreadRules spread(unsigned pool) const override;
    unsigned redirection(unsigned hash) const override;
    std::array<u8, 40> hash_key() const override;
    bool strip_vlan(unsigned queue, unsigned pool) const override;
    bool queue_drops(unsigned queue) const override { return drops_[queue]; }
    void queue_event(unsigned queue, bool transmit) override;
    void pool_spoofed(unsigned pool) override;
    void chip_counts_receive(unsigned queue, std::size_t bytes) override;
    void chip_counts_transmit(unsigned queue, std::size_t bytes) override;
    void chip_missed() override;
    void chip_reset() override;
    void chip_state(Visitor& v) override;
    u64 rate_time(unsigned queue, std::size_t bytes) const override;
    bool is_link_up() const override { return link_; }
    u32 vf_read(VirtualFunction& vf, u32 offset) override;
    void vf_write(VirtualFunction& vf, u32 offset, u32 value) override;
    void vf_mail(unsigned vf, bool request) override;
    void vf_was_reset(unsigned vf) override;
    void vf_other_cause(VirtualFunction& vf) override;

private:
    /// The module's EEPROM behind two wires.
    struct Wires {
        bool clock = true, data = true, slave = true; ///< `slave`: what the module does to the data wire
        u8 count = 0, byte = 0, place = 0;
        bool selected = false, sending = false, addressed = false, heard = false;
        void move(bool clock_now, bool data_now);
        void state(Visitor& v);
    };

    bool pools_on() const;
    unsigned queues_a_pool() const;
    void raise(u32 causes);
    void other_interrupt();
    void update_pin();
    void set_auto_clear();
    void negotiate();
    void link_came();
    u64 system_time() const;
    std::optional<u32> ring_of_vf(unsigned vf, u32 offset) const;

    Nvm nvm_; ///< no state: made from the address
    Timer link_timer_;
    bool link_ = false;
    Wires wires_;
    std::array<bool, 128> drops_{}; ///< by QDE
    std::array<u32, 128> rate_{};   ///< RTTBCNRC by queue
    u64 time_base_ = 0, time_set_ = 0;
};

} // namespace vitrine::vtc
