// SPDX-License-Identifier: Apache-2.0
// Looking at the tables in memory: root and context entries, second-stage tables, interrupt remapping entries. Changes nothing; each step is
// written down, for explanations and for whoever compares later.
#pragma once

#include "memory/space.h"
#include "vtd/options.h"
#include "vtd/spec/faults.h"
#include "vtd/spec/structures.h"

#include <array>
#include <string>

namespace vitrine::vtd {

/// An entry that a walk came by.
struct Step {
    enum class Kind : u8 { root, context, second_stage, interrupt } kind = Kind::root;
    u8 level = 0; ///< of a second-stage entry: 1 maps 4 KiB
    bool readable = false; ///< it lies in memory
    Physical at;
    u64 low = 0, high = 0; ///< 128-bit entries have both
};

struct Steps {
    std::array<Step, 6> step{};
    unsigned count = 0;

    void add(const Step& s) { step[count++] = s; }
    const Step* begin() const { return step.data(); }
    const Step* end() const { return step.data() + count; }
};

/// "root@7f000=1001/0 context@…": what a walk saw.
std::string text_of(const Steps& steps);
std::string text_of(const Step& step);

/// The entry of one requester.
struct ContextLook {
    FaultReason fault = FaultReason::none;
    bool silenced = false; ///< FPD
    u64 low = 0, high = 0; ///< of the context entry
    Steps steps;

    u16 domain() const { return static_cast<u16>(context_high.domain(high)); }
    TranslationType type() const { return static_cast<TranslationType>(context_low.type(low)); }
    unsigned levels() const { return static_cast<unsigned>(context_high.width(high)) + 2; }
    Physical table() const { return Physical{low & context_low.table.mask()}; }
};

struct SecondLook {
    FaultReason fault = FaultReason::none;
    u64 page = 0; ///< physical address of the whole page
    u8 size_log2 = 12;
    bool readable = false, writable = false; ///< by all entries on the way
    Steps steps;
};

struct InterruptLook {
    FaultReason fault = FaultReason::none;
    bool silenced = false;
    u64 low = 0, high = 0;
    Steps steps;
};

/// Where a second-stage walk begins: the context entry's table, or one below that somebody remembers.
struct SecondStart {
    Physical table;
    unsigned level = 0;
    bool readable = true, writable = true; ///< by the entries above
};

class Walker {
public:
    Walker(Space& space, const Options& options) : space_(space), options_(options) {}

    ContextLook context(u64 latched_root, u16 source) const;
    /// The address is within the width; `write` says what is asked for.
    SecondLook second(const SecondStart& start, u64 address, bool write) const;
    /// `latched` is IRTA as it was when its pointer was set; the index is within the table.
    InterruptLook interrupt(u64 latched, u32 index) const;

private:
    bool read(Physical at, u64& low, u64* high = nullptr) const;
    bool beyond(u64 address) const { return (address & low_mask(52)) >> options_.physical_bits; }

    Space& space_;
    const Options& options_;
};

} // namespace vitrine::vtd
