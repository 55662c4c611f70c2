// SPDX-License-Identifier: Apache-2.0
// Watches a machine's run for the report: a collector that hears its glass, and what its components have counted
// themselves.
#pragma once

#include "report/collector.h"
#include "report/model.h"

#include <memory>
#include <vector>

namespace vitrine::machine {
class Machine;
}

namespace vitrine::report {

class RunWatch {
public:
    /// From now on; the machine is powered on or restored. It must outlive this.
    explicit RunWatch(machine::Machine& machine);
    ~RunWatch();
    RunWatch(const RunWatch&) = delete;
    RunWatch& operator=(const RunWatch&) = delete;

    /// The run is over. Fills everything but the title, the outcome and the host's time.
    Report finish();

private:
    class MachineProbe;

    void add_remapping(Report& report);

    machine::Machine& machine_;
    std::unique_ptr<MachineProbe> probe_;
    Collector collector_;
    u64 instructions_, retired_;
    std::vector<AdapterSum> adapters_; ///< as they were at the beginning
};

} // namespace vitrine::report
