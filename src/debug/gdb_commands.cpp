// SPDX-License-Identifier: Apache-2.0
// What gdb can ask: registers, memory, breakpoints, threads, features (GDB manual, Packets and General Query Packets).
#include "debug/gdb_server.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::debug {

namespace {

constexpr std::string_view ok = "OK", error = "E01", unknown = "";

/// Moves a prefix off `text`; false if it does not start with it.
bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// Reads or writes linear memory through the page tables, changing nothing else. False where nothing is mapped.
bool touch(Cpu& cpu, u64 at, u8* data, u64 size, bool write) {
    while (size) {
        const Cpu::Mapping m = cpu.examine(Linear{at});
        if (!m.present || !cpu.space().host(m.page))
            return false; // devices are not touched: reading them may change them
        const u64 n = std::min<u64>(size, page_size - (at & 0xfff));
        if (write)
            cpu.space().write(m.page, {data, n}, cpu.requester());
        else
            cpu.space().read(m.page, {data, n}, cpu.requester());
        at += n;
        data += n;
        size -= n;
    }
    return true;
}

} // namespace

GdbServer::Resume GdbServer::handle(std::string_view packet) {
    if (packet.empty()) {
        send(unknown);
        return Resume::none;
    }
    const std::string_view rest = packet.substr(1);
    std::string reply;
    switch (packet[0]) {
    case '?': reply = last_stop_; break;
    case 'g': reply = read_registers(); break;
    case 'G': reply = write_registers(rest); break;
    case 'p': reply = read_register(rest); break;
    case 'P': reply = write_register(rest); break;
    case 'm': reply = read_memory(rest); break;
    case 'M': reply = write_memory(rest, false); break;
    case 'X': reply = write_memory(rest, true); break;
    case 'Z': reply = set_breakpoint(rest, true); break;
    case 'z': reply = set_breakpoint(rest, false); break;
    case 'H': reply = thread_command(rest); break;
    case 'T': {
        unsigned cpu = 0;
        reply = select(rest, cpu) ? ok : error;
        break;
    }
    case 'c': return Resume::go;
    case 's': step_cpu_ = cpu_; return Resume::step;
    case 'k': return Resume::kill;
    case 'D':
        send(ok);
        disconnect();
        return Resume::go;
    case 'q': reply = query(rest); break;
    case 'Q':
        if (packet == "QStartNoAckMode") {
            send(ok);
            acknowledge_ = false;
            return Resume::none;
        }
        break;
    case 'v':
        if (packet == "vCont?") {
            reply = "vCont;c;C;s;S";
            break;
        }
        if (packet.starts_with("vCont;")) {
            const Resume r = resume(packet.substr(6));
            if (r != Resume::none)
                return r;
            reply = error;
        }
        if (packet.starts_with("vKill"))
            return send(ok), Resume::kill;
        break;
    default: break;
    }
    send(reply);
    return Resume::none;
}

std::string GdbServer::query(std::string_view packet) {
    if (packet.starts_with("Supported"))
        return fmt::format("PacketSize={:x};qXfer:features:read+;QStartNoAckMode+;vContSupported+;hwbreak+;swbreak+",
                           PacketReader::largest);
    if (packet.starts_with("Xfer:"))
        return transfer(packet.substr(5));
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
        if (!select(packet, n))
            return std::string(error);
        static constexpr const char* states[] = {"running", "halted", "shut down", "waiting for SIPI", "halted by MWAIT"};
        const std::string text = fmt::format("CPU#{} [{}]", n, states[static_cast<unsigned>(machine_->cpu(n).activity)]);
        return to_hex({reinterpret_cast<const u8*>(text.data()), text.size()});
    }
    if (take(packet, "Rcmd,")) {
        const auto line = from_hex(packet);
        if (!line)
            return std::string(error);
        const std::string text = monitor_ ? monitor_(*line) : "there is no monitor here\n";
        return text.empty() ? std::string(ok) : to_hex({reinterpret_cast<const u8*>(text.data()), text.size()});
    }
    return std::string(unknown);
}

std::string GdbServer::transfer(std::string_view packet) {
    if (!take(packet, "features:read:target.xml:"))
        return std::string(error);
    const auto offset = take_hex(packet);
    if (!offset || !take(packet, ","))
        return std::string(error);
    const auto length = take_hex(packet);
    if (!length || *offset > description_.size())
        return std::string(error);
    const std::string part = description_.substr(*offset, std::min<u64>(*length, PacketReader::largest / 2));
    return (*offset + part.size() < description_.size() ? "m" : "l") + part;
}

std::string GdbServer::read_registers() {
    std::string text;
    for (const GdbRegister& r : registers_) {
        u8 bytes[16]{};
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
    u8 bytes[16]{};
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
    return touch(selected(), *at, data.data(), data.size(), false) ? to_hex(data) : std::string(error);
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
    return std::string(touch(selected(), *at, reinterpret_cast<u8*>(data->data()), data->size(), true) ? ok : error);
}

std::string GdbServer::set_breakpoint(std::string_view rest, bool insert) {
    const auto type = take_hex(rest);
    if (!type || *type > 4 || !take(rest, ","))
        return std::string(unknown);
    const auto at = take_hex(rest);
    if (!at || !take(rest, ","))
        return std::string(error);
    const auto length = take_hex(rest);
    if (!length || *length > page_size)
        return std::string(error);
    if (*type <= 1) {
        if (insert)
            breakpoints_.add(*at);
        else
            (void)breakpoints_.remove(*at);
    } else {
        static constexpr Breakpoints::Watch kinds[] = {Breakpoints::Watch::write, Breakpoints::Watch::read, Breakpoints::Watch::access};
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

/// vCont: a list of actions; the first step wins, everything else goes on.
GdbServer::Resume GdbServer::resume(std::string_view actions) {
    Resume result = Resume::none;
    while (!actions.empty()) {
        const std::string_view action = actions.substr(0, actions.find(';'));
        actions.remove_prefix(std::min(actions.size(), action.size() + 1));
        if (action.empty())
            continue;
        if (action[0] == 's' || action[0] == 'S') {
            step_cpu_ = cpu_;
            if (const std::size_t colon = action.find(':'); colon != std::string_view::npos && !select(action.substr(colon + 1), step_cpu_))
                return Resume::none;
            return Resume::step;
        }
        if (action[0] == 'c' || action[0] == 'C')
            result = Resume::go;
    }
    return result;
}

} // namespace vitrine::debug
