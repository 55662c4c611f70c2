// SPDX-License-Identifier: Apache-2.0
// QEMU's processor models and features, as tables.
#include "app/qemu_cpu.h"

#include "app/values.h"
#include "x86/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace vitrine::app {

namespace {

struct ModelRow {
    std::string_view name;
    std::string_view ours;
    bool exact; ///< false: ours has another family or another set of features, and a warning says so
};

/// What QEMU's oldest models have beyond nothing: SSE3 and CMPXCHG16B.
#define OLDEST "nehalem,-ssse3,-sse4_1,-sse4_2,-popcnt,-x2apic,-rdtscp,-invariant_tsc,-self_snoop,-ibrs_ibpb,-stibp,-ssbd,-md_clear,-l1d_flush,-arch_capabilities"
#define BEFORE_HASWELL ",-avx2,-bmi1,-bmi2,-fma,-movbe,-invpcid,-smap,-rdseed,-lzcnt,-clflushopt,-clwb,-xsavec,-xsaves,-prefetchw"

// clang-format off
constexpr ModelRow models[] = {
    {"qemu64",             OLDEST, true},
    {"kvm64",              OLDEST, true},
    {"max",                "max,+la57,+pks", true},
    {"host",               "max,+la57,+pks", true},
    {"Conroe",             OLDEST ",+ssse3", false},
    {"Penryn",             OLDEST ",+ssse3,+sse4_1", false},
    {"Nehalem",            "nehalem", true},
    {"Westmere",           "nehalem,+pclmulqdq,+aesni", false},
    {"SandyBridge",        "skylake-server,-fsgsbase,-smep,-erms,-f16c,-rdrand" BEFORE_HASWELL, false},
    {"IvyBridge",          "skylake-server" BEFORE_HASWELL, false},
    {"Haswell",            "skylake-server,-smap,-rdseed,-clflushopt,-clwb,-xsavec,-xsaves,-prefetchw", false},
    {"Broadwell",          "skylake-server,-clflushopt,-clwb,-xsavec,-xsaves", false},
    {"Skylake-Client",     "skylake-server,-clwb", false},
    {"Skylake-Server",     "skylake-server", true},
    {"Cascadelake-Server", "skylake-server", false},
    {"Icelake-Server",     "icelake-server", true},
    {"SapphireRapids",     "icelake-server", false},
    {"Opteron_G1",         OLDEST ",vendor=AuthenticAMD", false},
    {"EPYC",               "icelake-server,vendor=AuthenticAMD", false},
};

/// Where QEMU's name of a feature is not ours. Case, '-', '_' and '.' make no difference.
constexpr std::pair<std::string_view, std::string_view> feature_names[] = {
    {"cx16", "cmpxchg16b"},      {"aes", "aesni"},            {"pdpe1gb", "page_1g"},    {"abm", "lzcnt"},
    {"3dnowprefetch", "prefetchw"}, {"sha-ni", "sha"},        {"lahf-lm", "lahf64"},     {"clflush", "clfsh"},
    {"ss", "self_snoop"},        {"avx512vbmi", "avx512_vbmi"}, {"spec-ctrl", "ibrs_ibpb"}, {"invtsc", "invariant_tsc"},
    {"xgetbv1", "xgetbv_ecx_1"}, {"pni", "sse3"},             {"pclmuldq", "pclmulqdq"}, {"avx512ifma", "avx512_ifma"},
    {"sse4.1", "sse4_1"},        {"sse4.2", "sse4_2"},        {"xd", "nx"},              {"i64", "lm"},
    {"cet-ss", "cet_ss"},        {"shstk", "cet_ss"},         {"ibt", "cet_ibt"},        {"avx-vnni", "avx_vnni"},
};

/// Features that QEMU knows and no model of ours has.
constexpr std::string_view strangers[] = {
    "svm", "npt", "nrip-save", "nripsave", "hypervisor", "kvm", "skinit", "rdpru", "ht", "acpi", "tm", "ds", "pbe", "dtes64", "ds-cpl",
    "smx", "est", "tm2", "cid", "xtpr", "pdcm", "dca", "mmxext", "fxsr-opt", "3dnow", "3dnowext", "cmp-legacy", "extapic", "cr8legacy",
    "sse4a", "misalignsse", "osvw", "ibs", "xop", "fma4", "tbm", "perfctr-core", "perfctr-nb", "topoext", "mpx", "hle", "rtm",
    "intel-pt", "pmu", "waitpkg", "cldemote", "movdiri", "movdir64b", "enqcmd", "bus-lock-detect", "split-lock-detect",
    "core-capability", "avx512-4vnniw", "avx512-4fmaps", "avx512-vp2intersect", "avx512-fp16", "amx-bf16", "amx-tile", "amx-int8",
    "serialize", "tsx-ldtrk", "arch-lbr", "fzrm", "fsrs", "fsrc", "xfd", "lam", "fred", "lkgs", "cet_ibt", "virt-ssbd",
    "amd-ssbd", "amd-stibp", "amd-no-ssb", "ibpb", "clzero", "xsaveerptr", "pfthreshold", "pause-filter", "vmcb-clean", "lbrv",
    "tsc-scale", "decodeassists", "avic", "vgif", "svme-addr-chk", "svm-lock", "v-vmsave-vmload", "flushbyasid", "x-intel-pt-auto-level",
};

/// Properties that are no features, and that change nothing here.
constexpr std::string_view neutral[] = {
    "migratable", "enforce", "check", "host-phys-bits", "host-cache-info", "l3-cache", "kvm", "pmu", "level", "xlevel", "min-level",
    "min-xlevel", "tcg-cpuid", "full-cpuid-auto-level", "legacy-cache", "fill-mtrr-mask", "host-phys-bits-limit",
};
// clang-format on

#undef OLDEST
#undef BEFORE_HASWELL

std::string plain(std::string_view name) {
    std::string out;
    for (const char c : name)
        if (c != '-' && c != '_' && c != '.')
            out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

bool same(std::string_view a, std::string_view b) { return plain(a) == plain(b); }

template <std::size_t N> bool among(const std::string_view (&names)[N], std::string_view name) {
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return same(n, name); });
}

/// "Haswell-noTSX-IBRS" and "Haswell-v4" are variants of "Haswell".
const ModelRow* find_model(std::string_view name) {
    for (;;) {
        for (const ModelRow& row : models)
            if (row.name == name)
                return &row;
        const std::size_t dash = name.rfind('-');
        if (dash == std::string_view::npos)
            return nullptr;
        const std::string_view variant = name.substr(dash + 1);
        const bool version = variant.size() >= 2 && variant[0] == 'v' && std::isdigit(static_cast<unsigned char>(variant[1]));
        if (!version && variant != "IBRS" && variant != "noTSX" && variant != "IBPB")
            return nullptr;
        name = name.substr(0, dash);
    }
}

const FeatureRow* find_feature(std::string_view name) {
    for (const auto& [theirs, ours] : feature_names)
        if (same(theirs, name)) {
            name = ours;
            break;
        }
    for (const FeatureRow& row : feature_rows())
        if (same(row.key, name) && std::string_view(row.key) != "count")
            return &row;
    return nullptr;
}

bool stranger(std::string_view name) {
    return among(strangers, name) || name.starts_with("vmx-") || name.starts_with("hv-") || name.starts_with("hv_") ||
           name.starts_with("kvm-") || name.starts_with("kvm_");
}

class Translation {
public:
    Translation(std::string_view text, std::vector<std::string>& warnings) : text_(text), warnings_(warnings) {}

    Expected<std::string> run() {
        const std::vector<std::string> parts = split(text_);
        const ModelRow* model = find_model(parts[0]);
        if (!model)
            return Error(fmt::format("-cpu {}: unable to find CPU model '{}'; see -cpu help", text_, parts[0]));
        out_ = model->ours;
        if (!model->exact)
            warn(fmt::format("'{}' stands in for {}", model->ours.substr(0, model->ours.find(',')), parts[0]));
        for (std::size_t n = 1; n < parts.size(); ++n)
            TRY(part(parts[n]));
        return std::move(out_);
    }

private:
    void warn(const std::string& what) { warnings_.push_back(fmt::format("-cpu {}: {}", text_, what)); }

    Expected<> part(std::string_view item) {
        if (item.starts_with('+') || item.starts_with('-'))
            return feature(item.substr(1), item[0] == '+');
        const std::size_t equals = item.find('=');
        const std::string_view key = item.substr(0, equals);
        const std::string_view value = equals == std::string_view::npos ? "on" : item.substr(equals + 1);
        if (same(key, "vendor")) {
            if (value != "GenuineIntel" && value != "AuthenticAMD")
                return Error(fmt::format("-cpu {}: vendor must be GenuineIntel or AuthenticAMD", text_));
            out_ += fmt::format(",vendor={}", value);
            return {};
        }
        if (same(key, "phys-bits")) {
            const u64 bits = TRY(parse_number("-cpu phys-bits", value, 32, 52));
            out_ += fmt::format(",phys_bits={}", bits);
            return {};
        }
        if (among(neutral, key))
            return {};
        if (value != "on" && value != "off" && value != "yes" && value != "no" && value != "true" && value != "false")
            return unknown(key);
        return feature(key, value == "on" || value == "yes" || value == "true");
    }

    Expected<> feature(std::string_view name, bool on) {
        const FeatureRow* row = find_feature(name);
        if (row && !(row->since == Generation::later && on)) {
            if (row->host && on && !host_has(row->id)) {
                warn(fmt::format("this computer's processor lacks {}, and so does the guest's", row->name));
                return {};
            }
            if (row->since != Generation::later)
                out_ += fmt::format(",{}{}", on ? '+' : '-', row->key);
            return {};
        }
        if (!row && !stranger(name))
            return unknown(name);
        if (on)
            warn(fmt::format("{} is not implemented, and not shown to the guest", name));
        return {};
    }

    Expected<> unknown(std::string_view name) {
        return Error(fmt::format("-cpu {}: Property '.{}' not found: there is no such feature", text_, name));
    }

    std::string_view text_;
    std::vector<std::string>& warnings_;
    std::string out_;
};

} // namespace

Expected<std::string> translate_qemu_cpu(std::string_view text, std::vector<std::string>& warnings) {
    return Translation(text, warnings).run();
}

std::string qemu_cpus_text() {
    std::string text = "Available CPUs:\n";
    for (const ModelRow& row : models)
        text += fmt::format("  {:<20} {}{}\n", row.name, row.exact ? "" : "as near as ", row.ours.substr(0, row.ours.find(',')));
    return text;
}

} // namespace vitrine::app
