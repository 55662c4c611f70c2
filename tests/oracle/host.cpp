// SPDX-License-Identifier: Apache-2.0
// Entry and exit stubs around the one instruction, and the signal handler for what it raises. The exit stub is also where the
// handler sends a faulting instruction: registers are taken in one way only.
#include "host.h"

#include "base/error.h"

#include <asmjit/x86.h>

#include <algorithm>
#include <asm/prctl.h>
#include <cpuid.h>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

namespace vitrine::oracle {

namespace {

namespace x = asmjit::x86;

constexpr unsigned xsave_bytes = 4096;

/// What the stubs read and write; the code follows in the same mapping, so that everything is RIP-relative.
struct Area {
    alignas(64) u8 in_state[xsave_bytes];
    alignas(64) u8 out_state[xsave_bytes];
    u64 in_gpr[16], out_gpr[16];
    u64 in_flags, out_flags;
    u64 in_fs, in_gs, out_fs, out_gs;
    u64 swap_bases; ///< the instruction sees FS and GS bases: the host's own are put aside
    u64 host_rsp, host_fs, host_gs;
    u64 entry;
    u32 mxcsr;
    // The handler's.
    u64 exit;
    volatile u64 running;
    u64 trap, error, address, rip, rsp, flags;
};

constexpr u64 area_bytes = align_up(sizeof(Area), 4096), stub_bytes = 4096;

/// The signal handler has no other way to find it.
Area* area;

/// It may run with the case's FS base: nothing here may use the thread pointer.
__attribute__((no_sanitize("address", "undefined"), optimize("no-stack-protector"))) void on_fault(int signal, siginfo_t*, void* context) {
    asm volatile("pushfq\n\tandl $~0x40400, (%%rsp)\n\tpopfq" : : : "cc", "memory"); // no alignment checks here
    auto& g = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    if (!area->running) {
        std::signal(signal, SIG_DFL);
        return;
    }
    area->running = 0;
    area->trap = static_cast<u64>(g[REG_TRAPNO]);
    area->error = static_cast<u64>(g[REG_ERR]);
    area->address = static_cast<u64>(g[REG_CR2]);
    area->rip = static_cast<u64>(g[REG_RIP]);
    area->rsp = static_cast<u64>(g[REG_RSP]);
    area->flags = static_cast<u64>(g[REG_EFL]);
    // The way back must not step, nor fail on a stack pointer that no program can have.
    g[REG_RSP] = static_cast<long long>(area->host_rsp);
    g[REG_EFL] = 2;
    g[REG_RIP] = static_cast<long long>(area->exit);
}

x::Mem at(const asmjit::Label& base, std::size_t offset, u32 size = 8) {
    x::Mem m = x::ptr(base, static_cast<i32>(offset));
    m.setSize(size);
    return m;
}

} // namespace

bool Host::is_intel() {
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
    return b == signature_INTEL_ebx;
}

bool Host::has_memory(u64 address) {
    unsigned char resident;
    return mincore(reinterpret_cast<void*>(align_down(address, 4096)), 1, &resident) == 0;
}

/// In a child, which an undefined opcode may end.
bool Host::has_direct_bases() {
    const pid_t child = fork();
    VERIFY(child >= 0);
    if (child == 0) {
        std::signal(SIGILL, SIG_DFL);
        u64 base;
        asm volatile("rdgsbase %0" : "=r"(base));
        _exit(0);
    }
    int status = 0;
    VERIFY(waitpid(child, &status, 0) == child);
    return status == 0;
}

Host::Host() {
    VERIFY(!area);
    unsigned a, b, c, d;
    __cpuid_count(13, 0, a, b, c, d);
    mask_ = a & 0xe7;
    if ((mask_ & 0xe0) != 0xe0)
        mask_ &= 7;
    for (const unsigned component : {2u, 5u, 6u, 7u})
        if (mask_ >> component & 1) {
            __cpuid_count(13, component, a, b, c, d);
            offset_[component] = b;
            VERIFY(a + b <= xsave_bytes);
        }
    void* p = mmap(nullptr, area_bytes + stub_bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    VERIFY(p != MAP_FAILED);
    area = static_cast<Area*>(p);
    std::memset(p, 0, area_bytes);
    area->mxcsr = 0x1f80;

    const auto fixed = [](u64 where, u64 size, int protection, int file, off_t offset) {
        void* q = mmap(reinterpret_cast<void*>(where), size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, offset);
        VERIFY(q == reinterpret_cast<void*>(where));
        return static_cast<u8*>(q);
    };
    const int file = memfd_create("oracle", MFD_CLOEXEC);
    VERIFY(file >= 0 && ftruncate(file, data_size + 2 * 4096) == 0);
    data_ = fixed(data_page, data_size, PROT_READ | PROT_WRITE, file, 0);
    read_only_ = static_cast<u8*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, data_size));
    VERIFY(read_only_ != MAP_FAILED);
    read_only_[0] = 1;
    fixed(read_only_page, 4096, PROT_READ, file, data_size);
    code_ = fixed(code_page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, file, data_size + 4096);
    std::memset(code_, 0xcc, 4096); // a branch ends where it arrives
    close(file);
    build_stubs();

    static u8 stack[1 << 17];
    stack_t alternative{};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    VERIFY(sigaltstack(&alternative, nullptr) == 0);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (const int s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP})
        VERIFY(sigaction(s, &action, nullptr) == 0);
}

Host::~Host() {
    for (const int s : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP})
        std::signal(s, SIG_DFL);
    munmap(data_, data_size);
    munmap(read_only_, 4096);
    munmap(reinterpret_cast<void*>(read_only_page), 4096);
    munmap(code_, 4096);
    munmap(area, area_bytes + stub_bytes);
    area = nullptr;
}

void Host::build_stubs() {
    asmjit::CodeHolder code;
    code.init(asmjit::Environment::host(), reinterpret_cast<u64>(area));
    x::Assembler a(&code);
    const asmjit::Label base = a.newLabel(), exit = a.newLabel();
    a.bind(base);
    for (u64 n = 0; n < area_bytes; n += 8)
        a.embedUInt64(0);
    const x::Gp saved[] = {x::rbx, x::rbp, x::r12, x::r13, x::r14, x::r15};
    const auto gpr = [](unsigned n) { return x::gpq(n); };
    // Entry, at area_bytes.
    for (const x::Gp& r : saved)
        a.push(r);
    a.mov(at(base, offsetof(Area, host_rsp)), x::rsp);
    // The bases go through the system, which may not know that they can change without it.
    const auto system = [&](int what, std::size_t value, bool by_address) {
        a.mov(x::eax, SYS_arch_prctl);
        a.mov(x::edi, what);
        if (by_address)
            a.lea(x::rsi, at(base, value, 0));
        else
            a.mov(x::rsi, at(base, value));
        a.syscall();
    };
    const asmjit::Label own_bases = a.newLabel(), kept_bases = a.newLabel();
    a.cmp(at(base, offsetof(Area, swap_bases)), 0);
    a.je(own_bases);
    system(ARCH_GET_FS, offsetof(Area, host_fs), true);
    system(ARCH_GET_GS, offsetof(Area, host_gs), true);
    system(ARCH_SET_FS, offsetof(Area, in_fs), false);
    system(ARCH_SET_GS, offsetof(Area, in_gs), false);
    a.bind(own_bases);
    a.mov(x::eax, static_cast<u32>(mask_));
    a.xor_(x::edx, x::edx);
    a.xrstor64(at(base, offsetof(Area, in_state), 0));
    a.push(at(base, offsetof(Area, in_flags)));
    a.popfq();
    for (unsigned n = 0; n < 16; ++n)
        a.mov(gpr(n), at(base, offsetof(Area, in_gpr) + 8 * n));
    a.jmp(at(base, offsetof(Area, entry)));
    // Exit: nothing is touched before it is stored.
    a.bind(exit);
    for (unsigned n = 0; n < 16; ++n)
        a.mov(at(base, offsetof(Area, out_gpr) + 8 * n), gpr(n));
    a.mov(x::rsp, at(base, offsetof(Area, host_rsp)));
    a.pushfq();
    a.pop(at(base, offsetof(Area, out_flags)));
    a.push(2);
    a.popfq();
    a.cmp(at(base, offsetof(Area, swap_bases)), 0);
    a.je(kept_bases);
    if (direct_bases_) {
        a.rdfsbase(x::rax);
        a.mov(at(base, offsetof(Area, out_fs)), x::rax);
        a.rdgsbase(x::rax);
        a.mov(at(base, offsetof(Area, out_gs)), x::rax);
    } else {
        system(ARCH_GET_FS, offsetof(Area, out_fs), true);
        system(ARCH_GET_GS, offsetof(Area, out_gs), true);
    }
    system(ARCH_SET_FS, offsetof(Area, host_fs), false);
    system(ARCH_SET_GS, offsetof(Area, host_gs), false);
    a.bind(kept_bases);
    a.mov(x::eax, static_cast<u32>(mask_));
    a.xor_(x::edx, x::edx);
    a.xsave64(at(base, offsetof(Area, out_state), 0));
    a.fninit();
    a.ldmxcsr(at(base, offsetof(Area, mxcsr), 4));
    a.vzeroupper();
    for (unsigned n = std::size(saved); n-- > 0;)
        a.pop(saved[n]);
    a.ret();
    VERIFY(code.flatten() == asmjit::kErrorOk && code.resolveUnresolvedLinks() == asmjit::kErrorOk);
    VERIFY(code.codeSize() <= area_bytes + stub_bytes);
    const auto& buffer = code.sectionById(0)->buffer();
    std::memcpy(reinterpret_cast<u8*>(area) + area_bytes, buffer.data() + area_bytes, buffer.size() - area_bytes);
    area->exit = reinterpret_cast<u64>(area) + code.labelOffset(exit);
}

void Host::put_registers(const Case& c) {
    const Registers& g = c.registers;
    std::copy(g.gpr.begin(), g.gpr.end(), area->in_gpr);
    area->in_flags = g.rflags;
    area->in_fs = g.fs_base;
    area->in_gs = g.gs_base;
    area->swap_bases = sees_bases(c);
    area->entry = g.rip;
    u8* const s = area->in_state;
    std::memcpy(s, g.x87.data(), 5);
    s[5] = 0;
    std::memcpy(s + 6, &g.fop, 2);
    std::memcpy(s + 8, &g.fip, 8);
    std::memcpy(s + 16, &g.fdp, 8);
    std::memcpy(s + 24, &g.mxcsr, 4);
    std::memcpy(s + 32, g.x87.data() + 32, 128);
    for (unsigned n = 0; n < 16; ++n) {
        std::memcpy(s + 160 + 16 * n, g.zmm[n].data(), 16);
        std::memcpy(s + offset_[2] + 16 * n, g.zmm[n].data() + 16, 16);
        if (avx512()) {
            std::memcpy(s + offset_[6] + 32 * n, g.zmm[n].data() + 32, 32);
            std::memcpy(s + offset_[7] + 64 * n, g.zmm[16 + n].data(), 64);
        }
    }
    if (avx512())
        std::memcpy(s + offset_[5], g.k.data(), 64);
    std::memset(s + 512, 0, 64);
    std::memcpy(s + 512, &mask_, 8);
}

void Host::take_registers(Registers& g) const {
    std::copy(std::begin(area->out_gpr), std::end(area->out_gpr), g.gpr.begin());
    g.rflags = area->out_flags;
    if (area->swap_bases) {
        g.fs_base = area->out_fs;
        g.gs_base = area->out_gs;
    }
    const u8* const s = area->out_state;
    u64 present;
    std::memcpy(&present, s + 512, 8);
    g.x87.fill(0);
    g.fop = 0;
    g.fip = g.fdp = 0;
    if (present & 1) {
        std::memcpy(g.x87.data(), s, 5);
        for (unsigned n = 0; n < 8; ++n)
            std::memcpy(g.x87.data() + 32 + 16 * n, s + 32 + 16 * n, 10);
        std::memcpy(&g.fop, s + 6, 2);
        std::memcpy(&g.fip, s + 8, 8);
        std::memcpy(&g.fdp, s + 16, 8);
    } else {
        g.x87[0] = 0x7f;
        g.x87[1] = 0x03;
    }
    std::memcpy(&g.mxcsr, s + 24, 4);
    const auto take = [&](unsigned component, u8* to, unsigned from, unsigned size) {
        if (present >> component & 1)
            std::memcpy(to, s + from, size);
        else
            std::memset(to, 0, size);
    };
    for (unsigned n = 0; n < 16; ++n) {
        take(1, g.zmm[n].data(), 160 + 16 * n, 16);
        take(2, g.zmm[n].data() + 16, offset_[2] + 16 * n, 16);
        if (avx512()) {
            take(6, g.zmm[n].data() + 32, offset_[6] + 32 * n, 32);
            take(7, g.zmm[16 + n].data(), offset_[7] + 64 * n, 64);
        }
    }
    if (avx512())
        take(5, reinterpret_cast<u8*>(g.k.data()), offset_[5], 64);
}

void Host::run(const Case& c, Side& out) {
    std::memcpy(data_, c.memory.data(), data_size);
    std::memcpy(read_only_, c.memory.data() + data_size, 4096);
    std::memset(code_, 0xcc, 64);
    u8* to = code_ + (c.address - code_page);
    std::memcpy(to, c.bytes.data(), c.length);
    to += c.length;
    to[0] = 0xff; // jmp [rip]
    to[1] = 0x25;
    std::memset(to + 2, 0, 4);
    std::memcpy(to + 6, &area->exit, 8);
    put_registers(c);
    out.registers = c.registers;
    area->running = 1;
    reinterpret_cast<void (*)()>(reinterpret_cast<u8*>(area) + area_bytes)();
    const bool trapped = !area->running;
    area->running = 0;
    take_registers(out.registers);
    out.ending = {};
    out.registers.rip = c.address + c.length;
    if (trapped) {
        out.registers.rip = area->rip;
        out.registers.gpr[4] = area->rsp;
        out.registers.rflags = area->flags & ~0x10000ull; // RF comes from the signal
        constexpr u64 db = 1, bp = 3;
        const bool own_trap = c.info.mnemonic == ZYDIS_MNEMONIC_INT3 || c.info.mnemonic == ZYDIS_MNEMONIC_INT1;
        if (own_trap ? area->rip == c.address + c.length : area->rip == c.address && (area->trap == 0 || area->trap > bp)) {
            out.ending.fault = true;
            out.ending.vector = static_cast<u8>(area->trap);
            out.ending.error = static_cast<u32>(area->error);
            if (area->trap == 14) {
                out.ending.cr2 = area->address;
                // Linux claims for addresses that no program can have that the page is present.
                if (area->address >= 0x7fff'ffff'f000)
                    out.ending.error &= ~1u;
            }
        } else if (area->trap == bp) {
            --out.registers.rip; // a branch that reached the INT3s around
        } else if (area->trap == db && area->rip == area->exit) {
            out.registers.rip = c.address + c.length; // TF was set, and the jump to the exit stepped
        } // else a branch to where nothing can be fetched: done, and RIP says where to
    }
    std::memcpy(out.memory.data(), data_, data_size);
    std::memcpy(out.memory.data() + data_size, read_only_, 4096);
}

} // namespace vitrine::oracle
