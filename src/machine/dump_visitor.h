// SPDX-License-Identifier: Apache-2.0
// State as text for people: one value a line, parts indented.
#pragma once

#include "base/visitor.h"

#include <string>

namespace vitrine::machine {

class DumpVisitor final : public Visitor {
public:
    /// Parts with more elements than this are cut short.
    explicit DumpVisitor(u64 most_elements = 64) : most_(most_elements) {}

    void number(std::string_view name, u64& value, unsigned width) override;
    void bytes(std::string_view name, std::span<u8> data) override;
    void blob(std::string_view name, std::vector<u8>& data, u64 limit) override;
    u64 count(std::string_view name, u64 n, u64 limit) override;
    void begin(std::string_view name) override;
    void end() override;
    bool loading() const override { return false; }
    void refuse(std::string_view) override {}

    const std::string& text() const { return text_; }

private:
    struct Part {
        u64 elements = 0, unnamed = 0;
        bool row = false; ///< unnamed numbers stand side by side
    };

    bool room();
    void indent();
    void end_row();

    u64 most_;
    std::string text_;
    std::vector<Part> parts_{1};
};

} // namespace vitrine::machine
