// SPDX-License-Identifier: Apache-2.0
// A debugger's breakpoints and watchpoints, kept beside the machine: guest memory and hashes do not change.
#pragma once

#include "x86/cpu.h"
#include "x86/debug_hooks.h"

#include <map>
#include <optional>
#include <vector>

namespace vitrine::debug {

class Breakpoints final : public DebugHooks {
public:
    enum class Kind : u8 { software, hardware };
    enum class Watch : u8 { write, read, access };

    struct Hit {
        Watch kind{};
        u64 address = 0; ///< the first watched byte that was accessed
    };

    void add(Kind kind, u64 linear) { code_[linear] |= mask(kind); }

    void remove(Kind kind, u64 linear);

    /// Which kind lies at an address; software first.
    std::optional<Kind> at(u64 linear) const;

    void watch(Watch kind, u64 linear, u64 length) { watches_.push_back({kind, linear, length}); }

    bool unwatch(Watch kind, u64 linear, u64 length);
    void clear();

    bool empty() const { return code_.empty() && watches_.empty(); }

    /// Which watchpoint was hit last; taken by whoever reports it.
    std::optional<Hit> take_hit() { return std::exchange(hit_, std::nullopt); }

    u64 next_breakpoint(Linear from, u64 bytes) override;
    bool watches(Linear page) override;
    bool access(Cpu& cpu, Linear at, unsigned size, bool write) override;

private:
    struct Range {
        Watch kind;
        u64 start, length;

        bool overlaps(u64 at, u64 size) const { return start - at < size || at - start < length; }
    };

    static u8 mask(Kind kind) { return static_cast<u8>(1u << static_cast<unsigned>(kind)); }

    std::map<u64, u8> code_; ///< by linear address: a bit for each kind
    std::vector<Range> watches_;
    std::optional<Hit> hit_;
};

} // namespace vitrine::debug
