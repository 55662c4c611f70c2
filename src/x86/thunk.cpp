// SPDX-License-Identifier: Apache-2.0
// Builds thunks and keeps their memory.
#include "x86/thunk.h"

#include "base/error.h"

#include <asmjit/x86.h>

#include <csignal>
#include <cstddef>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

namespace vitrine {

namespace {

namespace host = asmjit::x86;
using host::Assembler;

// Registers of a thunk: RDI = State, RSI = memory operand, R10 = where to go on after SIGFPE. See host_form.cpp for R8, R9, R11.
constexpr u8 scratch_reg = 8, scratch_rm = 9, scratch_vvvv = 11;

constexpr u32 host_mxcsr = 0x1f80;

constexpr i32 at_gpr(unsigned n) { return static_cast<i32>(offsetof(State, gpr) + 8 * n); }

constexpr i32 at_vector(unsigned n) { return static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, zmm) + 64 * n); }

constexpr i32 at_mask(unsigned n) { return static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, k) + 8 * n); }

constexpr i32 at_mxcsr = static_cast<i32>(offsetof(State, fpu) + offsetof(FpuState, mxcsr));
constexpr i32 at_status = static_cast<i32>(offsetof(State, status));

struct Moved {
    u8 host = 0, guest = 0;
    bool load = false, store = false;
};

/// The registers that an instruction names, openly or not.
struct Involved {
    u8 vector_load[32]{}, vector_store[32]{}; ///< bytes; 0: not
    u8 mask_load = 0, mask_store = 0;         ///< bit per register
    Moved gprs[4];
    unsigned gpr_count = 0;
    bool upper = false; ///< the instruction leaves something above bit 127 in host registers

    bool collect(const Decoded& d) {
        const bool is_legacy = d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
        const bool pair = d.info.mnemonic == ZYDIS_MNEMONIC_VP2INTERSECTD || d.info.mnemonic == ZYDIS_MNEMONIC_VP2INTERSECTQ;
        const bool is_evex = d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
        for (unsigned n = 0; n < d.info.operand_count; ++n) {
            const ZydisDecodedOperand& o = d.operands[n];
            if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
                continue;
            const bool reads = o.actions & ZYDIS_OPERAND_ACTION_MASK_READ;
            const bool writes = o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
            const unsigned id = static_cast<u8>(ZydisRegisterGetId(o.reg.value));
            const ZydisRegisterClass kind = ZydisRegisterGetClass(o.reg.value);
            switch (kind) {
            case ZYDIS_REGCLASS_XMM:
            case ZYDIS_REGCLASS_YMM:
            case ZYDIS_REGCLASS_ZMM: {
                const u8 width = kind == ZYDIS_REGCLASS_XMM ? 16 : kind == ZYDIS_REGCLASS_YMM ? 32 : 64;
                upper |= width > 16;
                // Legacy and EVEX destinations may keep part of what they held.
                if (reads || is_legacy || is_evex)
                    vector_load[id] = std::max(vector_load[id], width);
                if (writes)
                    vector_store[id] = width;
                break;
            }
            case ZYDIS_REGCLASS_MASK:
                if (id != 0 || o.encoding != ZYDIS_OPERAND_ENCODING_MASK)
                    mask_load |= static_cast<u8>(1 << id);
                if (writes)
                    mask_store |= pair ? static_cast<u8>(3 << (id & ~1u)) : static_cast<u8>(1 << id);
                break;
            case ZYDIS_REGCLASS_GPR16:
            case ZYDIS_REGCLASS_GPR32:
            case ZYDIS_REGCLASS_GPR64: {
                u8 host = static_cast<u8>(id);
                if (o.encoding != ZYDIS_OPERAND_ENCODING_NONE)
                    host = o.encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG  ? scratch_reg
                           : o.encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ? scratch_rm
                                                                           : scratch_vvvv;
                if (gpr_count == std::size(gprs))
                    return false;
                gprs[gpr_count++] = {host, static_cast<u8>(id), true, writes};
                break;
            }
            case ZYDIS_REGCLASS_GPR8:
                return false;
            default:
                break;
            }
        }
        return true;
    }
};

void load_vector(Assembler& a, unsigned n, u8 width, bool legacy) {
    const host::Mem m = host::ptr(host::rdi, at_vector(n));
    if (legacy)
        a.movups(host::xmm(n), m);
    else if (width == 16)
        a.vmovups(host::xmm(n), m);
    else if (width == 32)
        a.vmovups(host::ymm(n), m);
    else
        a.vmovups(host::zmm(n), m);
}

void store_vector(Assembler& a, unsigned n, bool legacy, bool wide) {
    const host::Mem m = host::ptr(host::rdi, at_vector(n));
    if (legacy)
        a.movups(m, host::xmm(n));
    else if (wide)
        a.vmovups(m, host::zmm(n));
    else
        a.vmovups(m, host::ymm(n));
}

void emit(Assembler& a, const HostForm& form, const Involved& in, const ThunkKind& kind, bool legacy) {
    const asmjit::Label fault = a.newLabel(), host_control = a.newLabel();
    if (kind.floating) {
        a.lea(host::r10, host::ptr(fault));
        a.ldmxcsr(host::ptr(host::rdi, at_mxcsr));
    }
    for (unsigned n = 0; n < 32; ++n)
        if (in.vector_load[n])
            load_vector(a, n, in.vector_load[n], legacy);
    for (unsigned n = 0; n < 8; ++n)
        if (in.mask_load >> n & 1)
            a.kmovq(host::k(n), host::ptr(host::rdi, at_mask(n)));
    if (kind.flags_in) {
        a.movzx(host::eax, host::word_ptr(host::rdi, at_status));
        a.add(host::al, 0x7f); // OF
        a.sahf();
    }
    for (unsigned n = 0; n < in.gpr_count; ++n)
        a.mov(host::gpq(in.gprs[n].host), host::ptr(host::rdi, at_gpr(in.gprs[n].guest)));
    a.embed(form.bytes, form.size);
    for (unsigned n = 0; n < in.gpr_count; ++n)
        if (in.gprs[n].store)
            a.mov(host::ptr(host::rdi, at_gpr(in.gprs[n].guest)), host::gpq(in.gprs[n].host));
    for (unsigned n = 0; n < 8; ++n)
        if (in.mask_store >> n & 1)
            a.kmovq(host::ptr(host::rdi, at_mask(n)), host::k(n));
    for (unsigned n = 0; n < 32; ++n)
        if (in.vector_store[n])
            store_vector(a, n, legacy, kind.wide);
    if (kind.flags_out) {
        a.lahf();
        a.seto(host::al);
        a.mov(host::ptr(host::rdi, at_status), host::ax);
    }
    if (in.upper)
        a.vzeroupper();
    if (kind.floating) {
        a.stmxcsr(host::ptr(host::rdi, at_mxcsr));
        a.ldmxcsr(host::ptr(host_control));
    }
    a.xor_(host::eax, host::eax);
    a.ret();
    if (kind.floating) {
        a.bind(fault);
        if (in.upper)
            a.vzeroupper();
        a.stmxcsr(host::ptr(host::rdi, at_mxcsr));
        a.ldmxcsr(host::ptr(host_control));
        a.mov(host::eax, thunk_fault);
        a.ret();
        a.align(asmjit::AlignMode::kData, 4);
        a.bind(host_control);
        a.embedUInt32(host_mxcsr);
    }
}

/// SIGFPE in a thunk: its own recovery address is in R10. The signal frame holds MXCSR with the flags that the host has set.
u64 recover(void*, const HostFault& fault) {
    return fault.signal == SIGFPE ? static_cast<u64>(fault.registers[REG_R10]) : 0;
}

} // namespace

ThunkMemory::ThunkMemory(u64 size) : size_(size) {
    // The same pages twice, to be written at one address and run at another. No file: a limit on the size of files must not matter.
    void* write = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void* run = write == MAP_FAILED ? MAP_FAILED : mremap(write, 0, size, MREMAP_MAYMOVE);
    if (run == MAP_FAILED || mprotect(run, size, PROT_READ | PROT_EXEC) != 0)
        throw std::bad_alloc();
    write_ = static_cast<u8*>(write);
    run_ = static_cast<u8*>(run);
    range_.emplace(run_, size, &recover, nullptr);
}

ThunkMemory::~ThunkMemory() {
    range_.reset();
    munmap(write_, size_);
    munmap(run_, size_);
}

Thunk ThunkMemory::get(const Decoded& d, const ThunkKind& kind) {
    const std::optional<HostForm> form = host_form(d);
    Involved in;
    if (!form || !in.collect(d))
        return nullptr;
    // What the code depends on: the instruction, which general registers go where, and the kind.
    std::string key(reinterpret_cast<const char*>(form->bytes), form->size);
    for (unsigned n = 0; n < in.gpr_count; ++n)
        key += {static_cast<char>(in.gprs[n].host), static_cast<char>(in.gprs[n].guest)};
    key += static_cast<char>(kind.floating | kind.flags_in << 1 | kind.flags_out << 2 | kind.x87 << 3 | kind.wide << 4);
    if (const auto found = thunks_.find(key); found != thunks_.end())
        return reinterpret_cast<Thunk>(run_ + found->second);

    asmjit::CodeHolder code;
    code.init(asmjit::Environment::host());
    Assembler a(&code);
    emit(a, *form, in, kind, d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY);
    VERIFY(code.flatten() == asmjit::kErrorOk && code.resolveUnresolvedLinks() == asmjit::kErrorOk);
    const u64 size = code.codeSize();
    VERIFY(used_ + size <= size_);
    VERIFY(code.copyFlattenedData(write_ + used_, size) == asmjit::kErrorOk);
    const u64 offset = used_;
    used_ += align_up(size, 16);
    thunks_.emplace(std::move(key), offset);
    return reinterpret_cast<Thunk>(run_ + offset);
}

void ThunkMemory::clear() {
    thunks_.clear();
    used_ = 0;
}

} // namespace vitrine
