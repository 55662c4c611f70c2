// SPDX-License-Identifier: Apache-2.0
// For tests: executes one 64-bit user-mode instruction on the host with given registers, and tells what it left or how it failed.
#pragma once

#include "words/integers.h"

#include <sys/mman.h>

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <span>
#include <stdexcept>

namespace vitrine::ops {

/// One page with the code, one with the registers, both below 2 GiB so that code reaches them by absolute address.
///
///   host registers saved -> flags, then all 16 registers loaded -> the instruction -> all 16 registers, then flags stored
///
/// A signal in the instruction is an outcome: its number is returned, and the registers are those of the signal's context.
class Native {
public:
    struct Registers {
        u64 gpr[16]{};
        u64 flags = 0x202;
        u64 host_rsp = 0;
    };

    static constexpr u64 code_at = 0x2000'0000, registers_at = 0x2001'0000;

    Native() {
        map(code_at, PROT_READ | PROT_WRITE | PROT_EXEC);
        map(registers_at, PROT_READ | PROT_WRITE);
        stack_t alternative{};
        alternative.ss_sp = signal_stack_;
        alternative.ss_size = sizeof signal_stack_;
        sigaltstack(&alternative, &old_stack_);
        struct sigaction action{};
        action.sa_sigaction = caught;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        for (unsigned n = 0; n < 4; ++n)
            sigaction(signals[n], &action, &old_actions_[n]);
    }

    ~Native() {
        for (unsigned n = 0; n < 4; ++n)
            sigaction(signals[n], &old_actions_[n], nullptr);
        sigaltstack(&old_stack_, nullptr);
        munmap(reinterpret_cast<void*>(code_at), 4096);
        munmap(reinterpret_cast<void*>(registers_at), 4096);
    }

    Native(const Native&) = delete;
    Native& operator=(const Native&) = delete;

    /// Memory that the instruction may use, at the same address as in the guest. Never over something that exists.
    static u8* map(u64 at, int rights, u64 size = 4096) {
        void* const p = mmap(reinterpret_cast<void*>(at), size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p != reinterpret_cast<void*>(at))
            throw std::runtime_error("the test needs this address range for itself");
        return static_cast<u8*>(p);
    }

    Registers& registers() { return *reinterpret_cast<Registers*>(registers_at); }

    /// 0, or the signal that the instruction raised.
    int run(std::span<const u8> instruction) {
        u8* p = reinterpret_cast<u8*>(code_at);
        const auto bytes = [&](std::initializer_list<int> list) {
            for (const int b : list)
                *p++ = static_cast<u8>(b);
        };
        const auto absolute = [&](u64 at) {
            const u32 low = static_cast<u32>(at);
            std::memcpy(p, &low, 4);
            p += 4;
        };
        const u64 flags = registers_at + 128, host_rsp = registers_at + 136;
        for (const int r : {3, 5}) // rbx, rbp
            bytes({0x50 + r});
        for (const int r : {4, 5, 6, 7}) // r12 to r15
            bytes({0x41, 0x50 + r});
        bytes({0x48, 0x89, 0x24, 0x25}), absolute(host_rsp); // mov [host_rsp], rsp
        bytes({0xff, 0x34, 0x25}), absolute(flags);          // push [flags]; popfq
        bytes({0x9d});
        for (int r = 0; r < 16; ++r) // mov reg, [gpr + 8 r]
            bytes({0x48 | (r >> 3) << 2, 0x8b, 0x04 | (r & 7) << 3, 0x25}), absolute(registers_at + 8 * static_cast<u64>(r));
        std::memcpy(p, instruction.data(), instruction.size());
        p += instruction.size();
        for (int r = 0; r < 16; ++r)
            bytes({0x48 | (r >> 3) << 2, 0x89, 0x04 | (r & 7) << 3, 0x25}), absolute(registers_at + 8 * static_cast<u64>(r));
        bytes({0x48, 0x8b, 0x24, 0x25}), absolute(host_rsp); // mov rsp, [host_rsp]
        bytes({0x9c, 0x8f, 0x04, 0x25}), absolute(flags);    // pushfq; pop [flags]
        for (const int r : {7, 6, 5, 4})
            bytes({0x41, 0x58 + r});
        for (const int r : {5, 3})
            bytes({0x58 + r});
        bytes({0xfc, 0xc3}); // cld; ret
        if (const int signal = sigsetjmp(back(), 1))
            return signal;
        reinterpret_cast<void (*)()>(code_at)();
        return 0;
    }

private:
    static constexpr int signals[4] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    static sigjmp_buf& back() {
        static sigjmp_buf buffer;
        return buffer;
    }

    static void caught(int signal, siginfo_t*, void*) {
        asm volatile("cld");
        siglongjmp(back(), signal);
    }

    u8 signal_stack_[64 << 10]{};
    stack_t old_stack_{};
    struct sigaction old_actions_[4]{};
};

} // namespace vitrine::ops
