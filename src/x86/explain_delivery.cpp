// SPDX-License-Identifier: Apache-2.0
// Why an event does not reach its handler: IDT or IVT entry, gate, code segment, stack, as delivery sees them.
#include "x86/explain.h"
#include "x86/segments.h"

#include <fmt/format.h>

#include <optional>

namespace vitrine {

namespace {

const char* gate_name(u8 type, bool segment, bool long_mode) {
    static constexpr const char* names[16] = {"reserved",
                                              "16-bit TSS",
                                              "LDT",
                                              "busy 16-bit TSS",
                                              "16-bit call gate",
                                              "task gate",
                                              "16-bit interrupt gate",
                                              "16-bit trap gate",
                                              "reserved",
                                              "TSS",
                                              "reserved",
                                              "busy TSS",
                                              "call gate",
                                              "reserved",
                                              "interrupt gate",
                                              "trap gate"};
    if (segment)
        return type & 8 ? "code segment" : "data segment";
    if (long_mode && type < 8 && type != 2)
        return "reserved";
    return names[type];
}

class Story {
public:
    Story(Cpu& cpu, u8 vector) : cpu_(cpu), vector_(vector) {}

    std::string tell() {
        if (!cpu_.protected_mode())
            real();
        else
            entry();
        return std::move(text_);
    }

private:
    void say(std::string line) { text_ += "    " + std::move(line) + "\n"; }

    void walk(u64 at) {
        const std::string lines = explain_walk(cpu_, Linear{at});
        for (std::size_t start = 0; start < lines.size();) {
            const std::size_t end = lines.find('\n', start);
            text_ += "      " + lines.substr(start, end - start) + "\n";
            start = end + 1;
        }
    }

    /// Reads a system structure; says what keeps it from being read.
    template <class T>
    bool read(u64 at, T& value, std::string_view what) {
        if (peek(cpu_, Linear{at}, &value, sizeof value) == sizeof value)
            return true;
        say(fmt::format("{} at {:x} cannot be read:", what, at));
        walk(at);
        return false;
    }

    void real() {
        const u64 last = vector_ * 4u + 3;
        if (last > cpu_.idtr.limit)
            return say(fmt::format("IVT entry {:02x}h ends at offset {:x}, beyond the limit {:x} in IDTR", vector_,
                                   last, cpu_.idtr.limit));
        u32 pointer = 0;
        if (read(cpu_.idtr.base + vector_ * 4u, pointer, "the IVT entry"))
            say(fmt::format("IVT entry {:02x}h points to {:04x}:{:04x}; SS:SP is {:04x}:{:04x}, limit {:x}", vector_,
                            pointer >> 16, pointer & 0xffff, cpu_.segments[ss].selector, cpu_.gpr[rsp] & 0xffff,
                            cpu_.segments[ss].limit));
    }

    void entry() {
        const bool wide = cpu_.long_mode();
        const u64 size = wide ? 16 : 8, offset = vector_ * size;
        if (offset + size - 1 > cpu_.idtr.limit)
            return say(fmt::format("IDT entry {:02x}h takes offsets {:x} to {:x}, beyond the limit {:x} in IDTR",
                                   vector_, offset, offset + size - 1, cpu_.idtr.limit));
        Descriptor gate;
        const u64 at = cpu_.idtr.base + offset;
        if (!read(at, gate.low, "the IDT entry") || (wide && !read(at + 8, gate.high, "the IDT entry's upper half")))
            return;
        const SystemType type = gate.system_type();
        say(fmt::format("IDT entry {:02x}h at {:x}: {} to {:04x}:{:x}, DPL {}, {}{}", vector_, at,
                        gate_name(gate.type(), gate.segment(), wide), gate.gate_selector(),
                        wide ? gate.gate_offset64() : gate.gate_offset32(), gate.dpl(),
                        gate.present() ? "present" : "not present",
                        wide && gate.gate_ist() ? fmt::format(", IST {}", gate.gate_ist()) : ""));
        const bool gate64 = type == SystemType::interrupt_gate || type == SystemType::trap_gate;
        const bool gate32 = gate64 || type == SystemType::interrupt_gate16 || type == SystemType::trap_gate16 ||
                            type == SystemType::task_gate;
        if (gate.segment() || !(wide ? gate64 : gate32))
            return say("  <- its type is none that an IDT may hold: #GP");
        if (!gate.present())
            return say("  <- not present: #NP");
        if (type == SystemType::task_gate)
            return; // the new task's TSS has its own story
        const std::optional<u8> cpl = code(gate.gate_selector());
        if (cpl)
            stack(gate, *cpl);
    }

    /// The handler's code segment; its privilege if it will do.
    std::optional<u8> code(u16 selector) {
        const auto wrong = [&](std::string why) {
            say(fmt::format("  <- code segment {:04x}: {}", selector, why));
            return std::nullopt;
        };
        if (null_selector(selector))
            return wrong("a null selector: #GP");
        if (!in_table(cpu_, selector))
            return wrong(fmt::format("beyond the limit of the {}: #GP", selector & 4 ? "LDT" : "GDT"));
        const u64 table = selector & 4 ? cpu_.segments[ldtr].base : cpu_.gdtr.base;
        Descriptor d;
        if (!read(table + (selector & 0xfff8u), d.low, "the code segment's descriptor"))
            return std::nullopt;
        if (!d.code())
            return wrong(fmt::format("a {}, no code segment: #GP", gate_name(d.type(), d.segment(), cpu_.long_mode())));
        if (d.dpl() > cpu_.cpl)
            return wrong(fmt::format("DPL {} is above CPL {}: #GP", d.dpl(), cpu_.cpl));
        if (cpu_.long_mode() && (!d.long_code() || d.big()))
            return wrong("not 64-bit (L = 1 and D = 0 are required): #GP");
        if (!d.present())
            return wrong("not present: #NP");
        return d.conforming() ? cpu_.cpl : d.dpl();
    }

    void stack(const Descriptor& gate, u8 new_cpl) {
        const bool wide = cpu_.long_mode();
        const u8 ist = wide ? gate.gate_ist() : 0;
        u64 top = cpu_.gpr[rsp], base = 0;
        std::string name = "the present stack";
        if (new_cpl < cpu_.cpl || ist) {
            const Segment& task = cpu_.segments[tr];
            const u64 at = wide ? (ist ? 28 + 8u * ist : 4 + 8u * new_cpl) : 4 + 8u * new_cpl;
            name = ist ? fmt::format("IST{} of the TSS", ist)
                       : fmt::format("{}{} of the TSS", wide ? "RSP" : "ESP", new_cpl);
            if (at + 7 > task.limit)
                return say(fmt::format("  <- {} is beyond the TSS's limit {:x}: #TS", name, task.limit));
            u32 esp = 0;
            if (wide ? !read(task.base + at, top, name) : !read(task.base + at, esp, name))
                return;
            if (!wide)
                top = esp;
        } else if (!wide) {
            base = cpu_.segments[ss].base;
            if (!rights::db(cpu_.segments[ss].rights))
                top &= 0xffff;
        }
        if (wide && sign_extend(top, cpu_.cr4 & cr4::la57 ? 57 : 48) != top)
            return say(fmt::format("  <- {} is {:x}, which is not canonical: #SS", name, top));
        const u64 word = base + (wide ? (top & ~15ull) - 8 : (top - 4) & 0xffff'ffff);
        u8 byte = 0;
        if (peek(cpu_, Linear{word}, &byte, 1) == 1)
            return say(fmt::format("  the stack is {}, {:x}", name, top));
        say(fmt::format("  <- nothing can be pushed on {}, {:x}: {:x} is not mapped", name, top, word));
        walk(word);
    }

    Cpu& cpu_;
    u8 vector_;
    std::string text_;
};

} // namespace

std::string explain_delivery(Cpu& cpu, u8 vector) {
    return Story(cpu, vector).tell();
}

} // namespace vitrine
