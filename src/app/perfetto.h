// SPDX-License-Identifier: Apache-2.0
// `--trace-file NAME.pftrace`: what was told, as a trace that Perfetto's viewer opens. For each processor a track of L2 (guests between
// VM entry and VM exit), one of L1 (the VMM between VM exit and VM entry), and one of L0 (all events as they came).
#pragma once

#include "base/error.h"
#include "glass/glass.h"

#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace vitrine::app {

class PerfettoTrace {
public:
    static Expected<std::unique_ptr<PerfettoTrace>> create(const std::string& path);

    static bool wants(std::string_view path) { return path.ends_with(".pftrace"); }

    void told(const Place& place, Topic topic, std::string_view event, std::initializer_list<Detail> details);

    /// Closes what is open at this virtual time. An error is the first that writing met.
    Expected<> finish(u64 time);

private:
    enum class Level : u8 { l0, l1, l2 };

    PerfettoTrace(std::FILE* file, std::string path) : file_(file, std::fclose), path_(std::move(path)) {}

    u64 track(unsigned cpu, Level level);
    void begin(u64 time, u64 track, std::string_view name, std::initializer_list<Detail> details, std::string_view category);
    void end(u64 time, u64 track);
    void instant(u64 time, u64 track, std::string_view name, std::initializer_list<Detail> details, std::string_view category);
    void event(u64 time, u64 track, u32 type, std::string_view name, std::initializer_list<Detail> details, std::string_view category);
    void describe(u64 uuid, u64 parent, std::string_view name);
    void write(const std::string& packet);

    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
    std::string path_;
    std::set<u64> described_, open_; ///< tracks that have a name; that have a slice which has not ended
};

} // namespace vitrine::app
