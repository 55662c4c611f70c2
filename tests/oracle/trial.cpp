// SPDX-License-Identifier: Apache-2.0
// One case after the other: made, executed twice, compared.
#include "trial.h"

#include "compare.h"

#include <cstring>

namespace vitrine::oracle {

std::vector<ZydisMnemonic> tried(const Forms& forms, const CpuModel& model, std::string_view only) {
    std::vector<ZydisMnemonic> out;
    for (const ZydisMnemonic m : forms.mnemonics()) {
        if ((!only.empty() && only != ZydisMnemonicGetString(m)) || skip_reason(m))
            continue;
        Random random(0, static_cast<u64>(m));
        Case c;
        for (unsigned n = 0; n < 50; ++n)
            if (forms.generate(random, m, c) && model.allows(c.info)) {
                out.push_back(m);
                break;
            }
    }
    return out;
}

bool make(Case& c, u64 seed, u64 index, const Forms& forms, const std::vector<ZydisMnemonic>& mnemonics, const CpuModel& model,
          Progress& p) {
    Random random(seed, index);
    c.seed = seed;
    c.index = index;
    const ZydisMnemonic m = mnemonics[random.below(mnemonics.size())];
    c.info.mnemonic = m;
    if (!forms.generate(random, m, c) || !model.allows(c.info))
        return false;
    fill_values(random, c, forms.decoder());
    if (c.info.mnemonic != m)
        return false;
    const auto rows = case_skips();
    for (std::size_t n = 0; n < rows.size(); ++n)
        if (rows[n].applies(c)) {
            ++p.by_case_skip[n];
            return false;
        }
    return true;
}

/// Until the host agrees with itself: a system that does not know of RDFSBASE and its kin loses bases now and then.
void Trial::run_host(const Case& c) {
    host_.run(c, *on_host_);
    for (unsigned n = 0; n < 8; ++n) {
        host_.run(c, *again_);
        if (again_->ending == on_host_->ending && again_->registers == on_host_->registers && again_->memory == on_host_->memory)
            return;
        std::swap(again_, on_host_);
        progress_.unsteady += n == 0;
    }
}

std::vector<std::string> Trial::run(const Case& c, const Case* for_guest) {
    if (c.info.meta.isa_set == ZYDIS_ISA_SET_RDWRFSGS && !host_.direct_bases())
        return {}; // #UD by the host's system, not by its processor
    Counts& counts = progress_.by_mnemonic[c.info.mnemonic];
    std::string why;
    if (!guest_->run(for_guest ? *for_guest : c, *here_, why)) {
        ++counts.unimplemented;
        ++counts.failed;
        guest_ = std::make_unique<Guest>();
        return {why};
    }
    host_.run(c, *on_host_);
    const auto rows = differences();
    std::vector<std::string> lines = compare(c, *on_host_, *here_);
    if (!lines.empty()) {
        run_host(c);
        for (std::size_t n = 0; n < rows.size(); ++n) {
            if ((rows[n].other_makers && host_.intel()) || !rows[n].applies(c))
                continue;
            ++progress_.by_difference[n];
            if (rows[n].accept)
                rows[n].accept(c, *on_host_, *here_);
            else
                *here_ = *on_host_;
        }
        lines = compare(c, *on_host_, *here_);
    }
    ++counts.run;
    counts.faulted += on_host_->ending.fault;
    counts.failed += !lines.empty();
    progress_.form_ran[c.form] = 1;
    return lines;
}

} // namespace vitrine::oracle
