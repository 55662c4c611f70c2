// SPDX-License-Identifier: Apache-2.0
// Reports of a run.
#include "app/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::app {

using machine::Ending;
using machine::EndingKind;
using machine::row_of;

namespace {

std::string outcome(const RunReport& r) {
    std::string text(row_of(r.ending.kind).name);
    if (r.ending.kind == EndingKind::debug_exit)
        text += fmt::format(" {:#x}", r.ending.verdict);
    return text;
}

std::string escaped_xml(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        default: out += static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' ? c : '?'; break;
        }
    }
    return out;
}

/// Where the host's time went, by samples.
std::string tiers_text(const RunReport& r) {
    static constexpr std::string_view names[] = {"outside of guest code", "interpreted code", "translation", "translated code"};
    static_assert(std::size(names) == static_cast<unsigned>(jit::Tier::count));
    u64 all = 0;
    for (const u64 n : r.tiers)
        all += n;
    if (!all)
        return {};
    std::string text = "host time           ";
    for (std::size_t n = 0; n < r.tiers.size(); ++n)
        text += fmt::format("{}{:.1f}% {}", n ? ", " : "", 100.0 * static_cast<double>(r.tiers[n]) / static_cast<double>(all), names[n]);
    return text + fmt::format(" ({} samples)\n", all);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

} // namespace

bool RunReport::passed() const {
    return ending.kind == EndingKind::power_off || (ending.kind == EndingKind::debug_exit && ending.verdict == 0);
}

std::string outcome_text(const RunReport& r) { return fmt::format("{} (status {})", outcome(r), r.status); }

std::string stats_text(const RunReport& r) {
    std::string text = fmt::format("outcome             {}\n"
                                   "instructions        {}\n"
                                   "retired             {}\n"
                                   "virtual seconds     {:.9f}\n"
                                   "host seconds        {:.3f}\n"
                                   "million per second  {:.1f}\n",
                                   outcome_text(r), r.instructions, r.retired, r.virtual_seconds(),
                                   r.host_seconds(), r.million_instructions_per_second());
    if (r.hash)
        text += fmt::format("hash                {}\n", r.hash->text());
    if (const auto& t = r.translator) {
        text += fmt::format("translated          {} blocks, {} bytes of code, {} joints, {} runs\n", t->blocks,
                            t->code_bytes, t->links, t->runs);
        text += fmt::format("translations lost   {} (their bytes were written), {} flushes (the code cache was full)\n", t->dropped, t->flushes);
        u64 always = 0, slow = 0;
        for (const auto& h : t->handled)
            always += h.always, slow += h.slow;
        const auto share = [&](u64 n) { return r.retired ? 100.0 * static_cast<double>(n) / static_cast<double>(r.retired) : 0.0; };
        text += fmt::format("in translated code  {:.2f}% of all instructions; {:.2f}% by handlers always, {:.3f}% the slow way (the TLB's misses among them)\n",
                            share(t->instructions - std::min(t->instructions, always + slow)), share(always), share(slow));
        // The interpreter's part of translated code: what has no translation, and what its translation could not do this time.
        for (std::size_t n = 0; n < std::min<std::size_t>(t->handled.size(), 24); ++n)
            text += fmt::format("by handler {:10} {} always, {} the slow way\n", t->handled[n].mnemonic, t->handled[n].always, t->handled[n].slow);
    }
    text += tiers_text(r);
    for (const auto& [name, count] : r.counters)
        text += fmt::format("count {} {}\n", name, count);
    return text + vmx_text(r.vmx);
}

std::string tap_text(const RunReport& r) {
    std::string text = "TAP version 13\n1..1\n";
    text += fmt::format("{} 1 - {}\n", r.passed() ? "ok" : "not ok", r.name);
    if (!r.passed())
        text += fmt::format("# {}\n", outcome_text(r));
    return text;
}

std::string junit_text(const RunReport& r) {
    const std::string name = escaped_xml(r.name);
    std::string text = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                                   "<testsuites tests=\"1\" failures=\"{0}\">\n"
                                   "<testsuite name=\"vitrine\" tests=\"1\" failures=\"{0}\" time=\"{1:.3f}\">\n"
                                   "<testcase classname=\"vitrine\" name=\"{2}\" time=\"{1:.3f}\">",
                                   r.passed() ? 0 : 1, r.host_seconds(), name);
    if (!r.passed())
        text += fmt::format("<failure message=\"{}\">{}</failure>",
                            escaped_xml(outcome_text(r)),
                            escaped_xml(ending_text(r.ending)));
    text += "</testcase>\n</testsuite>\n</testsuites>\n";
    return text;
}

std::string ending_text(const Ending& ending) {
    switch (ending.kind) {
    case EndingKind::power_off:
    case EndingKind::debug_exit:
    case EndingKind::monitor:
    case EndingKind::debugger:
    case EndingKind::none:
        return {};
    case EndingKind::quit:
        return ending.text;
    case EndingKind::instructions:
    case EndingKind::time:
    case EndingKind::reset:
    case EndingKind::panic:
    case EndingKind::script_over:
    case EndingKind::diverged:
        return ending.text.empty() ? std::string(row_of(ending.kind).meaning) : ending.text;
    case EndingKind::triple_fault:
    case EndingKind::unimplemented:
    case EndingKind::halted:
    case EndingKind::refused:
        return ending.text.empty() ? std::string(row_of(ending.kind).meaning) : ending.text;
    }
    return first_line(ending.text);
}

} // namespace vitrine::app
