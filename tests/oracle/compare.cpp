// SPDX-License-Identifier: Apache-2.0
// Compares registers, memory, flags and endings.
#include "compare.h"

#include "x86/bits.h"

#include <cstring>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

constexpr const char* gpr_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

std::string hex(const u8* bytes, unsigned size) {
    std::string s;
    for (unsigned n = size; n-- > 0;) {
        s += fmt::format("{:02x}", bytes[n]);
        if (n % 8 == 0 && n)
            s += '_';
    }
    return s;
}

} // namespace

std::vector<std::string> compare(const Case& c, const Side& host, const Side& guest) {
    std::vector<std::string> out;
    if (host.ending != guest.ending) {
        const auto say = [](const Ending& e) {
            return e.fault ? fmt::format("exception {} error {:x} cr2 {:x}", e.vector, e.error, e.cr2) : std::string("no exception");
        };
        out.push_back(fmt::format("ending: host {}, here {}", say(host.ending), say(guest.ending)));
    }
    const Registers &h = host.registers, &g = guest.registers;
    const auto number = [&](const char* name, u64 a, u64 b) {
        if (a != b)
            out.push_back(fmt::format("{}: host {:x}, here {:x}", name, a, b));
    };
    constexpr u64 rf = rflags::rf; // between iterations of a REP the interpreter shows it
    for (unsigned n = 0; n < 16; ++n)
        number(gpr_names[n], h.gpr[n], g.gpr[n]);
    number("rip", h.rip, g.rip);
    number("rflags", h.rflags & ~rf, g.rflags & ~rf);
    number("fs base", h.fs_base, g.fs_base);
    number("gs base", h.gs_base, g.gs_base);
    for (unsigned n = 0; n < 32; ++n)
        if (h.zmm[n] != g.zmm[n])
            out.push_back(fmt::format("zmm{}: host {}\n       here {}", n, hex(h.zmm[n].data(), 64), hex(g.zmm[n].data(), 64)));
    for (unsigned n = 0; n < 8; ++n)
        if (h.k[n] != g.k[n])
            out.push_back(fmt::format("k{}: host {:x}, here {:x}", n, h.k[n], g.k[n]));
    number("mxcsr", h.mxcsr, g.mxcsr);
    const auto word = [](const Registers& r, unsigned at) { return u64{r.x87[at]} | u64{r.x87[at + 1]} << 8; };
    number("fcw", word(h, 0), word(g, 0));
    number("fsw", word(h, 2), word(g, 2));
    number("abridged ftw", h.x87[4], g.x87[4]);
    for (unsigned n = 0; n < 8; ++n)
        if (std::memcmp(h.x87.data() + 32 + 16 * n, g.x87.data() + 32 + 16 * n, 10) != 0)
            out.push_back(fmt::format("st{}: host {}, here {}", n, hex(h.x87.data() + 32 + 16 * n, 10), hex(g.x87.data() + 32 + 16 * n, 10)));
    unsigned shown = 0;
    for (unsigned at = 0; at < memory_size; at += 8)
        if (std::memcmp(host.memory.data() + at, guest.memory.data() + at, 8) != 0 && shown++ < 8) {
            const u64 linear = at < data_size ? data_page + at : read_only_page + at - data_size;
            out.push_back(fmt::format("memory {:x}: before {}, host {}, here {}", linear, hex(c.memory.data() + at, 8),
                                      hex(host.memory.data() + at, 8), hex(guest.memory.data() + at, 8)));
        }
    return out;
}

} // namespace vitrine::oracle
