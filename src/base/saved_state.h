// SPDX-License-Identifier: Apache-2.0
// For tests only: visitors that save a part's state into a buffer and load it again.
#pragma once

#include "base/visitor.h"

#include <algorithm>
#include <vector>

namespace vitrine::testing_support {

/// Saves state into a buffer.
class Saver : public Visitor {
public:
    std::vector<u8> data;

    void number(std::string_view, u64& value, unsigned width) override { put(&value, width); }

    void bytes(std::string_view, std::span<u8> block) override { data.insert(data.end(), block.begin(), block.end()); }

    void blob(std::string_view, std::vector<u8>& block, u64) override {
        u64 n = block.size();
        put(&n, 8);
        bytes("", block);
    }

    u64 count(std::string_view, u64 n, u64) override {
        put(&n, 8);
        return n;
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return false; }

    void refuse(std::string_view) override {}

private:
    void put(const u64* value, unsigned width) {
        const u8* p = reinterpret_cast<const u8*>(value);
        data.insert(data.end(), p, p + width);
    }
};

/// Loads what a Saver saved; past the end it loads zeros and remembers that it was refused.
class Loader : public Visitor {
public:
    explicit Loader(std::vector<u8> saved) : data_(std::move(saved)) {}

    bool refused = false;

    bool complete() const { return !refused && at_ == data_.size(); }

    void number(std::string_view, u64& value, unsigned width) override {
        value = 0;
        take(reinterpret_cast<u8*>(&value), width);
    }

    void bytes(std::string_view, std::span<u8> block) override { take(block.data(), block.size()); }

    void blob(std::string_view, std::vector<u8>& block, u64 limit) override {
        block.resize(count("", 0, limit));
        take(block.data(), block.size());
    }

    u64 count(std::string_view, u64, u64 limit) override {
        u64 n = 0;
        number("", n, 8);
        refused |= n > limit;
        return n > limit ? 0 : n;
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return true; }

    void refuse(std::string_view) override { refused = true; }

private:
    void take(u8* to, std::size_t n) {
        if (n > data_.size() - at_) {
            refused = true;
            std::fill_n(to, n, 0);
            return;
        }
        std::copy_n(data_.begin() + static_cast<std::ptrdiff_t>(at_), n, to);
        at_ += n;
    }

    std::vector<u8> data_;
    std::size_t at_ = 0;
};

template <class T>
std::vector<u8> saved(T& part) {
    Saver saver;
    part.state(saver);
    return saver.data;
}

/// True when all of `data` was taken and nothing refused.
template <class T>
bool load(T& part, const std::vector<u8>& data) {
    Loader loader(data);
    part.state(loader);
    return loader.complete();
}

} // namespace vitrine::testing_support
