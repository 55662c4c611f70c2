// SPDX-License-Identifier: Apache-2.0
// For tests of this room: a space to boot into, and reading back from it.
#pragma once

#include "firmware/boot.h"
#include "firmware/test_images.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace vitrine::firmware::testing {

inline File file_of(const std::vector<u8>& data, std::string option = "--kernel", std::string name = "kernel") {
    return {std::move(option), std::move(name), data};
}

/// A machine's memory, and one attempt to boot.
struct Machine {
    explicit Machine(u64 ram = 64_MiB) : space(std::move(Space::create(ram, glass)).value()) {}

    Expected<BootState> boot(const std::vector<u8>& kernel) {
        request.kernel = file_of(kernel);
        request.program_name = "kernel";
        return firmware::boot(request, board, *space);
    }

    /// The message of a boot that must fail.
    std::string refused(const std::vector<u8>& kernel) {
        const auto result = boot(kernel);
        if (result.ok())
            return "it booted";
        EXPECT_EQ(result.error().status, Status::usage);
        return result.error().message;
    }

    template <class T>
    T at(u64 address) {
        return space->read<T>(Physical{address}, Requester::from_cpu(0));
    }

    std::string text(u64 address) {
        std::string s;
        while (const char c = static_cast<char>(at<u8>(address++)))
            s += c;
        return s;
    }

    std::vector<u8> bytes(u64 address, u64 size) {
        std::vector<u8> b(size);
        space->read(Physical{address}, b, Requester::from_cpu(0));
        return b;
    }

    Glass glass;
    std::unique_ptr<Space> space;
    Board board;
    BootRequest request;
};

/// Does a message contain all these words?
inline ::testing::AssertionResult says(const std::string& message, std::initializer_list<const char*> words) {
    for (const char* w : words)
        if (message.find(w) == std::string::npos)
            return ::testing::AssertionFailure() << "no '" << w << "' in: " << message;
    return ::testing::AssertionSuccess();
}

} // namespace vitrine::firmware::testing
