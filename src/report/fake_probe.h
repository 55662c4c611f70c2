// SPDX-License-Identifier: Apache-2.0
// For tests: a machine that is what the test says, and a collector that is told what the test wants.
#pragma once

#include "report/collector.h"
#include "vtx/spec/exits.h"

#include <map>

namespace vitrine::report {

struct FakeProbe final : Probe {
    std::map<unsigned, ProcessorView> cpus;
    std::map<std::pair<u64, u64>, u64> ept; ///< EPTP and guest-physical address: physical

    ProcessorView look(unsigned cpu) override { return cpus[cpu]; }

    std::optional<u64> translate(u64 eptp, u64 guest_physical) override {
        const auto found = ept.find({eptp, guest_physical});
        return found == ept.end() ? std::nullopt : std::optional(found->second);
    }
};

/// Tells events at a time that goes on by 1000 ns each.
struct Stage {
    FakeProbe probe;
    Collector collector;
    Place place{.time = 1000, .instructions = 1000, .cpu = 0};

    explicit Stage(unsigned cpus = 1) : collector(probe, cpus) {}

    void tell(Topic topic, std::string_view event, std::initializer_list<Detail> details) {
        place.time += 1000;
        place.instructions += 1000;
        collector.told(place, topic, event, details);
    }

    void enter(unsigned cpu, u64 vmcs, u64 eptp, u64 retired, u64 event = 0, u64 descriptor = 0) {
        probe.cpus[cpu] = {
            .retired = retired, .root = true, .vmcs = vmcs, .eptp = eptp, .vpid = 1, .descriptor = descriptor};
        tell(Topic::vmx, "entry", {{"cpu", cpu}, {"vmcs", vmcs}, {"rip", 0x1000}, {"event", event}});
    }

    void leave(unsigned cpu, u64 vmcs, vtx::ExitReason reason, u64 retired, u64 qualification = 0, u64 rax = 0,
               u64 event = 0) {
        probe.cpus[cpu].retired = retired;
        probe.cpus[cpu].rax = rax;
        tell(Topic::vmx, "exit",
             {{"cpu", cpu},
              {"vmcs", vmcs},
              {"reason", vtx::find_exit(reason)->name},
              {"qualification", qualification},
              {"means", ""},
              {"rip", 0x1000},
              {"event", event}});
    }

    Report finish() {
        Report report;
        collector.finish(place, report);
        return report;
    }
};

} // namespace vitrine::report
