// SPDX-License-Identifier: Apache-2.0
// One case after the other: made, executed twice, compared.
#include "trial.h"

#include "base/error.h"
#include "compare.h"
#include "legacy.h"

#include <algorithm>

namespace vitrine::oracle {

namespace {

/// Of everything that a case owns.
bool outside(u64 linear) {
    const auto in = [linear](u64 from, u64 size) { return linear - from < size; };
    return !in(data_page, data_size) && !in(read_only_page, 4096) && !in(code_page, 4096);
}

} // namespace

Repertoire::Repertoire(const CpuModel& model, std::string_view only) : model_(model) {
    u32 first = 0;
    for (const u8 bits : {64, 32, 16}) {
        const Forms& forms = forms_.emplace_back(bits, first);
        first = forms.end();
        for (const ZydisMnemonic m : forms.mnemonics()) {
            if ((!only.empty() && only != ZydisMnemonicGetString(m)) || skip_reason(m))
                continue;
            Random random(0, static_cast<u64>(m));
            Case c;
            for (unsigned n = 0; n < 50; ++n)
                if (forms.generate(random, m, c) && model.allows(c.info)) {
                    tried_[forms_.size() - 1].push_back(m);
                    all_.push_back(m);
                    break;
                }
        }
    }
    std::sort(all_.begin(), all_.end());
    all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
}

bool Repertoire::decodes(ZydisMnemonic m) const {
    return std::any_of(forms_.begin(), forms_.end(), [m](const Forms& f) {
        return std::binary_search(f.mnemonics().begin(), f.mnemonics().end(), m);
    });
}

bool Repertoire::fill(Case& c, Random& random, ZydisMnemonic m, const Forms& forms, Progress* p) const {
    c.info.mnemonic = m;
    if (!forms.generate(random, m, c) || !model_.allows(c.info))
        return false;
    fill_values(random, c, forms.decoder());
    if (c.info.mnemonic != m)
        return false;
    static const bool intel = Host::is_intel();
    const auto rows = case_skips();
    for (std::size_t n = 0; n < rows.size(); ++n)
        if (!(rows[n].other_makers && intel) && rows[n].applies(c)) {
            if (p)
                ++p->by_case_skip[n];
            return false;
        }
    return true;
}

bool Repertoire::make(Case& c, u64 seed, u64 index, Progress& p) const {
    Random random(seed, index);
    c.seed = seed;
    c.index = index;
    const u64 dice = random.below(100);
    unsigned mode = dice < 64 ? 0 : dice < 84 ? 1 : 2;
    while (tried_[mode].empty()) // --only
        mode = (mode + 1) % modes;
    const ZydisMnemonic m = tried_[mode][random.below(tried_[mode].size())];
    return fill(c, random, m, forms_[mode], &p);
}

bool Repertoire::make_one(Case& c, u64 seed, u64 index, ZydisMnemonic m, unsigned mode) const {
    if (std::find(tried_[mode].begin(), tried_[mode].end(), m) == tried_[mode].end())
        return false;
    Random random(seed, index);
    return fill(c, random, m, forms_[mode], nullptr);
}

/// The case itself, or for 32- and 16-bit code what stands for it.
void Trial::run_host(const Case& c, Side& out) {
    if (c.bits == 64)
        return host_.run(c, out);
    if (const auto fault = segment_fault(c)) {
        out.registers = c.registers;
        out.memory = c.memory;
        out.ending = *fault;
        return;
    }
    VERIFY(translate(c, *translated_));
    host_.run(*translated_, out);
    u64& rip = out.registers.rip;
    if (rip == c.address)
        rip = c.registers.rip;
    else if (rip == c.address + translated_->length)
        rip = c.registers.rip + c.length;
}

/// Until the host agrees with itself: a system that does not know of RDFSBASE and its kin loses bases now and then.
void Trial::settle_host(const Case& c) {
    run_host(c, *on_host_);
    for (unsigned n = 0; n < 8; ++n) {
        run_host(c, *again_);
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
        guest_ = std::make_unique<Guest>(translated_engine_);
        return {why};
    }
    // A wild address that is one of this process's own: mostly AddressSanitizer's, which takes 16 TiB for itself.
    if (const Ending& e = here_->ending; e.fault && e.vector == 14 && outside(e.cr2) && Host::has_memory(e.cr2)) {
        ++counts.skipped;
        return {};
    }
    run_host(c, *on_host_);
    std::vector<std::string> lines = compare(c, *on_host_, *here_);
    if (!lines.empty())
        settle_host(c);
    const auto rows = differences();
    for (std::size_t n = 0; n < rows.size(); ++n) {
        if ((rows[n].other_makers && host_.intel()) || !rows[n].applies(c))
            continue;
        ++progress_.met[n];
        if (lines.empty())
            continue;
        ++progress_.by_difference[n];
        if (rows[n].accept)
            rows[n].accept(c, *on_host_, *here_);
        else
            *here_ = *on_host_;
    }
    if (!lines.empty())
        lines = compare(c, *on_host_, *here_);
    ++counts.run;
    counts.faulted += on_host_->ending.fault;
    counts.failed += !lines.empty();
    progress_.form_ran[c.form] = 1;
    return lines;
}

} // namespace vitrine::oracle
