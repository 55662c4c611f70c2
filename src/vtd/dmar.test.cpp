// SPDX-License-Identifier: Apache-2.0
// Tests of the DMAR table: iasl, ACPICA's compiler, reads it without complaint and makes the same bytes of what it read; and what stands in it.
#include "vtd/dmar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

using namespace vitrine;
using namespace vitrine::vtd;

namespace {

struct Scratch {
    Scratch() {
        char name[] = "/tmp/vitrine-dmar-XXXXXX";
        path = mkdtemp(name);
    }
    ~Scratch() { (void)std::system(("rm -rf " + path).c_str()); }

    int run(const std::string& command) const { return std::system(("cd " + path + " && " + command + " >log 2>&1").c_str()); }
    std::string read(const std::string& name) const {
        std::ifstream in(path + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::string path;
};

std::string table_of(const DmarInput& input) {
    const std::vector<u8> bytes = dmar_table(input);
    std::string text(bytes.begin(), bytes.end());
    u8 sum = 0;
    for (const u8 b : bytes)
        sum = static_cast<u8>(sum + b);
    text[9] = static_cast<char>(-sum);
    return text;
}

const std::vector<ReservedMemory> reserved{{.path = {0x08}, .base = 0x1f00'0000, .size = 0x10'0000},
                                           {.path = {0x1c << 3, 0}, .base = 0x1000, .size = 0x1000}};

DmarInput full() { return {.base = 0xfed9'0000, .io_apic_id = 9, .io_apic_requester = 0xf0f8, .hpet_requester = 0xf0f0, .reserved = reserved}; }

} // namespace

TEST(Dmar, IaslReadsItAndMakesTheSame) {
    for (const DmarInput& input : {full(), DmarInput{.base = 0xfed9'0000, .physical_bits = 39, .interrupt_remapping = false}}) {
        const std::string ours = table_of(input);
        Scratch dir;
        std::ofstream(dir.path + "/table.dat", std::ios::binary) << ours;
        ASSERT_EQ(dir.run("iasl -v"), 0) << "iasl is missing: install acpica-tools";
        ASSERT_EQ(dir.run("iasl -d table.dat"), 0) << dir.read("log");
        for (const char* complaint : {"rror", "arning", "nvalid"})
            EXPECT_EQ(dir.read("log").find(complaint), std::string::npos) << dir.read("log");
        EXPECT_EQ(dir.read("table.dsl").find("nvalid"), std::string::npos) << dir.read("table.dsl");
        ASSERT_EQ(dir.run("iasl -p again table.dsl"), 0) << dir.read("log");
        EXPECT_NE(dir.read("log").find(" 0 Errors, 0 Warnings, 0 Remarks"), std::string::npos) << dir.read("log");
        std::string again = dir.read("again.aml"), expected = ours;
        ASSERT_EQ(again.size(), expected.size());
        for (std::string* s : {&again, &expected}) { // the checksum, and the compiler's own id
            (*s)[9] = 0;
            s->replace(28, 8, 8, 0);
        }
        EXPECT_EQ(std::mismatch(again.begin(), again.end(), expected.begin()).first - again.begin(), static_cast<i64>(again.size()));
    }
}

TEST(Dmar, ReservedMemory) {
    Scratch dir;
    std::ofstream(dir.path + "/table.dat", std::ios::binary) << table_of(full());
    ASSERT_EQ(dir.run("iasl -d table.dat"), 0) << dir.read("log");
    const std::string said = dir.read("table.dsl");
    const auto says = [&](const std::string& text) { EXPECT_NE(said.find(text), std::string::npos) << text << "\n" << said; };
    says("Subtable Type : 0001 [Reserved Memory Region]");
    says("Base Address : 000000001F000000");
    says("End Address (limit) : 000000001F0FFFFF");
    says("PCI Path : 01,00");
    says("PCI Path : 1C,00");
}

TEST(Dmar, KeysOfReservedMemory) {
    const Options o = parse_options("on,rmrr=1.0@0x1f000000+0x100000,cm=on,rmrr=1c.0/0.0@4096+0x1000").value();
    EXPECT_TRUE(o.caching_mode);
    EXPECT_EQ(o.reserved_memory, reserved);
    for (const char* wrong : {"rmrr", "rmrr=", "rmrr=1.0", "rmrr=1.8@0x1000+0x1000", "rmrr=20.0@0x1000+0x1000", "rmrr=1@0x1000+0x1000", "rmrr=1.0@0x1000",
                              "rmrr=1.0@0x1000+0", "rmrr=1.0@0x1001+0x1000", "rmrr=1.0@0xfffff000+0x2000", "rmrr=1.0@0x1000+0x1000x", "rmrr=1.0/@0x1000+0x1000",
                              "rmrr=1.0@-1+0x1000", "rmrr=1.0/1.0/1.0/1.0/1.0/1.0/1.0/1.0/1.0@0x1000+0x1000", "rmrr=1.0@0x10000000000000000+0x1000"})
        EXPECT_FALSE(parse_options(std::string("on,") + wrong).ok()) << wrong;
}
