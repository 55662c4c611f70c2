// SPDX-License-Identifier: Apache-2.0
// The formatter: a number, a text, hexadecimal, a width; nothing more is needed here.
#include "pane/kernel/print.h"

namespace vitrine::pane {

namespace {

struct Spec {
    bool hexadecimal = false, left = false;
    unsigned width = 0;
};

void put(const Out& out, std::string_view text) {
    for (const char c : text)
        out.put(out.context, c);
}

void padded(const Out& out, std::string_view text, const Spec& spec) {
    const unsigned padding = text.size() < spec.width ? spec.width - text.size() : 0;
    for (unsigned n = 0; !spec.left && n < padding; ++n)
        out.put(out.context, ' ');
    put(out, text);
    for (unsigned n = 0; spec.left && n < padding; ++n)
        out.put(out.context, ' ');
}

void one(const Out& out, const PrintArgument& a, const Spec& spec) {
    using Kind = PrintArgument::Kind;
    if (a.kind == Kind::text)
        return padded(out, a.text, spec);
    char digits[24];
    unsigned at = sizeof digits;
    if (a.kind == Kind::character) {
        digits[--at] = static_cast<char>(a.number);
    } else {
        const unsigned base = spec.hexadecimal ? 16 : 10;
        u64 rest = a.number;
        do
            digits[--at] = "0123456789abcdef"[rest % base];
        while (rest /= base);
        if (spec.hexadecimal) {
            digits[--at] = 'x';
            digits[--at] = '0';
        }
        if (a.kind == Kind::negative)
            digits[--at] = '-';
    }
    padded(out, {digits + at, sizeof digits - at}, spec);
}

} // namespace

void print_arguments(const Out& out, std::string_view format, const PrintArgument* arguments, unsigned count) {
    unsigned next = 0;
    for (u64 at = 0; at < format.size(); ++at) {
        if (format[at] != '{') {
            out.put(out.context, format[at]);
            continue;
        }
        Spec spec;
        for (++at; at < format.size() && format[at] != '}'; ++at) {
            if (format[at] == 'x')
                spec.hexadecimal = true;
            else if (format[at] == '-')
                spec.left = true;
            else
                spec.width = spec.width * 10 + static_cast<unsigned>(format[at] - '0');
        }
        if (next < count)
            one(out, arguments[next++], spec);
    }
}

} // namespace vitrine::pane
