// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: a hypervisor that means no good, made of choices that somebody else supplies.
#pragma once

#include "base/choices.h"
#include "base/saved_state.h"
#include "vtx/vmx_machine.h"

#include <array>
#include <utility>
#include <vector>

namespace vitrine::vtx {

class HostileHypervisor : public VmxMachine {
public:
    explicit HostileHypervisor(Choices& choices) : choices_(choices) {
        if (choice(8) != 0) {
            begin();
            set_up_guest();
        }
        if (choice(2) == 0) {
            set_up_ept();
            set_up_areas();
        }
    }

    /// One thing that a hypervisor may do, rightly or wrongly.
    void act() {
        using Act = void (HostileHypervisor::*)();
        constexpr Act acts[] = {
            &HostileHypervisor::write_field,  &HostileHypervisor::write_field,   &HostileHypervisor::write_field, &HostileHypervisor::read_field,
            &HostileHypervisor::flip_control, &HostileHypervisor::flip_control,  &HostileHypervisor::poke,        &HostileHypervisor::poke,
            &HostileHypervisor::point,        &HostileHypervisor::invalidate,    &HostileHypervisor::enter,       &HostileHypervisor::enter,
            &HostileHypervisor::enter,        &HostileHypervisor::go_on,         &HostileHypervisor::signal,      &HostileHypervisor::set_up_ept,
            &HostileHypervisor::recover,      &HostileHypervisor::set_up_anew,   &HostileHypervisor::plain,       &HostileHypervisor::set_up_areas,
            &HostileHypervisor::restore,
        };
        (this->*acts[choice(std::size(acts))])();
        after();
    }

private:
    static constexpr u64 pages = 0x500000, page_count = 32, ept = 0x600000, ram = 16_MiB;

    unsigned choice(u64 end) { return static_cast<unsigned>(choices_.below(end)); }

    /// A page of its own, a place in RAM, a device, the end of RAM or of physical memory, or anything.
    u64 address() {
        switch (choice(8)) {
        case 0: return choices_.any();
        case 1: return choices_.below(ram);
        case 2: return 0xfee0'0000 + choices_.below(0x1000);
        case 3: return ram - choices_.below(16);
        case 4: return (u64{1} << 46) - choices_.below(0x2000);
        default: return pages + choices_.below(page_count) * page_size + (choice(8) == 0 ? choices_.below(page_size) : 0);
        }
    }

    u64 value(u64 now) {
        switch (choice(6)) {
        case 0: return choices_.any();
        case 1: return now ^ bit(choice(64));
        case 2: return choices_.below(256);
        case 3: return ~u64{0} >> choice(64);
        default: return address();
        }
    }

    F field() { return static_cast<F>(choice(field_count)); }

    void write_field() {
        if (choice(16) == 0) { // an encoding that may not exist
            m.cpu.gpr[rax] = choices_.below(0x8000);
            m.cpu.gpr[rbx] = choices_.any();
            m.run({0x0f, 0x79, 0xc3});
            return;
        }
        const F f = field();
        vmwrite(f, value(unit.vmcs()[f]));
    }

    void read_field() {
        (void)vmread(field());
        m.cpu.gpr[rax] = choices_.below(0x8000);
        m.run({0x0f, 0x78, 0xc3});
    }

    /// Keeps the controls within what is allowed, so that an entry comes further.
    void flip_control() {
        const Capabilities& k = unit.capabilities();
        const std::pair<F, u64> words[] = {{F::pin_based, k.pin_based_msr()}, {F::primary, k.primary_msr()}, {F::secondary, k.secondary_msr()},
                                           {F::exit_controls, k.exit_msr()}, {F::entry_controls, k.entry_msr()}};
        const auto [f, allowed] = words[choice(std::size(words))];
        vmwrite(f, ((unit.vmcs()[f] ^ bit(choice(32))) | (allowed & 0xffff'ffff)) & allowed >> 32);
    }

    /// A word of whatever lies in memory: regions, MSR areas, bitmaps, tables, descriptors.
    void poke() {
        const u64 bases[] = {pages, ept, BareMachine::tables, guest_code, vmcs_region};
        const u64 at = bases[choice(std::size(bases))] + choices_.below(page_count * page_size / 8) * 8;
        m.write<u64>(at, choice(3) == 0 ? choices_.any() : address() | choices_.below(4096));
    }

    void point() {
        switch (choice(4)) {
        case 0: return run_with_pointer({0xf3, 0x0f, 0xc7, 0x37}, address()); // vmxon
        case 1: return run_with_pointer({0x66, 0x0f, 0xc7, 0x37}, address()); // vmclear
        case 2: {
            const u64 at = address();
            if (choice(2) == 0 && at < ram - 8)
                m.write<u32>(at, vmcs_revision | (choice(4) == 0 ? Vmcs::shadow_flag : 0));
            return run_with_pointer({0x0f, 0xc7, 0x37}, at); // vmptrld
        }
        default: m.cpu.gpr[rdi] = address(); m.run({0x0f, 0xc7, 0x3f}); // vmptrst
        }
    }

    void invalidate() {
        m.cpu.gpr[rax] = choice(4) == 0 ? choices_.any() : choices_.below(5);
        m.write<u64>(operand + 8, choice(2) == 0 ? address() : 0);
        if (choice(2) == 0)
            run_with_pointer({0x66, 0x0f, 0x38, 0x80, 0x07}, choice(2) == 0 ? unit.vmcs()[F::eptp] : address()); // invept rax, [rdi]
        else
            run_with_pointer({0x66, 0x0f, 0x38, 0x81, 0x07}, choices_.below(4)); // invvpid rax, [rdi]
    }

    void enter() {
        write_guest();
        for (u64& r : m.cpu.gpr)
            r = choice(3) == 0 ? choices_.any() : address();
        if (choice(2) == 0)
            launch();
        else
            resume();
        m.run(choices_.below(64));
    }

    void go_on() { m.run(choices_.below(200)); }

    /// What guests do that leaves for the hypervisor, and some that does not.
    void write_guest() {
        using Line = std::array<u8, 8>;
        constexpr Line lines[] = {
            {0x0f, 0xa2},                                     // cpuid
            {0xf4},                                           // hlt
            {0x0f, 0x01, 0xc1},                               // vmcall
            {0x0f, 0x01, 0xd4},                               // vmfunc
            {0xe6, 0x20},                                     // out 20h, al
            {0x6c},                                           // insb
            {0x0f, 0x32},                                     // rdmsr
            {0x0f, 0x30},                                     // wrmsr
            {0x0f, 0x20, 0xc0},                               // mov rax, cr0
            {0x0f, 0x22, 0xd8},                               // mov cr3, rax
            {0x0f, 0x22, 0xe0},                               // mov cr4, rax
            {0x44, 0x0f, 0x22, 0xc0},                         // mov cr8, rax
            {0x0f, 0x21, 0xf8},                               // mov rax, dr7
            {0x0f, 0x01, 0x38},                               // invlpg [rax]
            {0x48, 0x8b, 0x03},                               // mov rax, [rbx]
            {0x48, 0x89, 0x03},                               // mov [rbx], rax
            {0xf0, 0x48, 0x0f, 0xc1, 0x03},                   // lock xadd [rbx], rax
            {0xf3, 0x90},                                     // pause
            {0x0f, 0x31},                                     // rdtsc
            {0x0f, 0x01, 0x13},                               // lgdt [rbx]
            {0x0f, 0x00, 0x03},                               // sldt [rbx]
            {0xcd, 0x30},                                     // int 30h
            {0x0f, 0x0b},                                     // ud2
            {0x0f, 0x01, 0xd1},                               // xsetbv
            {0x0f, 0x01, 0xc8},                               // monitor
            {0x0f, 0x01, 0xc9},                               // mwait
            {0x48, 0xcf},                                     // iretq
            {0xf3, 0x48, 0xa5},                               // rep movsq
            {0x0f, 0xc7, 0xf8},                               // rdseed eax
            {0xfb},                                           // sti
            {0x9d},                                           // popfq
            {0x67, 0xa1, 0x00, 0x00, 0xe0, 0xfe},             // mov eax, [0fee0'0000h]
            {0x0f, 0x78, 0xc3},                               // vmread rbx, rax
            {0x0f, 0x79, 0xc3},                               // vmwrite rax, rbx
        };
        u64 at = guest_code;
        for (unsigned n = choice(12); n > 0; --n) {
            Line line = lines[choice(std::size(lines))];
            if (choice(16) == 0)
                line[choice(8)] = static_cast<u8>(choices_.any());
            u64 size = line.size();
            while (size > 1 && line[size - 1] == 0)
                --size;
            m.put(at, std::span(line).first(size));
            at += size;
        }
        m.put(at, {0xf4});
    }

    void signal() {
        switch (choice(5)) {
        case 0: m.apic.vector = static_cast<u8>(choices_.any()); return m.cpu.set_interrupt(true);
        case 1: return m.cpu.set_interrupt(false);
        case 2: return m.cpu.nmi();
        case 3: return m.cpu.init();
        default: return m.cpu.sipi(static_cast<u8>(choices_.any()));
        }
    }

    /// Tables that map all of RAM address for address, with here and there an entry that is wrong.
    void set_up_ept() {
        constexpr u64 all = 7, write_back = 6 << 3, large = bit(7);
        m.write<u64>(ept, (ept + 0x1000) | all);
        m.write<u64>(ept + 0x1000, (ept + 0x2000) | all);
        for (u64 n = 0; n < 8; ++n)
            m.write<u64>(ept + 0x2000 + 8 * n, n * 2_MiB | large | write_back | all);
        if (choice(2) == 0) { // one page of the first 2 MiB by a table of its own
            m.write<u64>(ept + 0x2000, (ept + 0x3000) | all);
            for (u64 n = 0; n < 512; ++n)
                m.write<u64>(ept + 0x3000 + 8 * n, n * page_size | write_back | all);
        }
        for (unsigned n = choice(4); n > 0; --n)
            m.write<u64>(ept + choices_.below(0x4000 / 8) * 8, choice(2) == 0 ? choices_.any() : (address() & ~0xfffull) | choices_.below(0x1000));
        vmwrite(F::eptp, ept | 6 | 3 << 3 | (choice(2) == 0 ? bit(6) : 0));
        vmwrite(F::primary, unit.vmcs()[F::primary] | primary.activate_secondary_controls.mask());
        vmwrite(F::secondary, unit.vmcs()[F::secondary] | secondary.enable_ept.mask() | secondary.enable_vpid.mask());
        vmwrite(F::vpid, 1 + choices_.below(3));
    }

    /// Every structure that the VMCS points to, in a page of its own.
    void set_up_areas() {
        for (unsigned n = 0; n < field_count; ++n) {
            const auto f = static_cast<F>(n);
            const std::string_view name = row(f).name;
            if (f != F::eptp && (name.ends_with("address") || name.find("bitmap") != name.npos) && row(f).encoding.area() == FieldArea::control &&
                f != F::exception_bitmap)
                vmwrite(f, pages + (3 + n % (page_count - 3)) * page_size);
        }
        for (const F f : {F::entry_msr_load_count, F::exit_msr_load_count, F::exit_msr_store_count})
            vmwrite(f, choice(8) == 0 ? choices_.any() : choices_.below(4));
    }

    /// Back to a hypervisor's own world, whatever the last exit has loaded.
    void recover() {
        m.cpu.clear_stop();
        m.cpu.activity = Activity::active;
        if (!unit.in_non_root()) {
            m.long_mode(0);
            m.cpu.cr4 |= cr4::vmxe;
            m.cpu.mode_changed();
        }
    }

    void set_up_anew() {
        unit.reset();
        recover();
        const auto low = [](u64 n) { return n * page_size; };
        run_with_pointer({0xf3, 0x0f, 0xc7, 0x37}, pages);
        m.write<u32>(pages + low(1), vmcs_revision);
        run_with_pointer({0x66, 0x0f, 0xc7, 0x37}, pages + low(1));
        run_with_pointer({0x0f, 0xc7, 0x37}, pages + low(1));
        set_up_guest();
    }

    void plain() {
        switch (choice(3)) {
        case 0: m.run({0x0f, 0x01, 0xc4}); return; // vmxoff
        case 1: m.run({0x0f, 0x01, 0xc1}); return; // vmcall
        default: (void)unit.explain_entry();
        }
    }

    /// The unit's state with a few bytes exchanged: refused, or a unit that can be used.
    void restore() {
        if (choice(4) != 0)
            return;
        std::vector<u8> data = testing_support::saved(unit);
        for (unsigned n = choice(8); n > 0; --n)
            data[choices_.below(data.size())] = static_cast<u8>(choices_.any());
        (void)testing_support::load(unit, data);
    }

    /// A stop or a halt is no reason to end.
    void after() {
        if (m.cpu.stop_reason().kind != StopKind::none || m.cpu.activity != Activity::active || choice(8) == 0)
            recover();
    }

    Choices& choices_;
};

} // namespace vitrine::vtx
