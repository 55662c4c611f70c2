// SPDX-License-Identifier: Apache-2.0
// A hypervisor that moves a page of its guest, and its guest, which reads the page before and after. The command line
// says by which table and what is done about the translations that the processor may have kept:
//
//   ept  the entry is one of EPT; INVEPT is needed       vpid  it is the guest's own, without EPT but with a VPID;
//   INVVPID is needed !    the needed instruction is left out              ?     the other one is executed in its place
//
// The verdict is 0 when the guest then read the page's new contents, 1 when it read the old ones.
#include "runtime/vmx.h"
#include "words/bits.h"

asm(".section .text\n"
    "guest_read:   movq (%rbx), %rax\n"
    "              hlt\n"
    // void change_entry(u64* entry, u64 value): the store that must be followed by an invalidation.
    ".globl change_entry\n"
    "change_entry: movq %rsi, (%rdi)\n"
    "              ret\n");
extern "C" guest::u8 guest_read[];
extern "C" void change_entry(guest::u64* entry, guest::u64 value);

namespace guest {

namespace {

using namespace vtx;

constexpr u64 window = 0x80'0000, vpid = 1;
constexpr u64 ept_table = 7, ept_page = 0x37, ept_large = 0xb7;          ///< RWX; write-back; PS
constexpr u64 guest_table = 0x03, guest_page = 0x63, guest_large = 0xe3; ///< P, RW; A, D; PS

/// A walk of four levels to the first 1 GiB where it is, by 2-MByte pages but for the one at `window`. Its first entry
/// is `hole`.
struct Tables {
    u64 root = 0;
    u64* hole = nullptr;

    Tables(u64 table, u64 page, u64 large) {
        u64* levels[4];
        for (u64*& level : levels)
            level = reinterpret_cast<u64*>(new_page());
        const auto at = [&](unsigned n) { return reinterpret_cast<u64>(levels[n]); };
        levels[0][0] = at(1) | table;
        levels[1][0] = at(2) | table;
        for (u64 n = 0; n < 512; ++n) {
            levels[2][n] = n << 21 | large;
            levels[3][n] = (window + n * 4096) | page;
        }
        levels[2][window >> 21] = at(3) | table;
        root = at(0);
        hole = levels[3];
    }
};

void invept(u64 eptp) {
    const u64 descriptor[2] = {eptp, 0};
    asm volatile("invept %0, %1" : : "m"(descriptor), "r"(u64{1}) : "cc", "memory");
}

void invvpid() {
    const u64 descriptor[2] = {vpid, window};
    asm volatile("invvpid %0, %1" : : "m"(descriptor), "r"(u64{0}) : "cc", "memory");
}

bool contains(const char* text, const char* word) {
    for (; *text; ++text) {
        unsigned n = 0;
        while (word[n] && text[n] == word[n])
            ++n;
        if (!word[n])
            return true;
    }
    return false;
}

/// What the guest reads at `window`.
u64 guest_reads(bool first) {
    static u64 registers[16];
    registers[3] = window;
    (void)vmwrite(F::guest_rip, reinterpret_cast<u64>(guest_read));
    if (vm_enter(first, registers) || vmread(F::exit_reason) != 12) {
        say("the guest did not come to its HLT: exit reason ", vmread(F::exit_reason), ", error ",
            vmread(F::vm_instruction_error));
        finish(0x7d);
    }
    return registers[0];
}

} // namespace

extern "C" void main64(u32 magic, u64 information);

void main64(u32, u64 information) {
    begin();
    const u32* const info = reinterpret_cast<const u32*>(information);
    const char* const line = info[0] & 4 ? reinterpret_cast<const char*>(u64{info[4]}) : "";
    const bool with_ept = contains(line, "ept"), forget = contains(line, "!"), other = contains(line, "?");
    if (!enter_vmx_operation())
        finish(0x7c);
    const Capabilities c = capabilities();
    u64* const before = reinterpret_cast<u64*>(new_page());
    u64* const after = reinterpret_cast<u64*>(new_page());
    before[0] = 1;
    after[0] = 2;
    static u64 fields[field_count];
    const auto at = [](F f) -> u64& { return fields[static_cast<unsigned>(f)]; };
    new_vmcs();
    plain_fields(c, fields, 0);
    const Tables tables =
        with_ept ? Tables(ept_table, ept_page, ept_large) : Tables(guest_table, guest_page, guest_large);
    const u64 rights = with_ept ? ept_page : guest_page, eptp = tables.root | 6 | 3 << 3;
    at(F::secondary) |= secondary.enable_vpid.mask() | (with_ept ? secondary.enable_ept.mask() : 0);
    at(F::vpid) = vpid;
    (with_ept ? at(F::eptp) : at(F::guest_cr3)) = with_ept ? eptp : tables.root;
    load_fields(fields);

    *tables.hole = reinterpret_cast<u64>(before) | rights;
    if (guest_reads(true) != before[0])
        finish(0x7b);
    change_entry(tables.hole, reinterpret_cast<u64>(after) | rights);
    if (!forget) {
        if (with_ept != other)
            invept(eptp);
        else
            invvpid();
    }
    finish(guest_reads(false) == after[0] ? 0 : 1);
}

} // namespace guest
