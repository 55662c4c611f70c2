// SPDX-License-Identifier: Apache-2.0
// Makes cases, executes them on both sides and counts what came of it; what a worker process does all day.
#pragma once

#include "case.h"
#include "forms.h"
#include "guest.h"
#include "host.h"
#include "lists.h"
#include "values.h"

#include <memory>
#include <string>
#include <vector>

namespace vitrine::oracle {

inline constexpr unsigned max_forms = 1 << 20, max_rows = 64, modes = 3;

struct Counts {
    u64 run = 0, faulted = 0, failed = 0, skipped = 0, unimplemented = 0;

    Counts& operator+=(const Counts& o) {
        run += o.run;
        faulted += o.faulted;
        failed += o.failed;
        skipped += o.skipped;
        unimplemented += o.unimplemented;
        return *this;
    }
};

/// What a worker tells the parent: in shared memory, so that it outlives the worker.
struct Progress {
    u64 next = 0; ///< the case under way, or to be done next
    u64 done = 0, shown = 0, unsteady = 0;
    Counts by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1];
    u64 by_case_skip[max_rows]{}, by_difference[max_rows]{}; ///< of differences(): rows that something was accepted by
    u64 met[max_rows]{};                             ///< rows that could have been used
    u8 form_ran[max_forms]{};
};

/// What can be tried: 64-, 32- and 16-bit code.
class Repertoire {
public:
    Repertoire(const CpuModel& model, std::string_view only);

    /// Makes case `index`; false when this one must not run. Rows of case_skips() that said so are counted.
    bool make(Case& c, u64 seed, u64 index, Progress& p) const;

    /// Makes a case of one mnemonic in one mode: 0, 1 and 2 are 64-, 32- and 16-bit code. False also where the mode has no such one.
    bool make_one(Case& c, u64 seed, u64 index, ZydisMnemonic m, unsigned mode) const;

    const Forms& forms(unsigned mode) const { return forms_[mode]; }

    /// Mnemonics that the model has and that are tried in some mode, ascending.
    std::span<const ZydisMnemonic> mnemonics() const { return all_; }

    /// Some mode has the mnemonic, tried or not.
    bool decodes(ZydisMnemonic m) const;

    u32 form_count() const { return forms_[modes - 1].end(); }

private:
    bool fill(Case& c, Random& random, ZydisMnemonic m, const Forms& forms, Progress* p) const;

    const CpuModel& model_;
    std::vector<Forms> forms_;
    std::vector<ZydisMnemonic> tried_[modes], all_;
};

class Trial {
public:
    explicit Trial(Progress& p, bool translated = false)
        : progress_(p), translated_engine_(translated), guest_(std::make_unique<Guest>(translated)) {}

    const CpuModel& model() const { return guest_->model(); }

    /// Executes and compares the case. Returns what differs, one line each. `guest_bytes`: what the guest gets in place of the case's
    /// instruction, to see that the difference is noticed.
    std::vector<std::string> run(const Case& c, const Case* for_guest = nullptr);

private:
    void run_host(const Case& c, Side& out);
    void settle_host(const Case& c);

    Progress& progress_;
    bool translated_engine_;
    Host host_;
    std::unique_ptr<Guest> guest_;
    std::unique_ptr<Case> translated_ = std::make_unique<Case>();
    std::unique_ptr<Side> on_host_ = std::make_unique<Side>(), again_ = std::make_unique<Side>(), here_ = std::make_unique<Side>();
};

} // namespace vitrine::oracle
