// SPDX-License-Identifier: Apache-2.0
// Writes the program: maps the case's pages where they belong, loads all registers, and runs the instruction before an INT3.
#include "listing.h"

#include <cpuid.h>
#include <cstring>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

std::string data(const u8* bytes, unsigned size) {
    std::string s;
    for (unsigned n = 0; n < size; n += 16) {
        s += "    db ";
        for (unsigned k = n; k < n + 16 && k < size; ++k)
            s += fmt::format("{}0x{:02x}", k == n ? "" : ",", bytes[k]);
        s += '\n';
    }
    return s;
}

/// An XSAVE area in the layout of this host.
std::vector<u8> state_area(const Registers& g) {
    std::vector<u8> s(4096);
    u64 present = 7;
    unsigned offset[8]{}, a, b, c, d;
    __cpuid_count(13, 0, a, b, c, d);
    if ((a & 0xe0) == 0xe0)
        present = 0xe7;
    for (const unsigned n : {2u, 5u, 6u, 7u}) {
        __cpuid_count(13, n, a, b, c, d);
        offset[n] = b;
    }
    std::memcpy(s.data(), g.x87.data(), 160);
    std::memcpy(s.data() + 24, &g.mxcsr, 4);
    for (unsigned n = 0; n < 16; ++n) {
        std::memcpy(s.data() + 160 + 16 * n, g.zmm[n].data(), 16);
        std::memcpy(s.data() + offset[2] + 16 * n, g.zmm[n].data() + 16, 16);
        if (present & 0xe0) {
            std::memcpy(s.data() + offset[6] + 32 * n, g.zmm[n].data() + 32, 32);
            std::memcpy(s.data() + offset[7] + 64 * n, g.zmm[16 + n].data(), 64);
        }
    }
    if (present & 0xe0)
        std::memcpy(s.data() + offset[5], g.k.data(), 64);
    std::memcpy(s.data() + 512, &present, 8);
    return s;
}

} // namespace

std::string listing(const Case& c, const std::vector<std::string>& remarks) {
    const Registers& g = c.registers;
    std::string s = fmt::format("; seed {} case {}: {}\n", c.seed, c.index, c.text());
    for (const std::string& r : remarks)
        for (std::size_t from = 0, to; from < r.size(); from = to + 1) {
            to = std::min(r.find('\n', from), r.size());
            s += ";   " + r.substr(from, to - from) + '\n';
        }
    s += "; nasm -f elf64 FILE.asm && ld -o case FILE.o && gdb -q -ex run -ex 'info all-registers' ./case\n\n";
    s += "bits 64\ndefault rel\nglobal _start\n\n";
    s += "%macro map 2 ; address, size: anonymous memory, rwx\n    mov eax, 9\n    mov rdi, %1\n    mov rsi, %2\n    mov edx, 7\n"
         "    mov r10d, 0x32\n    mov r8, -1\n    xor r9d, r9d\n    syscall\n%endmacro\n"
         "%macro fill 3 ; to, from, size\n    mov rdi, %1\n    lea rsi, [%2]\n    mov ecx, %3\n    rep movsb\n%endmacro\n\n";
    s += fmt::format("_start:\n    map {:#x}, {}\n    map {:#x}, 4096\n    map {:#x}, 4096\n", data_page, data_size, read_only_page, code_page);
    s += fmt::format("    fill {:#x}, memory, {}\n    fill {:#x}, memory + {}, 4096\n    fill {:#x}, code, {}\n", data_page, data_size,
                     read_only_page, data_size, c.address, c.length + 1u);
    s += fmt::format("    mov eax, 10 ; mprotect\n    mov rdi, {:#x}\n    mov esi, 4096\n    mov edx, 1\n    syscall\n", read_only_page);
    s += fmt::format("    mov rax, {:#x}\n    wrfsbase rax\n    mov rax, {:#x}\n    wrgsbase rax\n", g.fs_base, g.gs_base);
    s += "    mov eax, 0xe7\n    xor edx, edx\n    xrstor64 [state]\n";
    s += fmt::format("    push {:#x}\n    popfq\n", g.rflags);
    static constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned n = 0; n < 16; ++n)
        s += fmt::format("    mov {}, {:#x}\n", names[n], g.gpr[n]);
    s += "    jmp [entry]\n\n";
    s += fmt::format("section .data\nentry: dq {:#x}\ncode: ; {}\n", c.address, c.text()) + data(c.bytes.data(), c.length) + "    db 0xcc\n";
    const auto state = state_area(g);
    s += "align 64\nstate:\n" + data(state.data(), static_cast<unsigned>(state.size()));
    s += "align 16\nmemory:\n" + data(c.memory.data(), memory_size);
    return s;
}

} // namespace vitrine::oracle
