// SPDX-License-Identifier: Apache-2.0
// The Intel 82576 gigabit adapter: 16 queues, 8 pools, 7 virtual functions, a copper PHY whose link is always good.
#pragma once

#include "vtc/adapter.h"

namespace vitrine::vtc {

class I82576 final : public Adapter {
public:
    I82576(const pci::Platform& platform, Clock& clock, Options options);

    std::string describe() const override;

    static constexpr u64 negotiation_time = 2'000'000; ///< virtual nanoseconds; a real link takes a thousand times as long

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
    u64 vlan_pools(u16 vlan) const override;
    unsigned pool_of(unsigned queue) const override;
    unsigned vf_of(unsigned queue) const override;
    unsigned queue_of(unsigned pool, unsigned traffic_class, unsigned index) const override;
    Filters filter_rules() const override;
    SpreadRules spread(unsigned pool, unsigned traffic_class) const override;
    ClassRules class_rules() const override;
    FlowRules flow_rules() const override;
    unsigned redirection(unsigned hash) const override;
    bool strip_vlan(unsigned queue, unsigned pool) const override;
    bool queue_drops(unsigned queue) const override;
    void queue_event(unsigned queue, bool transmit) override;
    void pool_spoofed(unsigned pool) override;
    void chip_counts_lost(unsigned queue) override;
    void chip_missed(unsigned traffic_class) override;
    void chip_counts_pause(bool sent, const Pause& pause) override;
    void chip_reset() override;
    void chip_state(Visitor& v) override;
    u64 rate_time(unsigned queue, std::size_t bytes) const override;
    void raise(u32 causes) override;
    std::optional<u32> ring_of_vf(unsigned vf, u32 offset) const override;
    u32 vf_read_effect(Effect effect, u32 stored) override;
    void vf_mail(unsigned vf, bool request) override;
    void vf_was_reset(unsigned vf) override;
    void vf_other_cause(VirtualFunction& vf) override;

private:
    bool pools_on() const;
    void update_pin();
    void other_vector();
    u16 phy_read(unsigned number);
    void phy_write(unsigned number, u16 value);
    u32 vector_mask() const;

    std::array<u16, 32> phy_{};
};

} // namespace vitrine::vtc
