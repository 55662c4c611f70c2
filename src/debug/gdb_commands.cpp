// SPDX-License-Identifier: Apache-2.0
// What gdb can ask: registers, memory, breakpoints, threads, features (GDB manual, Packets and General Query Packets).
#include "debug/gdb_server.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::debug {

namespace {

constexpr std::string_view ok = "OK", error = "E01", unknown = "";

std::string_view activity_name(Activity activity) {
    static constexpr std::string_view names[] = {"running", "halted", "shut down", "waiting for SIPI",
                                                 "halted by MWAIT"};
    return names[static_cast<unsigned>(activity)];
}

/// Moves a prefix off `text`; false if it does not start with it.
bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// Reads or writes linear memory through the page tables, changing nothing else; devices are not touched, for that may
/// change them. How many bytes were done.
u64 touch(Cpu& cpu, u64 at, u8* data, u64 size, bool write) {
    u64 done = 0;
    while (done < size) {
        const Cpu::Mapping m = cpu.examine(Linear{at + done});
        if (!m.present || !cpu.space().host(m.page))
            break;
        const u64 n = std::min<u64>(size - done, page_size - ((at + done) & 0xfff));
        if (write)
            cpu.space().write(m.page, std::span<const u8>(data + done, n), cpu.requester());
        else
            cpu.space().read(m.page, {data + done, n}, cpu.requester());
        done += n;
    }
    return done;
}

std::string hex_of(std::string_view text) {
    return to_hex({reinterpret_cast<const u8*>(text.data()), text.size()});
}

} // namespace

std::optional<std::string> GdbServer::answer(std::string_view packet) {
    if (packet.empty())
        return std::string(unknown);
    const std::string_view rest = packet.substr(1);
    switch (packet[0]) {
    case '?':
        return last_stop_;
    case 'g':
        return read_registers();
    case 'G':
        return write_registers(rest);
    case 'p':
        return read_register(rest);
    case 'P':
        return write_register(rest);
    case 'm':
        return read_memory(rest);
    case 'M':
        return write_memory(rest, false);
    case 'X':
        return write_memory(rest, true);
    case 'Z':
        return set_breakpoint(rest, true);
    case 'z':
        return set_breakpoint(rest, false);
    case 'H':
        return thread_command(rest);
    case 'T': {
        unsigned cpu = 0;
        return std::string(select(rest, cpu) ? ok : error);
    }
    case 'c':
    case 'C': // signals are not for processors
        resume_ = Resume::go;
        return std::nullopt;
    case 's':
    case 'S':
        step_cpu_ = cpu_;
        resume_ = Resume::step;
        return std::nullopt;
    case 'k':
        killed_ = true;
        resume_ = Resume::go;
        return std::nullopt;
    case 'D':
        return std::string(ok);
    case 'q':
        return query(rest);
    case 'Q':
        return std::string(packet == "QStartNoAckMode" ? ok : unknown);
    case 'v':
        if (packet == "vCont?")
            return "vCont;c;C;s;S";
        if (take(packet, "vCont;")) {
            resume_ = resumption(packet);
            return resume_ == Resume::no ? std::optional<std::string>(error) : std::nullopt;
        }
        if (packet.starts_with("vKill")) {
            killed_ = true;
            resume_ = Resume::go;
            return std::string(ok);
        }
        return std::string(unknown);
    default:
        return std::string(unknown);
    }
}

std::string GdbServer::query(std::string_view packet) {
    if (packet.starts_with("Supported")) {
        says_why_ =
            packet.find("swbreak+") != std::string_view::npos && packet.find("hwbreak+") != std::string_view::npos;
        return fmt::format("PacketSize={:x};qXfer:features:read+;qXfer:threads:read+;QStartNoAckMode+;vContSupported+;"
                           "hwbreak+;swbreak+",
                           PacketReader::largest);
    }
    if (take(packet, "Xfer:"))
        return transfer(packet);
    if (packet == "Attached")
        return "1";
    if (packet == "C")
        return fmt::format("QC{:x}", cpu_ + 1);
    if (packet == "fThreadInfo") {
        std::string list = "m";
        for (unsigned i = 0; i < machine_->cpus(); ++i)
            list += fmt::format("{}{:x}", i ? "," : "", i + 1);
        return list;
    }
    if (packet == "sThreadInfo")
        return "l";
    if (take(packet, "ThreadExtraInfo,")) {
        unsigned n = 0;
        return select(packet, n) ? hex_of(activity_name(machine_->cpu(n).activity)) : std::string(error);
    }
    if (take(packet, "Rcmd,"))
        return monitor(packet);
    return std::string(unknown);
}

std::string GdbServer::monitor(std::string_view hex) {
    const auto line = from_hex(hex);
    if (!line)
        return std::string(error);
    const std::string text = monitor_ ? monitor_(*line) : "there is no monitor here\n";
    console(text);
    return std::string(ok);
}

std::string GdbServer::threads() const {
    std::string text = "<?xml version=\"1.0\"?><threads>";
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        text += fmt::format("<thread id=\"{:x}\" name=\"CPU{}\">{}</thread>", i + 1, i,
                            activity_name(machine_->cpu(i).activity));
    return text + "</threads>";
}

/// qXfer: a piece of a longer text.
std::string GdbServer::transfer(std::string_view packet) {
    std::string whole;
    if (take(packet, "features:read:target.xml:"))
        whole = description_;
    else if (take(packet, "threads:read::"))
        whole = threads();
    else
        return std::string(packet.starts_with("features:read:") ? "E00" : unknown);
    const auto offset = take_hex(packet);
    if (!offset || !take(packet, ","))
        return std::string(error);
    const auto length = take_hex(packet);
    if (!length || *offset > whole.size())
        return std::string(error);
    const std::string part = whole.substr(*offset, std::min<u64>(*length, PacketReader::largest / 2));
    return (*offset + part.size() < whole.size() ? "m" : "l") + part;
}

std::string GdbServer::read_registers() {
    std::string text;
    for (const GdbRegister& r : registers_) {
        u8 bytes[widest_gdb_register]{};
        r.read(selected(), r.n, bytes);
        text += to_hex({bytes, r.bytes});
    }
    return text;
}

std::string GdbServer::write_registers(std::string_view hex) {
    const auto bytes = from_hex(hex);
    if (!bytes)
        return std::string(error);
    std::size_t at = 0;
    for (const GdbRegister& r : registers_) {
        if (at + r.bytes > bytes->size())
            break;
        (void)r.write(selected(), r.n, reinterpret_cast<const u8*>(bytes->data()) + at); // what cannot be written stays
        at += r.bytes;
    }
    return std::string(ok);
}

std::string GdbServer::read_register(std::string_view rest) {
    const auto n = take_hex(rest);
    if (!n || *n >= registers_.size())
        return std::string(error);
    const GdbRegister& r = registers_[*n];
    u8 bytes[widest_gdb_register]{};
    r.read(selected(), r.n, bytes);
    return to_hex({bytes, r.bytes});
}

std::string GdbServer::write_register(std::string_view rest) {
    const auto n = take_hex(rest);
    if (!n || *n >= registers_.size() || !take(rest, "="))
        return std::string(error);
    const auto bytes = from_hex(rest);
    const GdbRegister& r = registers_[*n];
    if (!bytes || bytes->size() != r.bytes)
        return std::string(error);
    return std::string(r.write(selected(), r.n, reinterpret_cast<const u8*>(bytes->data())) ? ok : error);
}

std::string GdbServer::read_memory(std::string_view rest) {
    const auto at = take_hex(rest);
    if (!at || !take(rest, ","))
        return std::string(error);
    const auto size = take_hex(rest);
    if (!size || *size > PacketReader::largest / 2)
        return std::string(error);
    std::vector<u8> data(*size);
    data.resize(touch(selected(), *at, data.data(), data.size(), false)); // less than was asked for is an answer too
    return data.empty() && *size != 0 ? std::string(error) : to_hex(data);
}

std::string GdbServer::write_memory(std::string_view rest, bool binary) {
    const auto at = take_hex(rest);
    if (!at || !take(rest, ","))
        return std::string(error);
    const auto size = take_hex(rest);
    if (!size || !take(rest, ":"))
        return std::string(error);
    std::optional<std::string> data = binary ? std::string(rest) : from_hex(rest);
    if (!data || data->size() != *size)
        return std::string(error);
    return std::string(
        touch(selected(), *at, reinterpret_cast<u8*>(data->data()), data->size(), true) == data->size() ? ok : error);
}

std::string GdbServer::set_breakpoint(std::string_view rest, bool insert) {
    const auto type = take_hex(rest);
    if (!type || *type > 4 || !take(rest, ","))
        return std::string(unknown);
    const auto at = take_hex(rest);
    if (!at || !take(rest, ","))
        return std::string(error);
    const auto length = take_hex(rest);
    if (!length || *length > page_size || (*type > 1 && *length == 0))
        return std::string(error);
    if (*type <= 1) {
        const auto kind = static_cast<Breakpoints::Kind>(*type);
        if (insert)
            breakpoints_.add(kind, *at);
        else
            breakpoints_.remove(kind, *at);
    } else {
        static constexpr Breakpoints::Watch kinds[] = {Breakpoints::Watch::write, Breakpoints::Watch::read,
                                                       Breakpoints::Watch::access};
        if (insert)
            breakpoints_.watch(kinds[*type - 2], *at, *length);
        else
            (void)breakpoints_.unwatch(kinds[*type - 2], *at, *length);
    }
    hook();
    return std::string(ok);
}

bool GdbServer::select(std::string_view thread, unsigned& cpu) const {
    if (thread == "-1" || thread == "0")
        return true;
    const auto n = take_hex(thread);
    if (!n || *n == 0 || *n > machine_->cpus())
        return false;
    cpu = static_cast<unsigned>(*n - 1);
    return true;
}

std::string GdbServer::thread_command(std::string_view rest) {
    if (rest.empty() || (rest[0] != 'g' && rest[0] != 'c'))
        return std::string(unknown);
    return std::string(select(rest.substr(1), cpu_) ? ok : error);
}

/// vCont: a list of actions; the first step wins, everything else goes on. Processors share one clock: one that gdb
/// would rather keep standing takes its turns too.
GdbServer::Resume GdbServer::resumption(std::string_view actions) {
    Resume result = Resume::no;
    while (!actions.empty()) {
        const std::string_view action = actions.substr(0, actions.find(';'));
        actions.remove_prefix(std::min(actions.size(), action.size() + 1));
        if (action.empty())
            continue;
        if (action[0] == 's' || action[0] == 'S') {
            step_cpu_ = cpu_;
            const std::size_t colon = action.find(':');
            if (colon != std::string_view::npos && !select(action.substr(colon + 1), step_cpu_))
                return Resume::no;
            return Resume::step;
        }
        if (action[0] == 'c' || action[0] == 'C')
            result = Resume::go;
    }
    return result;
}

} // namespace vitrine::debug
