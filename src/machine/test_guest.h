// SPDX-License-Identifier: Apache-2.0
// A small machine for tests: the clockwork guest, with input that a test types.
#pragma once

#include "machine/machine.h"

#include <deque>
#include <memory>
#include <span>

extern "C" const vitrine::u8 clockwork_begin[], clockwork_end[];

namespace vitrine::machine::testing {

/// A terminal at which the test sits.
class Typist final : public host::Character {
public:
    void type(std::string_view text) { typed_.insert(typed_.end(), text.begin(), text.end()); }

    std::size_t take(std::span<u8> data) override {
        std::size_t n = 0;
        for (; n < data.size() && !typed_.empty(); ++n) {
            data[n] = static_cast<u8>(typed_.front());
            typed_.pop_front();
        }
        return n;
    }

    bool open() const override { return true; }

    void put(std::span<const u8> data) override { output.append(data.begin(), data.end()); }

    std::string output;

private:
    std::deque<char> typed_;
};

inline MachineConfig clockwork(unsigned cpus) {
    MachineConfig config;
    config.memory = 8_MiB;
    config.cpus = cpus;
    config.kernel = BootFile{"--kernel", "clockwork", {clockwork_begin, clockwork_end}, {}};
    config.devices.push_back({"isa-debug-exit", {{"iobase", "0xf4"}, {"iosize", "4"}}});
    config.devices.push_back({"pc-testdev", {}});
    return config;
}

/// As built; not yet powered on.
inline std::unique_ptr<Machine> build(MachineConfig config, Typist* typist = nullptr) {
    Streams streams;
    streams.serial.push_back(typist);
    auto m = Machine::create(std::move(config), streams, std::make_unique<Glass>());
    VERIFY(m.ok());
    m.value()->pace() = Pace(PaceMode::warp);
    return std::move(m).value();
}

inline std::unique_ptr<Machine> power_on(MachineConfig config, Typist* typist = nullptr) {
    auto m = build(std::move(config), typist);
    VERIFY(m->power_on().ok());
    return m;
}

} // namespace vitrine::machine::testing
