// SPDX-License-Identifier: Apache-2.0
// For tests: one processor with RAM, a flat 64-bit identity mapping and nothing else, and a way to run a few bytes on it.
#pragma once

#include "x86/armed_lines.h"
#include "x86/code_cache.h"
#include "x86/cpu.h"
#include "x86/model.h"
#include "x86/stale.h"

#include <initializer_list>
#include <memory>
#include <span>
#include <utility>

namespace vitrine {

/// A local APIC that has no registers: interrupts are set by the test.
class NoApic final : public ApicPort {
public:
    u8 acknowledge() override { return vector; }
    u64 base() const override { return 0xfee00900; }
    bool set_base(u64) override { return true; }
    bool covers(Physical) const override { return false; }
    void access(Access&) override {}
    bool read_msr(u32, u64&) override { return false; }
    bool write_msr(u32, u64) override { return false; }
    void notify(u32 destination, u8 notification) override { notified = {destination, notification}; }
    u8 cr8() const override { return task_priority; }
    void set_cr8(u8 value) override { task_priority = value; }
    void tsc_offset_changed(u64) override {}
    void reset(Reset) override {}
    u8 vector = 0x20, task_priority = 0;
    std::pair<u32, u8> notified{}; ///< the last IPI that the processor sent by itself
};

/// RAM of 16 MiB, identity-mapped by 2 MiB pages at 10000h (all of it user-accessible and writable).
/// Code is put at 100000h; the stack ends at 200000h; the rest is the test's.
class BareMachine {
public:
    static constexpr u64 tables = 0x10000, code_at = 0x100000, stack_top = 0x200000, data_at = 0x300000;

    /// `stale`: translations are kept as long as the architecture permits.
    explicit BareMachine(std::string_view model_name = "max", u64 host_code = CodeCache::default_host_code, bool stale = false)
        : space(Space::create(16_MiB, glass).value()), model(std::move(find_cpu_model(model_name)).value()),
          code(*space, model, glass, host_code), armed(*space), tables_watch(stale ? std::make_unique<TableWatch>(*space) : nullptr),
          cpu({.index = 0, .space = *space, .clock = clock, .glass = glass, .code = code, .armed = armed, .model = model, .tables = tables_watch.get()}) {
        cpu.connect(apic);
        write<u64>(tables, (tables + 0x1000) | 7);
        write<u64>(tables + 0x1000, (tables + 0x2000) | 7);
        for (u64 i = 0; i < 8; ++i)
            write<u64>(tables + 0x2000 + 8 * i, i * 2_MiB | 0xe7);
        long_mode(0);
    }

    /// 64-bit mode at the given privilege, interrupts off, everything of SSE and AVX enabled.
    void long_mode(u8 cpl) {
        cpu.cr0 = cr0::pe | cr0::pg | cr0::ne | cr0::et | cr0::mp | cr0::wp;
        cpu.cr3 = tables;
        cpu.cr4 = cr4::pae | cr4::osfxsr | cr4::osxmmexcpt | cr4::osxsave;
        cpu.efer = efer::sce | efer::lme | efer::lma | efer::nxe;
        cpu.xcr0 = xcr0_supported(model) & 0xe7;
        const u32 dpl = u32{cpl} << 5;
        cpu.segments[cs] = {.base = 0, .limit = 0xffff'ffff, .rights = 0xa09b | dpl, .selector = static_cast<u16>(0x10 | cpl)};
        for (const SegmentName s : {ss, ds, es, fs, gs})
            cpu.segments[s] = {.base = 0, .limit = 0xffff'ffff, .rights = 0xc093 | dpl, .selector = static_cast<u16>(0x18 | cpl)};
        cpu.cpl = cpl;
        cpu.set_rflags(2);
        cpu.gpr[rsp] = stack_top;
        cpu.rip = code_at;
        cpu.mode_changed();
    }

    template <class T> void write(u64 at, T value) { space->write<T>(Physical{at}, value, cpu.requester()); }

    template <class T> T read(u64 at) { return space->read<T>(Physical{at}, cpu.requester()); }

    void put(u64 at, std::span<const u8> bytes) { space->write(Physical{at}, bytes, cpu.requester()); }

    void put(u64 at, std::initializer_list<u8> bytes) { put(at, std::span<const u8>(bytes.begin(), bytes.size())); }

    /// Runs at most `count` instructions from rip.
    RunEnd run(u64 count) {
        u64 used = 0;
        const RunEnd end = cpu.run(count, used);
        clock.advance_to(clock.now() + used);
        return end;
    }

    /// Puts the bytes at `code_at` and runs `count` instructions of them.
    RunEnd run(std::initializer_list<u8> bytes, u64 count = 1) {
        put(code_at, bytes);
        cpu.rip = code_at;
        return run(count);
    }

    Glass glass;
    Clock clock;
    std::unique_ptr<Space> space;
    CpuModel model;
    CodeCache code;
    ArmedLines armed;
    std::unique_ptr<TableWatch> tables_watch;
    NoApic apic;
    Cpu cpu;
};

} // namespace vitrine
