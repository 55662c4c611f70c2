// SPDX-License-Identifier: Apache-2.0
// What gdb can ask: registers, memory, breakpoints, threads, features (GDB manual, Packets and General Query Packets).
#include "debug/gdb_server.h"

#include "vtx/unit.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::debug {

namespace {

constexpr std::string_view ok = "OK", error = "E01", unknown = "";
constexpr unsigned other_thread = 0x100; ///< added to a processor's thread: the level beside the one that it is in

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
        bool other = false;
        return std::string(select(rest, cpu, other) ? ok : error);
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
        return fmt::format("QC{:x}", cpu_ + 1 + (other_ ? other_thread : 0));
    if (packet == "fThreadInfo") {
        std::string list;
        for (const unsigned id : thread_ids())
            list += fmt::format("{}{:x}", list.empty() ? "m" : ",", id);
        return list;
    }
    if (packet == "sThreadInfo")
        return "l";
    if (take(packet, "ThreadExtraInfo,")) {
        unsigned n = 0;
        bool other = false;
        if (!select(packet, n, other))
            return std::string(error);
        return hex_of(other ? "not running" : activity_name(machine_->cpu(n).activity));
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

/// The processors, then the levels beside theirs.
std::vector<unsigned> GdbServer::thread_ids() const {
    std::vector<unsigned> ids;
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        ids.push_back(i + 1);
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        if (other_level(i))
            ids.push_back(other_thread + i + 1);
    return ids;
}

std::string GdbServer::threads() const {
    std::string text = "<?xml version=\"1.0\"?><threads>";
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        text += fmt::format("<thread id=\"{:x}\" name=\"CPU{}\">{}</thread>", i + 1, i,
                            activity_name(machine_->cpu(i).activity));
    for (unsigned i = 0; i < machine_->cpus(); ++i)
        if (const auto level = other_level(i))
            text += fmt::format("<thread id=\"{:x}\" name=\"CPU{} {}\">{}</thread>", other_thread + i + 1, i, *level ? "guest" : "hypervisor",
                                *level ? fmt::format("guest-state area of VMCS {:x}", *level)
                                       : fmt::format("host-state area of VMCS {:x}", machine_->vmx(i)->vmcs().pointer()));
    return text + "</threads>";
}

std::optional<u64> GdbServer::other_level(unsigned cpu) const {
    vtx::Unit* unit = machine_->vmx(cpu);
    if (!unit || !unit->in_operation() || !unit->vmcs().valid() || !unit->vmcs().launched)
        return std::nullopt;
    return unit->in_non_root() ? 0 : unit->vmcs().pointer();
}

std::unique_ptr<vtx::OtherLevel> GdbServer::look_at_selected() {
    const auto level = other_ ? other_level(cpu_) : std::nullopt;
    return level ? std::make_unique<vtx::OtherLevel>(*machine_->vmx(cpu_), selected(), *level) : nullptr;
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

/// gdb calls a register of x's unavailable.
std::string GdbServer::register_text(const GdbRegister& r, bool of_other_level) {
    if (of_other_level && !r.in_vmcs)
        return std::string(2 * r.bytes, 'x');
    u8 bytes[widest_gdb_register]{};
    r.read(selected(), r.n, bytes);
    return to_hex({bytes, r.bytes});
}

std::string GdbServer::read_registers() {
    const auto other = look_at_selected();
    std::string text;
    for (const GdbRegister& r : registers_)
        text += register_text(r, other != nullptr);
    return text;
}

std::string GdbServer::write_registers(std::string_view hex) {
    const auto bytes = from_hex(hex);
    if (!bytes || other_) // a level that does not run is looked at, no more
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
    const auto other = look_at_selected();
    return register_text(registers_[*n], other != nullptr);
}

std::string GdbServer::write_register(std::string_view rest) {
    const auto n = take_hex(rest);
    if (!n || *n >= registers_.size() || !take(rest, "="))
        return std::string(error);
    const auto bytes = from_hex(rest);
    const GdbRegister& r = registers_[*n];
    if (!bytes || bytes->size() != r.bytes || other_)
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
    const auto other = look_at_selected();
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
    const auto other = look_at_selected();
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
    hooks_->update();
    return std::string(ok);
}

bool GdbServer::select(std::string_view thread, unsigned& cpu, bool& other) const {
    if (thread == "-1" || thread == "0")
        return true;
    const auto n = take_hex(thread);
    const auto ids = thread_ids();
    if (!n || std::ranges::find(ids, *n) == ids.end())
        return false;
    other = *n > other_thread;
    cpu = static_cast<unsigned>(*n - 1 - (other ? other_thread : 0));
    return true;
}

std::string GdbServer::thread_command(std::string_view rest) {
    if (rest.empty() || (rest[0] != 'g' && rest[0] != 'c'))
        return std::string(unknown);
    return std::string(select(rest.substr(1), cpu_, other_) ? ok : error);
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
            bool other = false; // the processor is what steps
            if (colon != std::string_view::npos && !select(action.substr(colon + 1), step_cpu_, other))
                return Resume::no;
            return Resume::step;
        }
        if (action[0] == 'c' || action[0] == 'C')
            result = Resume::go;
    }
    return result;
}

} // namespace vitrine::debug
