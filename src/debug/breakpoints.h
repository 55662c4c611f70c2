// SPDX-License-Identifier: Apache-2.0
// Somebody's breakpoints and watchpoints, kept beside the machine: guest memory and hashes do not change.
#pragma once

#include "words/addresses.h"
#include "words/integers.h"

#include <compare>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace vitrine::debug {

class Breakpoints {
public:
    enum class Kind : u8 { software, hardware };
    enum class Watch : u8 { write, read, access };

    /// Where a breakpoint holds: everywhere, or in one level only: 0 is the hypervisor (VMX root operation, and outside
    /// VMX operation), another value the guest of that VMCS.
    using Level = std::optional<u64>;

    struct Hit {
        Watch kind{};
        u64 address = 0; ///< the first watched byte that was accessed
    };

    struct Place {
        u64 linear = 0;
        Level level;

        auto operator<=>(const Place&) const = default;
    };

    void add(Kind kind, u64 linear, Level level = {}) { code_[{linear, level}] |= mask(kind); }

    void remove(Kind kind, u64 linear, Level level = {});

    /// Which kind of those that hold everywhere lies at an address; software first.
    std::optional<Kind> at(u64 linear) const;

    /// All of them, by address.
    std::vector<Place> places() const;

    void watch(Watch kind, u64 linear, u64 length) { watches_.push_back({kind, linear, length}); }

    bool unwatch(Watch kind, u64 linear, u64 length);
    void clear();

    bool empty() const { return code_.empty() && watches_.empty(); }

    /// Which watchpoint was hit last; taken by whoever reports it.
    std::optional<Hit> take_hit() { return std::exchange(hit_, std::nullopt); }

    /// How far behind `from` the first one lies that holds in `level`; `bytes` or more if it is not among them.
    u64 next(u64 level, u64 from, u64 bytes) const;
    bool watches(Linear page) const;
    bool access(Linear at, unsigned size, bool write);

private:
    struct Range {
        Watch kind;
        u64 start, length;

        bool overlaps(u64 at, u64 size) const { return start - at < size || at - start < length; }
    };

    static u8 mask(Kind kind) { return static_cast<u8>(1u << static_cast<unsigned>(kind)); }

    std::map<Place, u8> code_; ///< a bit for each kind
    std::vector<Range> watches_;
    std::optional<Hit> hit_;
};

} // namespace vitrine::debug
