// SPDX-License-Identifier: Apache-2.0
// The configuration's grammar: lines of words, `guest NAME { ... }`, quoted texts, `#` to the end of the line.
#include "pane/config/config.h"

#include "pane/kernel/panic.h"
#include "pane/pci/pci.h"

namespace vitrine::pane {

namespace {

struct Word {
    std::string_view text;
    unsigned line = 0, column = 0;
    bool end_of_line = false, end_of_file = false;
};

class Reader {
public:
    Reader(std::string_view file, std::string_view text) : file_(file), text_(text) {}

    template <class... T> [[noreturn]] void wrong(const Word& at, std::string_view format, const T&... values) const {
        print(serial_out, "\n{}:{}:{}: ", file_, at.line, at.column);
        print(serial_out, format, values...);
        panic("the configuration is wrong");
    }

    Word next() {
        while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\r'))
            step();
        if (at_ < text_.size() && peek() == '#')
            while (at_ < text_.size() && peek() != '\n')
                step();
        Word w{{}, line_, column_};
        if (at_ == text_.size()) {
            w.end_of_line = w.end_of_file = true;
            return w;
        }
        const u64 start = at_;
        if (peek() == '\n') {
            w.end_of_line = true;
            step();
        } else if (peek() == '"') {
            step();
            while (at_ < text_.size() && peek() != '"' && peek() != '\n')
                step();
            if (at_ == text_.size() || peek() == '\n')
                wrong(w, "this text has no closing quotation mark on its line");
            w.text = text_.substr(start + 1, at_ - start - 1);
            step();
        } else {
            while (at_ < text_.size() && !ends_word(peek()))
                step();
            w.text = text_.substr(start, at_ - start);
        }
        return w;
    }

    /// A word on the same line.
    Word need(const char* what) {
        const Word w = next();
        if (w.end_of_line)
            wrong(w, "here must stand {}", what);
        return w;
    }

    /// Takes the next word of the line if it is this one.
    bool optional(std::string_view text) {
        const Reader before = *this;
        if (next().text == text)
            return true;
        *this = before;
        return false;
    }

    void end_line() {
        if (const Word w = next(); !w.end_of_line)
            wrong(w, "'{}' is too much on this line", w.text);
    }

    u64 number(u64 least, u64 most, const char* what) {
        const Word w = need(what);
        u64 value = 0;
        std::string_view digits = w.text;
        unsigned base = 10, shift = 0;
        if (digits.size() > 2 && digits[0] == '0' && digits[1] == 'x') {
            base = 16;
            digits.remove_prefix(2);
        } else if (!digits.empty() && (digits.back() == 'M' || digits.back() == 'G')) {
            shift = digits.back() == 'M' ? 20 : 30;
            digits.remove_suffix(1);
        }
        for (const char c : digits) {
            const unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
            if (digit >= base || value > 1ull << 40)
                wrong(w, "'{}' is no number", w.text);
            value = value * base + digit;
        }
        if (digits.empty())
            wrong(w, "'{}' is no number", w.text);
        value <<= shift;
        if (value < least || value > most)
            wrong(w, "{} must lie between {} and {}, and {} does not", what, least, most, w.text);
        return value;
    }

private:
    char peek() const { return text_[at_]; }

    static bool ends_word(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '#'; }

    void step() {
        if (text_[at_++] == '\n') {
            ++line_;
            column_ = 1;
        } else {
            ++column_;
        }
    }

    std::string_view file_, text_;
    u64 at_ = 0;
    unsigned line_ = 1, column_ = 1;
};

void read_ending(Reader& r, GuestConfig& g) {
    const Word w = r.need("how the guest ends");
    for (unsigned n = 1; n < sizeof ending_names / sizeof *ending_names; ++n)
        if (w.text == ending_names[n]) {
            g.ends = static_cast<Ending>(n);
            return;
        }
    r.wrong(w, "a guest ends with power-off, reset, halt, crash or stopped, not with '{}'", w.text);
}

void read_network(Reader& r, GuestConfig& g) {
    if (g.network_count == GuestConfig::most_networks)
        r.wrong(r.next(), "guest '{}' has {} networks already", g.name, g.network_count);
    NetworkConfig& n = g.networks[g.network_count++];
    n.vmdq = r.optional("vmdq");
    if (n.vmdq && r.optional("vlan"))
        n.vlan = static_cast<u16>(r.number(1, 4094, "the VLAN"));
}

void read_adapter(Reader& r, AdapterConfig& a) {
    const Word w = r.need("the adapter's place, such as 01:00.0, or 'any'");
    a.wanted = true;
    a.any = w.text == "any";
    if (!a.any && !parse_function_name(w.text, a.id))
        r.wrong(w, "'{}' is no place on the PCI bus; one is 01:00.0", w.text);
    if (r.optional("virtual-functions"))
        a.virtual_functions = static_cast<unsigned>(r.number(1, 63, "the number of virtual functions"));
    r.end_line();
}

void read_device(Reader& r, GuestConfig& g) {
    const Word w = r.need("a function such as 01:00.0, or vf");
    u16 id;
    if (w.text != "vf" && !parse_function_name(w.text, id))
        r.wrong(w, "a device is vf, or bus:device.function such as 01:00.0, and not '{}'", w.text);
    if (g.device_count == GuestConfig::most_devices)
        r.wrong(w, "a guest may have {} devices", GuestConfig::most_devices);
    g.devices[g.device_count++] = w.text;
}

bool read_switch(Reader& r, const char* yes, const char* no) {
    const Word w = r.need(yes);
    if (w.text != yes && w.text != no)
        r.wrong(w, "here must stand {} or {}, and not '{}'", yes, no, w.text);
    return w.text == yes;
}

struct Setting {
    std::string_view name;
    void (*read)(Reader& r, GuestConfig& g);
};

constexpr u64 least_memory = 4 << 20, most_memory = 3ull << 30;

constexpr Setting guest_settings[] = {
    {"memory", [](Reader& r, GuestConfig& g) { g.memory = r.number(least_memory, most_memory, "the memory") & ~0x1f'ffffull; }},
    {"cpus", [](Reader& r, GuestConfig& g) { g.cpus = static_cast<unsigned>(r.number(1, Config::most_cpus, "the number of processors")); }},
    {"kernel", [](Reader& r, GuestConfig& g) { g.kernel = r.need("the name of a boot module").text; }},
    {"initrd", [](Reader& r, GuestConfig& g) { g.initrd = r.need("the name of a boot module").text; }},
    {"cmdline", [](Reader& r, GuestConfig& g) { g.cmdline = r.need("a text").text; }},
    {"disk", [](Reader& r, GuestConfig& g) { g.disk = r.need("the name of a boot module").text; }},
    {"network", read_network},
    {"device", read_device},
    {"trace", [](Reader&, GuestConfig& g) { g.trace = true; }},
    {"ends", read_ending},
};

void read_guest(Reader& r, Config& config) {
    const Word name = r.need("the guest's name");
    if (config.guest_count == Config::most_guests)
        r.wrong(name, "there may be {} guests", Config::most_guests);
    for (unsigned n = 0; n < config.guest_count; ++n)
        if (config.guests[n].name == name.text)
            r.wrong(name, "there is a guest '{}' already", name.text);
    GuestConfig& g = config.guests[config.guest_count++];
    g.name = name.text;
    if (const Word brace = r.need("{"); brace.text != "{")
        r.wrong(brace, "here must stand {}", "{");
    r.end_line();
    for (;;) {
        const Word w = r.next();
        if (w.end_of_file)
            r.wrong(w, "the file ends within guest '{}'; a line with {} is missing", g.name, "}");
        if (w.end_of_line)
            continue;
        if (w.text == "}")
            break;
        const Setting* found = nullptr;
        for (const Setting& s : guest_settings)
            if (s.name == w.text)
                found = &s;
        if (!found)
            r.wrong(w, "a guest has no '{}'; it has memory, cpus, kernel, initrd, cmdline, disk, network, device, trace and ends", w.text);
        found->read(r, g);
        r.end_line();
    }
    if (g.kernel.empty())
        r.wrong(name, "guest '{}' has no kernel", g.name);
    r.end_line();
}

} // namespace

void read_config(std::string_view file, std::string_view text, Config& config) {
    Reader r(file, text);
    for (;;) {
        const Word w = r.next();
        if (w.end_of_file)
            break;
        if (w.end_of_line)
            continue;
        if (w.text == "guest") {
            read_guest(r, config);
        } else if (w.text == "console") {
            config.console = r.need("'all' or a guest's name").text;
            r.end_line();
        } else if (w.text == "adapter") {
            read_adapter(r, config.adapter);
        } else if (w.text == "live") {
            config.live = r.number(0, 3600, "the seconds between two lines of live figures");
            r.end_line();
        } else if (w.text == "vtd") {
            config.vtd = read_switch(r, "on", "off");
            r.end_line();
        } else if (w.text == "posted") {
            config.posted = read_switch(r, "on", "off");
            r.end_line();
        } else if (w.text == "faults") {
            config.stop_at_faults = read_switch(r, "stop", "tell");
            r.end_line();
        } else if (w.text == "failure-port") {
            config.failure_port = static_cast<u16>(r.number(1, 0xffff, "the port"));
            config.failure_value = static_cast<u8>(r.number(0, 0xff, "the value"));
            r.end_line();
        } else {
            r.wrong(w, "'{}' is unknown here; there are guest, adapter, console, live, vtd, posted, faults and failure-port", w.text);
        }
    }
    if (config.guest_count == 0)
        r.wrong(r.next(), "there is no guest");
    for (unsigned n = 0; n < config.guest_count; ++n)
        for (const NetworkConfig& network : config.guests[n].networks)
            if (network.vmdq && !config.adapter.wanted)
                r.wrong(r.next(), "guest '{}' has a network of the adapter's, and no line names the adapter", config.guests[n].name);
}

} // namespace vitrine::pane
