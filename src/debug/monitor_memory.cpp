// SPDX-License-Identifier: Apache-2.0
// The monitor's commands about a processor's registers and memory.
#include "debug/monitor.h"

#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::debug {

namespace {

constexpr u64 most_shown = 4096; ///< units of memory or instructions in one reply

MonitorReply wrong(std::string_view what, std::string_view right) {
    return {fmt::format("{}: {}\n", what, right)};
}

/// gdb's: a count, a letter for the form, a letter for the size, all optional.
struct Format {
    u64 count = 1;
    char form = 'x';
    unsigned size = 8;

    static std::optional<Format> parse(std::string_view text) {
        Format f;
        bool sized = false;
        const std::size_t digits = std::min(text.size(), text.find_first_not_of("0123456789"));
        if (digits > 0) {
            f.count = 0;
            for (const char c : text.substr(0, digits))
                f.count = std::min<u64>(f.count * 10 + static_cast<u64>(c - '0'), most_shown + 1);
        }
        if (f.count == 0 || f.count > most_shown)
            return std::nullopt;
        for (const char c : text.substr(digits)) {
            static constexpr std::string_view sizes = "bhwg";
            if (const std::size_t n = sizes.find(c); n != std::string_view::npos) {
                f.size = 1u << n;
                sized = true;
            } else if (std::string_view("xduocsi").find(c) != std::string_view::npos) {
                f.form = c;
            } else {
                return std::nullopt;
            }
        }
        if (text.empty())
            f.count = 8;
        if (!sized && f.form == 'c')
            f.size = 1;
        return f;
    }
};

std::string unit(u64 value, const Format& f) {
    const i64 number = static_cast<i64>(sign_extend(value, 8 * f.size));
    switch (f.form) {
    case 'd':
        return fmt::format("{:>20}", number);
    case 'u':
        return fmt::format("{:>20}", value);
    case 'o':
        return fmt::format("{:#0{}o}", value, (8 * f.size + 2) / 3 + 1);
    case 'c':
        return value >= 32 && value < 127 ? fmt::format("'{}'", static_cast<char>(value))
                                          : fmt::format("\\x{:02x}", value);
    default:
        return fmt::format("{:0{}x}", value, 2 * f.size);
    }
}

} // namespace

MonitorReply Monitor::registers(const Words&) {
    std::string text = explain_registers(cpu());
    if (!other_level_)
        return {text};
    // The lines of general registers that no VMCS has, but for RSP's; and of those that transitions leave alone.
    std::string kept;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at) + 1;
        const std::string_view line = std::string_view(text).substr(at, end - at);
        const bool general = line.starts_with("RAX") || line.starts_with("RSP") || line.starts_with("R8") || line.starts_with("R12");
        if (!general && !line.starts_with("DR0"))
            kept += line;
        if (line.starts_with("RSP"))
            kept += fmt::format("RSP {:016x}\n", cpu().gpr[rsp]);
        at = end;
    }
    return {kept};
}

MonitorReply Monitor::vectors(const Words&) {
    return {explain_vectors(cpu())};
}

MonitorReply Monitor::dump(const Words& words, bool physical) {
    const auto at = value(words[1]);
    const auto format = Format::parse(format_);
    if (!at)
        return wrong(words[1], "not an address: a number, 0x and a hexadecimal number, $register, or a sum of them");
    if (!format)
        return wrong(fmt::format("/{}", format_),
                     fmt::format("not a format: a count up to {}, one of x d u o c s i, one of b h w g", most_shown));
    if (format->form == 'i') {
        if (physical)
            return wrong("xp/i", "instructions are shown at linear addresses: use x/i");
        return {explain_code(cpu(), Linear{*at}, static_cast<unsigned>(format->count))};
    }
    const auto byte = [&](u64 a, u8& value, std::string& why) {
        const Cpu::Mapping m = physical ? Cpu::Mapping{.present = true, .page = Physical{a}} : cpu().examine(Linear{a});
        const u8* host = m.present ? machine_.space().host(m.page) : nullptr;
        if (host)
            value = *host;
        else if (!m.present)
            why = " not mapped (`walk` says why)\n";
        else
            why = machine_.space().mmio().find(m.page.value) ? " a device's: not read, for reading may change it\n"
                                                             : " nothing there\n";
        return host != nullptr;
    };
    MonitorReply reply;
    std::string why;
    if (format->form == 's') {
        u64 a = *at;
        for (u64 i = 0; i < format->count; ++i) {
            std::string text;
            u8 c = 0;
            const u64 start = a;
            while (text.size() < most_shown && byte(a++, c, why) && c)
                text += c >= 32 && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("\\x{:02x}", c);
            reply.text += fmt::format("{:016x}: \"{}\"{}", start, text, why.empty() ? "\n" : why);
            if (!why.empty())
                break;
        }
        return reply;
    }
    const u64 per_line = format->form == 'd' || format->form == 'u' ? 2 : 16 / format->size;
    for (u64 i = 0; i < format->count; ++i) {
        const u64 a = *at + i * format->size;
        if (i % per_line == 0)
            reply.text += fmt::format("{}{:016x}:", i ? "\n" : "", a);
        u64 whole = 0;
        for (u64 b = 0; b < format->size; ++b) {
            u8 part = 0;
            if (!byte(a + b, part, why)) {
                reply.text += why;
                return reply;
            }
            whole |= u64{part} << (8 * b);
        }
        reply.text += " " + unit(whole, *format);
    }
    reply.text += '\n';
    return reply;
}

MonitorReply Monitor::examine(const Words& words) {
    return dump(words, false);
}

MonitorReply Monitor::examine_physical(const Words& words) {
    return dump(words, true);
}

MonitorReply Monitor::disassemble(const Words& words) {
    if (words.size() == 1)
        return {explain_code_around(cpu())};
    const auto at = value(words[1]);
    const auto count = words.size() > 2 ? value(words[2]) : std::optional<u64>(10);
    if (!at || !count || *count > most_shown)
        return wrong("disassemble", fmt::format("usage: disassemble [ADDRESS [COUNT]], COUNT up to {}", most_shown));
    return {explain_code(cpu(), Linear{*at}, static_cast<unsigned>(*count))};
}

MonitorReply Monitor::idt(const Words& words) {
    const auto vector = value(words[1]);
    return vector && *vector < 256 ? MonitorReply{explain_delivery(cpu(), static_cast<u8>(*vector))}
                                   : wrong(words[1], "not a vector: 0 to 255 (0xff)");
}

} // namespace vitrine::debug
