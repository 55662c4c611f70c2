// SPDX-License-Identifier: Apache-2.0
// The table of VM-entry rules, tried on whatever runs this: for each rule a VMCS that breaks it. Says what came of each on the serial port.
//
// RULE id EXPECTED GOT, where EXPECTED is what the first broken rule of the table leads to on a processor with these capabilities, and
// both are one of: error-N (VMfailValid), invalid (VMfailInvalid), exit-33-Q (a VM-entry failure with its qualification), exit-R (the guest
// was entered). A processor that enters with a broken host state may lose its way at the exit; it is reset then, and CMOS RAM knows which
// rule was next. The guest's EPT maps nothing, so that a guest that is entered leaves at once. Rules about a host outside IA-32e mode are
// tried by such a host (narrow.S).
#include "runtime/vmx.h"
#include "vtx/spec/entry_rules.h"

extern "C" guest::u32 enter_narrow(guest::u64 vmxon_region, guest::u64 vmcs);

namespace guest {

namespace {

using namespace vtx;
using guest::print;

constexpr u64 empty_ept = 0x40'0000; ///< a page of zeros
constexpr u64 pdptes = 0x40'1000;    ///< of a guest with PAE paging whose PDPTEs are in memory
constexpr u8 cmos_mark = 0x60, cmos_next = 0x61, mark = 0xa5; ///< and the byte after cmos_next

u8 cmos(u8 index) {
    out8(0x70, index);
    return in8(0x71);
}

void set_cmos(u8 index, u8 value) {
    out8(0x70, index);
    out8(0x71, value);
}

struct Outcome {
    enum class Kind : u8 { error, invalid, entry_failure, entered } kind;
    u64 number;

    bool operator==(const Outcome&) const = default;
};

void print(Outcome o) {
    static constexpr const char* names[] = {"error-", "invalid", "exit-33-", "exit-"};
    guest::print(names[static_cast<unsigned>(o.kind)]);
    if (o.kind != Outcome::Kind::invalid)
        guest::print(o.number);
}

Outcome of(Failure f) {
    using enum Outcome::Kind;
    switch (f) {
    case Failure::invalid_controls: return {error, 7};
    case Failure::invalid_host_state: return {error, 8};
    case Failure::guest_state: return {entry_failure, entry_failure::other};
    case Failure::guest_pdpte: return {entry_failure, vtx::entry_failure::pdpte};
    case Failure::guest_nmi_with_sti: return {entry_failure, vtx::entry_failure::nmi_with_sti};
    case Failure::guest_link_pointer: return {entry_failure, vtx::entry_failure::link_pointer};
    }
    return {invalid, 0};
}

/// What the table says of these fields.
Outcome expected(const RuleInput& input) {
    const View v(input);
    const Rule* broken = first_broken(control_rules, v);
    if (!broken)
        broken = first_broken(host_rules, v);
    if (!broken)
        broken = first_broken(guest_rules, v);
    return broken ? of(broken->failure) : Outcome{Outcome::Kind::entered, 48};
}

Outcome enter() {
    using enum Outcome::Kind;
    static u64 registers[16];
    switch (vm_enter(1, registers)) {
    case 1: return {invalid, 0};
    case 2: return {error, vmread(F::vm_instruction_error)};
    default: break;
    }
    const u64 reason = vmread(F::exit_reason);
    if (reason & entry_failure_flag)
        return {entry_failure, vmread(F::exit_qualification)};
    return {entered, reason & 0xffff};
}

/// The same by a host in 32-bit protected mode.
Outcome enter_as_narrow_host(u64 vmcs) {
    using enum Outcome::Kind;
    (void)vmclear(vmcs);
    const u32 result = enter_narrow(vmxon_region(), vmcs);
    (void)vmptrld(vmcs);
    return (result & 0xff) == 1 ? Outcome{invalid, 0} : Outcome{error, result >> 8};
}

/// Memory that rules look at. A revision is the processor's own, which need not be Vitrine's.
void write_memory(const RuleInput& input, const u64* fields, u32 revision) {
    const auto field = [fields](F f) { return fields[static_cast<unsigned>(f)]; };
    const auto fact = [&input](Fact f) { return input.facts[static_cast<unsigned>(f)]; };
    constexpr u64 plain_memory = 0x80'0000;
    if (const u64 link = field(F::vmcs_link_pointer); link < plain_memory && link >= 0x1000)
        *reinterpret_cast<volatile u32*>(link) = static_cast<u32>(fact(Fact::link_revision)) ^ vmcs_revision ^ revision;
    if (const u64 page = field(F::virtual_apic_address); page < plain_memory)
        *reinterpret_cast<volatile u8*>(page + 0x80) = static_cast<u8>(fact(Fact::vtpr));
}

void facts_of(RuleInput& input, u64 vmcs) {
    u32 a = 0x8000'0008, b, c, d;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    const auto fact = [&input](Fact f) -> u64& { return input.facts[static_cast<unsigned>(f)]; };
    fact(Fact::physical_bits) = a & 0xff;
    fact(Fact::linear_bits) = a >> 8 & 0xff;
    fact(Fact::long_mode) = 1;
    fact(Fact::cr4_allowed) = rdmsr(vmx_msr::cr4_fixed1);
    fact(Fact::efer_allowed) = 0xd01;
    fact(Fact::debugctl_allowed) = 3;
    fact(Fact::current_vmcs) = vmcs;
}

void try_rule(const Rule& rule, const Capabilities& c, u32 revision) {
    static u64 fields[field_count];
    const u64 vmcs = new_vmcs();
    plain_fields(c, fields, 0x1000);
    fields[static_cast<unsigned>(F::secondary)] |= secondary.enable_ept.mask();
    fields[static_cast<unsigned>(F::eptp)] = empty_ept | 6 | 3 << 3;
    RuleInput input;
    input.fields = fields;
    input.capabilities = &c;
    facts_of(input, vmcs);
    Breaker breaker(fields, input);
    rule.violate(breaker);
    print("RULE ");
    print(rule.id);
    print(" ");
    const bool narrow = !input.facts[static_cast<unsigned>(Fact::long_mode)];
    for (unsigned n = 0; n < 4; ++n) {
        const u64 pdpte = input.facts[static_cast<unsigned>(Fact::pdpte0) + n];
        reinterpret_cast<volatile u64*>(pdptes)[n] = pdpte;
        if (pdpte)
            fields[static_cast<unsigned>(F::guest_cr3)] = pdptes;
    }
    if (!(rule.broken(View(input))))
        return say("not-tried: this processor lacks what the rule is about");
    write_memory(input, fields, revision);
    load_fields(fields);
    const Outcome wanted = expected(input);
    print(wanted);
    print(" ");
    print(narrow ? enter_as_narrow_host(vmcs) : enter());
    print("\n");
    (void)vmclear(vmcs);
}

} // namespace

extern "C" void main64(u32 magic, u64 information);
void main64(u32, u64) {
    begin();
    if (!enter_vmx_operation())
        finish(1);
    const u32 revision = static_cast<u32>(rdmsr(vmx_msr::basic)) & ~(1u << 31);
    const Capabilities c = capabilities();
    if (!secondary.enable_ept(c.secondary)) {
        say("EPT is needed: the guest must not run");
        finish(1);
    }
    for (u64 n = 0; n < 512; ++n)
        reinterpret_cast<volatile u64*>(empty_ept)[n] = 0;
    unsigned first = 0;
    if (cmos(cmos_mark) == mark)
        first = cmos(cmos_next) | cmos(cmos_next + 1) << 8;
    say("RULES begin ", u64{first});
    unsigned index = 0;
    for_each_rule([&](const Rule& rule) {
        if (index++ < first)
            return;
        set_cmos(cmos_next, static_cast<u8>(index));
        set_cmos(cmos_next + 1, static_cast<u8>(index >> 8));
        set_cmos(cmos_mark, mark);
        try_rule(rule, c, revision);
    });
    set_cmos(cmos_mark, 0);
    say("RULES end ", u64{index});
    finish(0);
}

} // namespace guest
