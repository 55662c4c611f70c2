// SPDX-License-Identifier: Apache-2.0
// Seam: the translator, as the processor sees it; owned by x86, implemented by jit. It turns hot blocks into host code with exactly
// the interpreter's results. Here too is what translated code may ask of a processor, all of it in the interpreter's own terms.
#pragma once

#include "words/integers.h"
#include "x86/outcome.h"

namespace vitrine {

class Cpu;
struct Block;

/// What translated code keeps beside the registers. Only meaningful while it runs; none of it is state.
struct TranslatedRun {
    i64 left = 0;   ///< virtual nanoseconds that the slice has left, the whole running block charged; lowered by `kick` to end the run
    i64 synced = 0; ///< `left` when Cpu's own account of time was last right, at the head of a block
    u64 page = 0;   ///< linear address of the page that the running block lies on
    Block* block = nullptr; ///< where the run ended ...
    u64 edge = 0;           ///< ... and which of its followers comes next, or one of the values below
    const void* departure = nullptr; ///< the translator's own record of it, unless a handler ended the run
    u64 kept[2]{};          ///< across the second probe of one instruction
    u64 target = 0;         ///< of a branch that is being looked up
    const void* blocks = nullptr; ///< the translator's table of where code is for a block's first byte, in the running mode
    u64 vectors = 0;        ///< 0: the vector registers and MXCSR are in State; else that many bytes of each are in the host's registers
    void* stack = nullptr;  ///< the host's own
    u32 host_mxcsr = 0;     ///< the host's own
    u64* handled = nullptr; ///< instructions that went to their handlers, by ZydisMnemonic; [2m + 1]: the slow way of translated ones

    /// Lowers `left` so far that the next block's head ends the run.
    static constexpr i64 kick = i64{1} << 60;
    static constexpr u64 at_head = 2, by_handler = 4; ///< by_handler + 1 after a branch

    i64 true_left() const { return left < -(kick / 2) ? left + kick : left; }
};

/// What calls of translated code may push in front of a processor's State.
struct CallRoom {
    alignas(64) u64 words[8];
};

class TranslatorPort {
public:
    virtual ~TranslatorPort() = default;

    /// Called when a block has been interpreted `hot` times: may set Block::code.
    virtual void translate(Cpu& cpu, Block& block) = 0;
    static constexpr u32 hot = 100;

    /// Runs translated code from the block on, which has some and for which the slice has room. Returns the guess for what comes next.
    virtual Block*& run(Cpu& cpu, Block& block) = 0;

    /// The interpreter comes to a block that has code, which only other code may go to by itself: it straddles two pages.
    virtual void met(Cpu& cpu, Block& block) = 0;

    /// Translated code comes to this block, which has code, by way of the processor: remembers where indirect branches find it.
    virtual void reached(Cpu& cpu, Block& block) = 0;

    /// The bytes of a block changed that has code, or is part of another's.
    virtual void dropped(Block& block) = 0;

    /// Between blocks, when nothing translated runs: makes room where it has become scarce.
    virtual void between_blocks() = 0;
};

/// A processor as the translator may use it.
class TranslatedAccess {
public:
    /// Where the fields that translated code touches lie, counted from the processor's State.
    struct Layout {
        i32 tags, segment_base, run, x87_quiet;
    };
    static Layout layout(const Cpu& cpu);

    static TranslatedRun& run(Cpu& cpu);

    /// Before translated code is entered at the head of `block`.
    static void begin(Cpu& cpu, const Block& block);
    /// Instruction `k` of the block by its handler, registers and status being home. Null: the run ends here, with rip, time and events
    /// as the interpreter leaves them. `follows`: the next instruction does. Else the code of the block that comes next. `wants_quiet`:
    /// the code behind it may only be run when Cpu::x87_quiet.
    static const void* handle(Cpu& cpu, Block& block, unsigned k, bool slow, bool wants_quiet);
    static inline const void* const follows = reinterpret_cast<const void*>(u64{1});
    /// After translated code ended between two blocks, the next one being at byte `offset` from the start of the code page (may lie
    /// outside of it). `checked`: a branch that must not reach there if no address can be there.
    static void end(Cpu& cpu, i64 offset, bool checked);
    /// The run ends at the next head of a block.
    static void kick(Cpu& cpu);
    /// No translated code is there any more.
    static void forget_targets(Cpu& cpu);
    /// Whether the code page's translation is still the one under which the block was entered.
    static bool still_mapped(const Cpu& cpu, const Block& block);

private:
    static void settle(Cpu& cpu, i64 block_size);
};

} // namespace vitrine
