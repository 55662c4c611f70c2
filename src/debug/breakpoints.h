// SPDX-License-Identifier: Apache-2.0
// A debugger's breakpoints and watchpoints, kept beside the machine: guest memory and hashes do not change.
#pragma once

#include "x86/cpu.h"
#include "x86/debug_hooks.h"

#include <optional>
#include <set>
#include <vector>

namespace vitrine::debug {

class Breakpoints final : public DebugHooks {
public:
    enum class Watch : u8 { write, read, access };

    struct Hit {
        Cpu* cpu = nullptr;
        bool watch = false;
        Watch kind{};
        u64 address = 0;
    };

    void add(u64 linear) { code_.insert(linear); }
    bool remove(u64 linear) { return code_.erase(linear) != 0; }
    void watch(Watch kind, u64 linear, u64 length) { watches_.push_back({kind, linear, length}); }
    bool unwatch(Watch kind, u64 linear, u64 length);
    void clear();
    bool empty() const { return code_.empty() && watches_.empty(); }

    /// What stopped last; taken by whoever reports it.
    std::optional<Hit> take_hit() { return std::exchange(hit_, std::nullopt); }

    bool breakpoint(Cpu& cpu, Linear rip) override;
    bool watches(Linear page) override;
    bool access(Cpu& cpu, Linear at, unsigned size, bool write) override;

private:
    struct Range {
        Watch kind;
        u64 start, length;
    };
    std::set<u64> code_;
    std::vector<Range> watches_;
    std::optional<Hit> hit_;
};

} // namespace vitrine::debug
