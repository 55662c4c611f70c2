// SPDX-License-Identifier: Apache-2.0
// State to a hash: names, widths and values in order, in pieces that stay in the cache.
#pragma once

#include "base/visitor.h"
#include "machine/hash128.h"

#include <array>

namespace vitrine::machine {

/// Equal states give equal hashes on every host. Component by component: take() gives the hash and begins anew.
class HashVisitor final : public Visitor {
public:
    void number(std::string_view, u64& value, unsigned width) override { put(&value, width); }
    void bytes(std::string_view name, std::span<u8> data) override;
    void blob(std::string_view name, std::vector<u8>& data, u64 limit) override;
    u64 count(std::string_view name, u64 n, u64 limit) override;
    void begin(std::string_view name) override;
    void end() override;
    bool loading() const override { return false; }
    void refuse(std::string_view) override {}

    /// The hash of everything since the last take(), made distinct by `seed`.
    Hash128 take(u64 seed);

private:
    void put(const void* data, std::size_t size) {
        if (size > buffer_.size() - used_) [[unlikely]]
            drain();
        std::memcpy(buffer_.data() + used_, data, size);
        used_ += size;
    }
    void drain();

    std::array<u8, 4096> buffer_;
    std::size_t used_ = 0;
    Hash128 chain_{};
};

} // namespace vitrine::machine
