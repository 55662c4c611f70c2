// SPDX-License-Identifier: Apache-2.0
// Address-range monitoring (SDM volume 2, MONITOR and MWAIT): which processors have armed which line, and the stores
// that trigger it. What is armed is the processors' state; which pages are watched for it is host-side bookkeeping, of
// which no bit is machine state.
#pragma once

#include "memory/space.h"
#include "words/addresses.h"

#include <functional>
#include <unordered_map>
#include <vector>

namespace vitrine {

class Cpu;

/// Shared by all processors of a machine. As long as nothing is armed, no access costs more; a page with an armed line
/// is written the slow way.
class ArmedLines {
public:
    static constexpr u64 line_size = 64; ///< CPUID leaf 5: smallest and largest

    explicit ArmedLines(Space& space);
    ~ArmedLines();
    ArmedLines(const ArmedLines&) = delete;
    ArmedLines& operator=(const ArmedLines&) = delete;

    void attach(Cpu& cpu) { cpus_.push_back(&cpu); }

    void detach(Cpu& cpu) { std::erase(cpus_, &cpu); }

    /// MONITOR: the line that holds `p` is the processor's from now on, until a store of anybody triggers it. Nothing
    /// is armed where `p` is not RAM.
    void arm(Cpu& cpu, Physical p);

    /// Told of each processor that a store wakes from MWAIT.
    void set_woken(std::function<void(unsigned cpu)> told) { woken_ = std::move(told); }

    /// Around a restore: no store counts any more; then the pages follow from the processors' state again.
    void forget();
    void rearm();

private:
    void written(Physical address, u64 length);
    void watch(Physical line);

    Space& space_;
    std::vector<Cpu*> cpus_;
    /// By RAM page number: stores since something was last armed there. A page is watched a while longer than needed,
    /// because an idle loop arms the same line time and again.
    std::unordered_map<u64, unsigned> pages_;
    std::function<void(unsigned)> woken_;
};

} // namespace vitrine
