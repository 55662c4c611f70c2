// SPDX-License-Identifier: Apache-2.0
// State to bytes and back: each value with its width and a check of its name, so that a reader of another shape notices.
#pragma once

#include "base/visitor.h"

#include <span>
#include <string>
#include <vector>

namespace vitrine::machine {

/// Writes state into a growing buffer.
class SaveVisitor final : public Visitor {
public:
    void number(std::string_view name, u64& value, unsigned width) override;
    void bytes(std::string_view name, std::span<u8> data) override;
    void blob(std::string_view name, std::vector<u8>& data, u64 limit) override;
    u64 count(std::string_view name, u64 n, u64 limit) override;
    void begin(std::string_view name) override;
    void end() override;
    bool loading() const override { return false; }
    void refuse(std::string_view) override {}

    const std::vector<u8>& data() const { return data_; }

private:
    void mark(u8 kind, std::string_view name);
    void put(u64 value, unsigned width);

    std::vector<u8> data_;
};

/// Reads what SaveVisitor wrote. After the first thing that does not fit nothing more is loaded, and problem() says what it was.
class LoadVisitor final : public Visitor {
public:
    explicit LoadVisitor(std::span<const u8> data) : data_(data) {}

    void number(std::string_view name, u64& value, unsigned width) override;
    void bytes(std::string_view name, std::span<u8> data) override;
    void blob(std::string_view name, std::vector<u8>& data, u64 limit) override;
    u64 count(std::string_view name, u64 n, u64 limit) override;
    void begin(std::string_view name) override;
    void end() override;
    bool loading() const override { return true; }
    void refuse(std::string_view why) override;

    /// Empty when everything fitted; `finish` also asks that nothing is left.
    const std::string& problem() const { return problem_; }

    void finish();

private:
    bool expect(u8 kind, std::string_view name);
    u64 get(unsigned width);

    std::span<const u8> data_;
    std::size_t at_ = 0;
    std::vector<std::string> path_;
    std::string problem_;
};

} // namespace vitrine::machine
