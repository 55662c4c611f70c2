// SPDX-License-Identifier: Apache-2.0
// A trace for Perfetto's viewer is read back: every slice that begins ends, on tracks that have names.
#include "app/perfetto.h"

#include <gtest/gtest.h>
#include <protozero/pbf_reader.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace vitrine::app {
namespace {

TEST(Perfetto, SlicesNestAndTracksHaveNames) {
    std::string folder = (std::filesystem::temp_directory_path() / "perfetto-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/x.pftrace";
    {
        auto trace = std::move(PerfettoTrace::create(path).value());
        trace->told({.time = 10}, Topic::vmx, "entry", {{"vmcs", 0x1000}});
        trace->told({.time = 20}, Topic::vmx, "exit", {{"reason", "CPUID"}, {"means", ""}});
        trace->told({.time = 21, .cpu = 1}, Topic::cpu, "cr3", {});
        trace->told({.time = 30}, Topic::vmx, "entry", {{"vmcs", 0x1000}});
        ASSERT_TRUE(trace->finish(40).ok());
    }
    std::ifstream file(path, std::ios::binary);
    std::stringstream data;
    data << file.rdbuf();
    const std::string bytes = data.str();
    std::map<u64, std::string> names;
    std::map<u64, std::vector<std::pair<u64, std::string>>> slices; // per track: time and name ("" ends)
    protozero::pbf_reader all(bytes);
    while (all.next(1)) {
        u64 time = 0;
        protozero::pbf_reader packet = all.get_message();
        while (packet.next()) {
            if (packet.tag() == 8) {
                time = packet.get_uint64();
            } else if (packet.tag() == 60) {
                protozero::pbf_reader track = packet.get_message();
                u64 uuid = 0;
                while (track.next()) {
                    if (track.tag() == 1)
                        uuid = track.get_uint64();
                    else if (track.tag() == 2)
                        names[uuid] = track.get_string();
                    else
                        track.skip();
                }
            } else if (packet.tag() == 11) {
                protozero::pbf_reader event = packet.get_message();
                i32 type = 0;
                u64 track = 0;
                std::string name;
                while (event.next()) {
                    if (event.tag() == 9)
                        type = event.get_enum();
                    else if (event.tag() == 11)
                        track = event.get_uint64();
                    else if (event.tag() == 23)
                        name = event.get_string();
                    else
                        event.skip();
                }
                EXPECT_TRUE(names.contains(track));
                if (type == 1 || type == 2)
                    slices[track].emplace_back(time, type == 1 ? name : "");
            } else {
                packet.skip();
            }
        }
    }
    std::map<std::string, std::vector<std::pair<u64, std::string>>> by_name;
    for (const auto& [track, list] : slices)
        by_name[names[track]] = list;
    using List = std::vector<std::pair<u64, std::string>>;
    EXPECT_EQ(by_name["L2: guests"], (List{{10, "guest, VMCS 1000"}, {20, ""}, {30, "guest, VMCS 1000"}, {40, ""}}));
    EXPECT_EQ(by_name["L1: the VMM handles a VM exit"], (List{{20, "CPUID"}, {30, ""}}));
    std::filesystem::remove_all(folder);
}

TEST(Perfetto, AFileThatCannotBeMade) {
    const auto trace = PerfettoTrace::create("/no/where/x.pftrace");
    ASSERT_FALSE(trace.ok());
    EXPECT_NE(trace.error().message.find("--trace-file /no/where/x.pftrace"), std::string::npos);
}

} // namespace
} // namespace vitrine::app
