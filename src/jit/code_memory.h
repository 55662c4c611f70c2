// SPDX-License-Identifier: Apache-2.0
// Memory for translated code: the same pages twice, written at one address and run at another. No page is ever both.
#pragma once

#include "words/integers.h"

#include <span>

namespace vitrine::jit {

class CodeMemory {
public:
    explicit CodeMemory(u64 size);
    ~CodeMemory();
    CodeMemory(const CodeMemory&) = delete;
    CodeMemory& operator=(const CodeMemory&) = delete;

    /// Where the next piece will run.
    const u8* next() const { return run_ + used_; }

    /// Where to write the next piece, and how much room there is; `commit` makes it so.
    u8* writable() { return write_ + used_; }
    u64 room() const { return size_ - used_; }
    const u8* commit(u64 size);

    /// Replaces the 32-bit displacement at `site` (a run address) so that the branch goes to `target`.
    void patch(const u8* site, const void* target);
    /// Makes the conditional branch at `jump`, which has such a displacement, an unconditional one.
    void always(const u8* jump);

    u64 used() const { return used_; }
    u64 size() const { return size_; }
    /// Forgets everything behind the first `kept` bytes.
    void rewind(u64 kept) { used_ = kept; }

private:
    u64 size_, used_ = 0;
    u8* write_ = nullptr;
    u8* run_ = nullptr;
};

} // namespace vitrine::jit
