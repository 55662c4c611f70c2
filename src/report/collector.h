// SPDX-License-Identifier: Apache-2.0
// Listens to the glass while the machine runs and counts. It owns nothing of the machine and changes nothing in it.
#pragma once

#include "report/guests.h"
#include "report/journeys.h"
#include "report/model.h"
#include "report/probe.h"

#include <optional>
#include <vector>

namespace vitrine::report {

class Collector {
public:
    Collector(Probe& probe, unsigned cpus);

    /// The topics that it must hear.
    static constexpr std::initializer_list<Topic> topics{Topic::vmx, Topic::vtd, Topic::vtc, Topic::interrupts};

    /// Before the first event; the machine may come from a snapshot.
    void begin(const Place& place);
    void told(const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details);

    /// The run is over: everything that was heard goes into the report.
    void finish(const Place& place, Report& report);

    /// The function in whose ring the pool's last frame was put; empty when there was none.
    std::string owner(const std::string& adapter, unsigned pool) const;

private:
    using Handler = void (Collector::*)(const Told& t);

    struct Row {
        Topic topic;
        std::string_view event;
        Handler handler;
    };

    static const Row rows[];

    /// A period of one processor in VMX non-root operation, or in root operation after an exit.
    struct Cpu {
        Processor sums;
        u64 begin = 0;                ///< retired when the run began
        GuestRecord* guest = nullptr; ///< that runs
        bool root = false, non_root = false;
        u64 since_time = 0, since_retired = 0; ///< of the present mode
        ExitSum* exit = nullptr;               ///< that is being handled
    };

    Cpu& cpu(const Told& t) { return cpus_[t.number("cpu") % cpus_.size()]; }

    Spent close(Cpu& c, u64 time, u64 retired);

    void entry(const Told& t);
    void exit(const Told& t);
    void vmxon(const Told& t);
    void vmxoff(const Told& t);
    void vmclear(const Told& t);
    void failed_entry(const Told& t);
    void posted_interrupts(const Told& t);
    void virtual_interrupt(const Told& t);
    void dma(const Told& t);
    void blocked(const Told& t);
    void interrupt(const Told& t);
    void posted(const Told& t);
    void received(const Told& t);
    void looped(const Told& t);
    void sent(const Told& t);
    void dropped(const Told& t);
    void missed(const Told& t);
    void lost(const Told& t);
    void stored(const Told& t);
    void cause(const Told& t);
    void message(const Told& t);
    void adapter_reset(const Told& t);
    void msi(const Told& t);
    void acknowledge(const Told& t);

    void port(GuestRecord& g, u64 qualification, u64 rax);
    void learn_domain(const Told& t);

    Probe& probe_;
    std::vector<Cpu> cpus_;
    Guests guests_;
    Journeys journeys_;
    u64 begin_ = 0, left_out_ = 0, failed_ = 0;
    Series exits_{"exits", "VM exits"}, interrupts_{"interrupts", "Interrupts"}, packets_{"packets", "Frames"},
        dma_{"dma", "DMA through VT-d"};
    ByName faults_;
    std::map<u16, std::pair<u64, u64>> by_requester_;
    u16 requester_ = 0; ///< of the remapped interrupt that is told right now
    u64 notifying_ = 0;

    struct Domain {
        unsigned guest = 0, asked = 0;
    };

    std::map<u16, Domain> domains_;
    unsigned asked_ = 0;
    std::map<std::pair<std::string, unsigned>, std::string> owners_; ///< of pools
};

} // namespace vitrine::report
