// SPDX-License-Identifier: Apache-2.0
// A remapping unit: it stands before plain memory and plain delivery, translates the DMA of every device and remaps every interrupt message.
// Intel Virtualization Technology for Directed I/O, legacy mode.
#pragma once

#include "base/clock.h"
#include "base/registers.h"
#include "interrupts/router.h"
#include "pci/dma.h"
#include "vtd/caches.h"
#include "vtd/options.h"
#include "vtd/stale.h"
#include "vtd/walk.h"

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>

namespace vitrine::vtd {

/// What it is connected to.
struct Wiring {
    Clock& clock;
    Space& space;
    DmaPort& plain;         ///< memory and peers, by physical address
    Interrupts& interrupts; ///< plain delivery
    u16 io_apic = 0xffff;   ///< the I/O APIC's requester id
    EntryWatch* watch = nullptr; ///< with --stale max
};

/// One thing that was counted, by device or by domain.
struct Traffic {
    u64 reads = 0, writes = 0, bytes = 0, interrupts = 0, blocked = 0;
};

/// Counts by number; whose turn it was last is found at once.
class TrafficBy {
public:
    Traffic& operator[](u16 id) {
        if (!last_ || last_->first != id) [[unlikely]]
            last_ = &*counts_.try_emplace(id).first;
        return last_->second;
    }
    const std::map<u16, Traffic>& all() const { return counts_; }

private:
    std::map<u16, Traffic> counts_;
    std::pair<const u16, Traffic>* last_ = nullptr;
};

class Unit final : public Device, public DmaPort, public MsiSink {
public:
    Unit(const Wiring& wiring, const Options& options);
    ~Unit() override;

    // DmaPort, MsiSink: the two ways of every device
    [[nodiscard]] bool read(Requester requester, DeviceAddress from, std::span<u8> data) override;
    [[nodiscard]] bool write(Requester requester, DeviceAddress to, std::span<const u8> data) override;
    void message(Requester requester, u64 address, u32 data) override;

    // Device
    std::string_view name() const override { return "vtd"; }
    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

    /// Who a requester is, for people.
    void set_namer(std::function<std::string(u16 requester)> namer) { namer_ = std::move(namer); }
    std::string name_of(u16 requester) const;

    const Options& options() const { return options_; }
    u64 base() const { return region_.base; }

    /// Host-side: what each device and each domain did.
    const std::map<u16, Traffic>& by_device() const { return by_device_.all(); }
    const std::map<u16, Traffic>& by_domain() const { return by_domain_.all(); }

    /// The end of a run: stale uses whose invalidation has not come in time are told, and what devices and domains did is counted for the report.
    void end_of_run();

    // For people: what the unit is, and what it would do. Nothing changes.
    std::string describe();
    std::string describe_walk(u16 requester, u64 address);
    std::string describe_interrupt(u32 index);

private:
    static constexpr u32 no_domain = 0x10000; ///< beyond every domain's number

    struct Translated {
        bool allowed = false;
        u64 address = 0;
        u64 length = 0; ///< how far the translation reaches
        u32 domain = no_domain;
        Traffic* traffic = nullptr; ///< of the domain
    };
    struct Request {
        u16 source;
        u64 address;
        bool write;
    };

    // ---- registers (unit.cpp)
    void declare_registers();
    void command(u64 value);
    void set_status(const Field& bit, bool on);
    u64 status() { return *status_; }
    bool translating() const { return global_status.translation(*status_); }
    bool remapping_interrupts() const { return global_status.interrupt_remapping(*status_); }
    bool queue_enabled() const { return global_status.queue(*status_); }
    void context_command_written();
    void iotlb_command_written();

    // ---- invalidation (queue.cpp)
    void run_queue();
    bool run_descriptor(u64 low, u64 high);
    void stop_queue(QueueErrorReason why);
    void wait_done(u64 low, u64 high);
    Granularity invalidate_contexts(Granularity granularity, u16 domain, u16 source, unsigned function_mask);
    Granularity invalidate_pages(Granularity granularity, u16 domain, u64 address, unsigned mask, bool hint);
    void invalidate_interrupts(bool selective, u16 index, unsigned mask);

    // ---- faults (faults.cpp)
    void block(const Request& request, FaultReason reason, bool silenced, std::optional<u16> domain, const Steps& steps);
    void block_interrupt(u16 source, u64 address, u32 data, u32 index, FaultReason reason, bool silenced, const Steps& steps);
    void record(FaultReason reason, u16 source, u64 information, bool read);
    void fault_event(u64 before);
    void status_cleared();
    void event_control_written(u64 at);
    void send_event(u64 at);

    // ---- DMA (dma.cpp)
    bool idle();
    Translated translate(const Request& request);
    const CachedContext* context_of(const Request& request);
    bool is_protected(u64 address);
    void tell(const Request& request, const Translated& to, u64 size);
    Translated refuse(std::string_view why, const Request& request);
    Translated page_of(const Request& request, const CachedContext& context);
    Translated use(const CachedPage& page, const Request& request);
    SecondLook look(const Request& request, const CachedContext& context);
    CachedTable* lowest_table(const CachedContext& context, u64 address);
    void remember_tables(u16 domain, u64 address, const SecondLook& look);
    void compare(CachedContext& entry, const Request& request);
    void compare(CachedPage& entry, const CachedContext& context, const Request& request);
    void compare(CachedInterrupt& entry, u16 source, u32 index);

    // ---- interrupts (interrupts.cpp)
    bool source_accepted(u64 high, u16 source) const;
    FaultReason post(const CachedInterrupt& entry);
    void deliver_remapped(const CachedInterrupt& entry);
    CachedInterrupt entry_of(u16 source, u32 index, Steps& steps);

    std::string walk_text(const Steps& steps) const;

    Clock& clock_;
    Space& space_;
    Glass& glass_;
    DmaPort& plain_;
    Interrupts& interrupts_;
    const u16 io_apic_;
    const Options options_;
    Walker walker_;
    Region region_;
    RegisterFile registers_{Topic::vtd, "vtd"};
    u64 *status_ = nullptr, *protected_ = nullptr; ///< GSTS, PMEN
    std::function<std::string(u16)> namer_;

    // Machine state besides the registers.
    u64 root_ = 0;            ///< RTADDR as it was latched
    u64 interrupt_table_ = 0; ///< IRTA as it was latched
    u8 next_record_ = 0;
    Cache<CachedContext> contexts_;
    Cache<CachedPage> pages_;
    Cache<CachedTable> tables_;
    Cache<CachedInterrupt> interrupts_cached_;
    u64 page_sizes_ = 0; ///< derived: a bit for each size that the IOTLB may hold

    std::unique_ptr<StaleFinder> stale_;

    // Host-side.
    bool running_queue_ = false; ///< never set between instructions
    TrafficBy by_device_, by_domain_;
    struct Counters {
        explicit Counters(Glass& glass);
        u64 &context_hit, &context_miss, &iotlb_hit, &iotlb_miss, &entry_hit, &entry_miss, &dma_blocked, &remapped, &posted, &notified, &interrupts_blocked,
            &descriptors, &recorded, &lost;
    } counters_;
};

} // namespace vitrine::vtd
