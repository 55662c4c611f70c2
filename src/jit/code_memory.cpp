// SPDX-License-Identifier: Apache-2.0
// Maps, fills and patches the memory of translated code.
#include "jit/code_memory.h"

#include "base/error.h"

#include <cstring>
#include <new>
#include <sys/mman.h>

namespace vitrine::jit {

CodeMemory::CodeMemory(u64 size) : size_(size) {
    // No file behind it: a limit on the size of files must not matter.
    void* write = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void* run = write == MAP_FAILED ? MAP_FAILED : mremap(write, 0, size, MREMAP_MAYMOVE);
    if (run == MAP_FAILED || mprotect(run, size, PROT_READ | PROT_EXEC) != 0)
        throw std::bad_alloc();
    write_ = static_cast<u8*>(write);
    run_ = static_cast<u8*>(run);
}

CodeMemory::~CodeMemory() {
    munmap(write_, size_);
    munmap(run_, size_);
}

const u8* CodeMemory::commit(u64 size) {
    VERIFY(size <= room());
    const u8* at = run_ + used_;
    used_ += (size + 15) & ~u64{15};
    if (used_ > size_)
        used_ = size_;
    return at;
}

void CodeMemory::patch(const u8* site, const void* target) {
    const i64 distance = static_cast<const u8*>(target) - (site + 4);
    const i32 displacement = static_cast<i32>(distance);
    VERIFY(displacement == distance);
    std::memcpy(write_ + (site - run_), &displacement, sizeof displacement);
}

void CodeMemory::always(const u8* jump) {
    u8* const at = write_ + (jump - run_);
    VERIFY(at[0] == 0x0f && at[1] >> 4 == 8);
    at[0] = 0x90; // NOP
    at[1] = 0xe9; // JMP
}

} // namespace vitrine::jit
