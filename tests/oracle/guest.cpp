// SPDX-License-Identifier: Apache-2.0
// Page tables for the case's addresses, and exceptions taken through the seam that a monitor would use.
#include "guest.h"

namespace vitrine::oracle {

namespace {

constexpr u64 present = 1, writable = 2, user = 4, accessed_dirty = 0x60, no_execute = 1ull << 63;

} // namespace

Guest::Guest(bool translated, unsigned code_pages) : owner_(std::make_unique<BareMachine>("max")), machine_(*owner_) {
    if (translated) {
        translator_ = std::make_unique<jit::Translator>(16 << 20);
        translator_->prove_blocks();
        machine_.code.connect(translator_.get());
        machine_.cpu.connect(*translator_);
    }
    BareMachine& m = machine_;
    // PML4, PDPT, page directory; a page table each for data and code.
    const u64 pml4 = tables_at, pdpt = tables_at + 0x1000, pd = tables_at + 0x2000, data_table = tables_at + 0x3000, code_table = tables_at + 0x4000;
    const u64 link = present | writable | user | accessed_dirty;
    m.write<u64>(pml4, pdpt | link);
    m.write<u64>(pdpt, pd | link);
    m.write<u64>(pd + 8 * (data_page >> 21), data_table | link);
    m.write<u64>(pd + 8 * (code_page >> 21), code_table | link);
    const auto map = [&](u64 table, u64 linear, u64 physical, u64 rights) {
        m.write<u64>(table + 8 * (linear >> 12 & 511), physical | present | user | accessed_dirty | rights);
    };
    for (unsigned n = 0; n < data_size / 4096; ++n)
        map(data_table, data_page + 4096 * n, data_at + 4096 * n, writable | no_execute);
    map(data_table, read_only_page, data_at + data_size, no_execute);
    for (u64 n = 0; n < code_pages; ++n)
        map(code_table, code_page + 4096 * n, code_at + 4096 * n, writable);
    m.long_mode(3);
    m.cpu.cr3 = pml4;
    m.cpu.cr0 |= cr0::am;
    m.cpu.cr4 |= cr4::fsgsbase;
    m.cpu.mode_changed();
    m.cpu.interceptor = this;
    m.cpu.intercepts = bit(static_cast<unsigned>(Intercept::exception));
}

bool Guest::event(Cpu& cpu, const Event& event, const Event*) {
    happened_ = true;
    event_ = event;
    cpu.interrupt_slice();
    return true;
}

/// Flat segments and a 64-bit code segment, or what the case says of compatibility mode.
void Guest::put_segments(const Case& c) {
    Cpu& cpu = machine_.cpu;
    const u32 code = c.bits == 64 ? 0xa0fb : c.bits == 32 ? 0xc0fb : 0x00fb;
    cpu.segments[cs] = {.base = 0, .limit = 0xffff'ffff, .rights = code, .selector = 0x13};
    for (const SegmentName s : {ss, ds, es, fs, gs})
        cpu.segments[s] = {.base = 0, .limit = 0xffff'ffff, .rights = 0xc0f3, .selector = 0x1b};
    if (c.bits != 64)
        for (const SegmentName s : {es, cs, ss, ds, fs, gs}) {
            cpu.segments[s].base = c.bases[s];
            cpu.segments[s].limit = c.limits[s];
            if (s != cs && c.limits[s] <= 0xfffff)
                cpu.segments[s].rights = 0x00f3;
        }
    cpu.segments[fs].base = c.registers.fs_base;
    cpu.segments[gs].base = c.registers.gs_base;
}

void Guest::put_registers(const Case& c) {
    const Registers& g = c.registers;
    Cpu& cpu = machine_.cpu;
    std::copy(g.gpr.begin(), g.gpr.end(), cpu.gpr.begin());
    cpu.rip = g.rip;
    cpu.set_rflags(g.rflags);
    put_segments(c);
    cpu.drop_x87();
    cpu.fpu.zmm = g.zmm;
    cpu.fpu.k = g.k;
    cpu.fpu.mxcsr = g.mxcsr;
    cpu.fpu.x87.fill(0);
    std::memcpy(cpu.fpu.x87.data(), g.x87.data(), 5);
    for (unsigned n = 0; n < 8; ++n)
        std::memcpy(cpu.fpu.x87.data() + 32 + 16 * n, g.x87.data() + 32 + 16 * n, 10);
    cpu.fpu.fip = g.fip;
    cpu.fpu.fdp = g.fdp;
    cpu.fpu.fop = g.fop;
    cpu.mode_changed();
}

void Guest::take_registers(Registers& g) {
    Cpu& cpu = machine_.cpu;
    std::copy(cpu.gpr.begin(), cpu.gpr.begin() + 16, g.gpr.begin());
    g.rip = cpu.rip;
    g.rflags = cpu.rflags();
    g.fs_base = cpu.segments[fs].base;
    g.gs_base = cpu.segments[gs].base;
    g.zmm = cpu.fpu.zmm;
    g.k = cpu.fpu.k;
    g.mxcsr = cpu.fpu.mxcsr;
    g.x87 = cpu.fpu.x87;
    g.fip = cpu.fpu.fip;
    g.fdp = cpu.fpu.fdp;
    g.fop = cpu.fpu.fop;
}

void Guest::put_code(u64 address, std::span<const u8> bytes, bool jump_behind) {
    std::array<u8, 320> code;
    code.fill(0xcc);
    constexpr u64 before = 64;
    const u64 from = address - code_page < before ? address - code_page : before;
    std::memcpy(code.data() + from, bytes.data(), bytes.size());
    if (jump_behind) { // JMP to itself
        code[from + bytes.size()] = 0xeb;
        code[from + bytes.size() + 1] = 0xfe;
    }
    address_ = address;
    machine_.put(code_at + (address - code_page) - from, code);
}

/// The block at rip, which is where the code was put.
Block* Guest::known_block() {
    Cpu& cpu = machine_.cpu;
    const Physical start{code_at + (address_ - code_page)};
    const u8* host = at(start.value);
    Block* block = cpu.code().find(host, cpu.code_mode().key());
    bool needs_tail = false;
    if (!block)
        block = cpu.code().build(start, cpu.code_mode(), host, static_cast<unsigned>(page_size - start.page_offset()), nullptr, {}, needs_tail);
    return block;
}

bool Guest::translate(bool paths) {
    if (!translator_ || !jit::Emitter::takes(machine_.cpu.code_mode()))
        return false;
    Block* block = known_block();
    translator_->between_blocks();
    if (!block)
        return false;
    if (paths) {
        Block* const seen[] = {block->followers[0], block->followers[1]};
        for (Block* first : seen)
            for (Block* b : {first, first->followers[0], first->followers[1]})
                if (b->host && b != block)
                    b->heat = TranslatorPort::hot - 1; // so that it is taken into a path, or translated when it is met
    }
    if (!block->code)
        translator_->translate(machine_.cpu, *block);
    return block->code != nullptr;
}

bool Guest::run(const Case& c, Side& out, std::string& why) {
    Cpu& cpu = machine_.cpu;
    std::memcpy(at(data_at), c.memory.data(), memory_size);
    put_registers(c);
    const bool translated = translator_ && jit::Emitter::takes(cpu.code_mode());
    put_code(c.address, std::span(c.bytes).first(c.length), translated);
    happened_ = false;
    u64 count = 1;
    if (translated && !(c.registers.rflags & rflags::tf))
        if (translate(false))
            count = known_block()->instructions.size(); // with the jump to itself behind it, unless it ends its block
    const bool repeats = c.info.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    for (unsigned n = 0;; ++n) {
        if (machine_.run(count) == RunEnd::stopped) {
            why = cpu.stop_reason().text;
            return false;
        }
        if (happened_ || !repeats || cpu.rip != c.registers.rip || n == 1000)
            break;
    }
    take(out);
    return true;
}

void Guest::put_block(const Setting& setting, const Case& begin, std::span<const u8> bytes) {
    setting.enter(machine_);
    std::memcpy(at(data_at), begin.memory.data(), memory_size);
    put_code(begin.address, bytes, true);
    put_registers(begin);
    Cpu& cpu = machine_.cpu;
    if (!setting.program)
        for (const SegmentName s : {es, cs, ss, ds, fs, gs})
            cpu.segments[s].rights = (cpu.segments[s].rights & ~0x60u) | u32{cpu.cpl} << 5;
    cpu.sti_shadow = cpu.mov_ss_shadow = false;
    cpu.mode_changed();
    cpu.redirected();
    happened_ = false;
}

bool Guest::go(u64 count) {
    const RunEnd end = machine_.run(count);
    return end == RunEnd::budget || end == RunEnd::yield || happened_;
}

void Guest::take(Side& out) {
    take_registers(out.registers);
    out.ending = {};
    if (happened_) {
        out.ending.fault = true;
        out.ending.vector = static_cast<u8>(event_.vector);
        out.ending.error = event_.has_error ? event_.error : 0;
        out.ending.cr2 = event_.vector == Vector::pf ? event_.cr2 : 0;
        if (event_.kind != EventKind::hardware_exception)
            out.registers.rip += event_.instruction_length;
    }
    std::memcpy(out.memory.data(), at(data_at), memory_size);
}

} // namespace vitrine::oracle
