// SPDX-License-Identifier: Apache-2.0
// Four handlers of a few bytes, and 256 vectors to them.
#include "firmware/legacy_interrupts.h"

#include "firmware/bytes.h"
#include "firmware/memory_map.h"

namespace vitrine::firmware {

namespace {

constexpr u64 handlers = low_memory::end - 0x200;
constexpr u16 segment = static_cast<u16>(low_memory::bios >> 4);

/// Handlers in one piece of code; the offsets say where each begins.
struct Code {
    Bytes bytes;
    u16 nothing, tick, first_line, second_line;
};

Code assemble() {
    Code c{};
    const auto here = [&] { return static_cast<u16>(handlers - low_memory::bios + c.bytes.size()); };
    c.nothing = here();
    c.bytes.byte(0xcf); // iret
    c.tick = here();
    for (const u8 byte : {0x50, 0x1e,                               // push ax; push ds
                          0xb8, 0x40, 0x00, 0x8e, 0xd8,             // mov ax, 40h; mov ds, ax
                          0x66, 0xff, 0x06, 0x6c, 0x00,             // inc dword [6ch]: ticks since midnight
                          0xb0, 0x20, 0xe6, 0x20,                   // mov al, 20h; out 20h, al: end of interrupt
                          0x1f, 0x58, 0xcf})                        // pop ds; pop ax; iret
        c.bytes.byte(byte);
    c.second_line = here();
    for (const u8 byte : {0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf}) // as below, at both controllers
        c.bytes.byte(byte);
    c.first_line = here();
    for (const u8 byte : {0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf})
        c.bytes.byte(byte);
    return c;
}

} // namespace

void write_legacy_interrupts(Space& space) {
    const Code code = assemble();
    Bytes table;
    for (unsigned vector = 0; vector < 256; ++vector) {
        const bool first = vector >= first_vector && vector < first_vector + 8u;
        const bool second = vector >= second_vector && vector < second_vector + 8u;
        const u16 offset = vector == first_vector ? code.tick : first ? code.first_line : second ? code.second_line : code.nothing;
        table.word(offset).word(segment);
    }
    space.write(Physical{0}, table.span(), Requester::from_cpu(0));
    space.write(Physical{handlers}, code.bytes.span(), Requester::from_cpu(0));
}

} // namespace vitrine::firmware
