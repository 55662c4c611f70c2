// SPDX-License-Identifier: Apache-2.0
// The code that all translated blocks share: the way in, the way out, and the call of an interpreter handler.
#pragma once

#include "jit/emitter.h"

namespace vitrine::jit {

/// Runs `code` on the processor whose State is given; returns when the run has ended.
using Enter = void (*)(State* state, const void* code);

/// Writes the stubs. `offsets` gets where they begin.
struct StubOffsets {
    u64 enter, handle, leave, enter_vectors, enter_wide_vectors, look_up;
};
StubOffsets write_stubs(asmjit::x86::Assembler& a, const TranslatedAccess::Layout& layout);

/// When one follower lies on another page: goes to `code` if the follower at `host_page` is what the page at `target` still maps to,
/// else to `exit`.
void write_page_link(asmjit::x86::Assembler& a, const TranslatedAccess::Layout& layout, i64 target_page, u64 host_page, const void* code,
                     const void* exit);

} // namespace vitrine::jit
