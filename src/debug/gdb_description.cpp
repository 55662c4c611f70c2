// SPDX-License-Identifier: Apache-2.0
// The target description: XML that tells gdb the registers, their widths and the names of their bits.
#include "debug/gdb_registers.h"

#include "x86/explain.h"

#include <fmt/format.h>

namespace vitrine::debug {

namespace {

std::string flags(const char* id, unsigned bytes, std::span<const Field> fields) {
    std::string text = fmt::format("<flags id=\"{}\" size=\"{}\">", id, bytes);
    for (const Field& f : fields)
        text += fmt::format("<field name=\"{}\" start=\"{}\" end=\"{}\"/>", f.name(), f.low(), f.high());
    return text + "</flags>";
}

const std::string vec128 =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>";

/// The types that a feature's registers use; each feature names its own.
std::string types_of(std::string_view feature) {
    using enum FieldKind;
    static constexpr Field mxcsr_bits[] = {
        {0, rw, "IE", ""},  {1, rw, "DE", ""},  {2, rw, "ZE", ""},  {3, rw, "OE", ""},      {4, rw, "UE", ""},
        {5, rw, "PE", ""},  {6, rw, "DAZ", ""}, {7, rw, "IM", ""},  {8, rw, "DM", ""},      {9, rw, "ZM", ""},
        {10, rw, "OM", ""}, {11, rw, "UM", ""}, {12, rw, "PM", ""}, {13, 14, rw, "RC", ""}, {15, rw, "FZ", ""}};
    if (feature.ends_with(".core"))
        return flags("i386_eflags", 4, rflags_fields());
    if (feature.ends_with(".sse"))
        return vec128 + flags("i386_mxcsr", 4, mxcsr_bits);
    if (feature.ends_with(".avx512"))
        return vec128 + "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>";
    if (feature.ends_with(".system"))
        return flags("vitrine_cr0", 8, cr0_fields()) + flags("vitrine_cr4", 8, cr4_fields()) +
               flags("vitrine_efer", 8, efer_fields());
    return {};
}

} // namespace

std::string target_description(GdbArchitecture architecture, const std::vector<GdbRegister>& registers) {
    std::string text = fmt::format(
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target><architecture>{}</architecture>",
        architecture == GdbArchitecture::x86_64 ? "i386:x86-64" : "i386");
    std::string feature;
    for (const GdbRegister& r : registers) {
        if (r.feature != feature) {
            if (!feature.empty())
                text += "</feature>";
            feature = r.feature;
            text += fmt::format("<feature name=\"{}\">", feature) + types_of(feature);
        }
        text += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\"{}/>", r.name, 8 * r.bytes, r.type,
                            r.group.empty() ? "" : fmt::format(" group=\"{}\"", r.group));
    }
    return text + "</feature></target>";
}

} // namespace vitrine::debug
