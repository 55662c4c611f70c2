// SPDX-License-Identifier: Apache-2.0
// Round trips from a guest to its hypervisor and back, many of each kind, between lines on the serial port: bench/vmexit takes the time.
//
// The hypervisor does the least that is right: it looks at the exit reason, steps over the instruction, and resumes.
#include "runtime/vmx.h"
#include "words/bits.h"

asm(".section .text\n"
    "guest_cpuid:     cpuid\n        jmp guest_cpuid\n"
    "guest_vmcall:    vmcall\n       jmp guest_vmcall\n"
    "guest_io:        inb $0x80, %al\n jmp guest_io\n"
    "guest_ept:       movl (%rbx), %eax\n jmp guest_ept\n"
    "guest_interrupt: jmp guest_interrupt\n"
    "guest_hlt:       hlt\n          jmp guest_hlt\n");
extern "C" guest::u8 guest_cpuid[], guest_vmcall[], guest_io[], guest_ept[], guest_interrupt[], guest_hlt[];

namespace guest {

namespace {

using namespace vtx;

constexpr u64 round_trips = 200'000;
constexpr u64 beyond_ept = 0x5000'0000; ///< guest-physical, and linear: EPT maps the first 1 GiB
constexpr u8 vector = 0x40;

volatile u32& apic(u64 offset) { return *reinterpret_cast<volatile u32*>(0xfee0'0000 + offset); }

struct Kind {
    const char* name;
    u8* code;
    u64 reason;
    void (*before)(); ///< each VM entry
    void (*after)();  ///< each VM exit
};

void nothing() {}

/// The next instruction; not every processor gives the length of one that only touched memory.
void skip() { (void)vmwrite(F::guest_rip, vmread(F::guest_rip) + vmread(F::exit_instruction_length)); }

void skip_load() { (void)vmwrite(F::guest_rip, vmread(F::guest_rip) + 2); }

/// An interrupt of its own, pending while the hypervisor has interrupts closed.
void send() { apic(0x300) = 0x4'4000 | vector; }

void end_of_interrupt() { apic(0xb0) = 0; }

const Kind kinds[] = {
    {"cpuid", guest_cpuid, 10, nothing, skip},
    {"vmcall", guest_vmcall, 18, nothing, skip},
    {"io", guest_io, 30, nothing, skip},
    {"ept_violation", guest_ept, 48, nothing, skip_load},
    {"external_interrupt", guest_interrupt, 1, send, end_of_interrupt},
    {"hlt", guest_hlt, 12, nothing, skip},
};

/// The first 1 GiB where it is, in 2-MByte pages of write-back memory.
u64 identity_ept() {
    u64* const root = reinterpret_cast<u64*>(new_page());
    u64* const pdpt = reinterpret_cast<u64*>(new_page());
    u64* const pd = reinterpret_cast<u64*>(new_page());
    root[0] = reinterpret_cast<u64>(pdpt) | 7;
    pdpt[0] = reinterpret_cast<u64>(pd) | 7;
    for (u64 n = 0; n < 512; ++n)
        pd[n] = n << 21 | 0xb7;
    return reinterpret_cast<u64>(root) | 6 | 3 << 3;
}

void measure(const Kind& kind, const Capabilities& c, u64 eptp) {
    static u64 fields[field_count], registers[16];
    const auto at = [](F f) -> u64& { return fields[static_cast<unsigned>(f)]; };
    new_vmcs();
    plain_fields(c, fields, reinterpret_cast<u64>(kind.code));
    at(F::pin_based) |= pin.external_interrupt_exiting.mask();
    at(F::primary) |= primary.unconditional_io_exiting.mask();
    at(F::secondary) |= secondary.enable_ept.mask();
    at(F::exit_controls) |= exiting.acknowledge_interrupt_on_exit.mask();
    at(F::eptp) = eptp;
    at(F::guest_rflags) |= bit(9); // Bochs 2.7 takes an interrupt's exit only where the guest's IF is 1
    if (secondary.enable_vpid(c.secondary)) {
        at(F::secondary) |= secondary.enable_vpid.mask();
        at(F::vpid) = 1;
    }
    load_fields(fields);
    registers[3] = beyond_ept;
    say("VMEXIT ", kind.name, " begin ", round_trips);
    for (u64 n = 0; n < round_trips; ++n) {
        kind.before();
        registers[0] = 0;
        const u64 failed = vm_enter(n == 0, registers);
        const u64 reason = vmread(F::exit_reason);
        if (failed || reason != kind.reason) {
            say("VMEXIT ", kind.name, " failed: ", failed ? "the VM entry" : "exit reason ", failed ? vmread(F::vm_instruction_error) : reason);
            finish(1);
        }
        kind.after();
    }
    say("VMEXIT ", kind.name, " end");
}

} // namespace

extern "C" void main64(u32 magic, u64 information);
void main64(u32, u64) {
    begin();
    if (!enter_vmx_operation())
        finish(1);
    const Capabilities c = capabilities();
    if (!secondary.enable_ept(c.secondary)) {
        say("VMEXIT failed: the processor has no EPT");
        finish(1);
    }
    out8(0x21, 0xff); // no interrupt but its own: both 8259s are masked
    out8(0xa1, 0xff);
    apic(0xf0) = 0x1ff;
    const u64 eptp = identity_ept();
    for (const Kind& kind : kinds)
        measure(kind, c, eptp);
    say("VMEXIT done");
    finish(0);
}

} // namespace guest
