// SPDX-License-Identifier: Apache-2.0
// Tests of the ACPI tables: Intel's compiler reads them and writes the same bytes again; fields; the loader script.
#include "firmware/acpi.h"

#include "firmware/reader.h"
#include "firmware/testing.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

using namespace vitrine;
using namespace vitrine::firmware;

namespace {

/// A small board, a full one, and one with as little as possible.
std::vector<Board> boards() {
    Board full;
    full.apic_ids.clear();
    for (u32 i = 0; i < 64; ++i)
        full.apic_ids.push_back(i);
    full.apic_ids.push_back(254);
    full.apic_ids.push_back(255);
    full.apic_ids.push_back(1000);
    full.mmio64 = {0x80'0000'0000, 0x80'0000'0000};
    full.pci_functions = {{0x1c, 0, "RP00", true}, {0x1c, 1, "RP01", true}, {0, 0, "MCH", false}};
    full.fixed_mmio = {{"DMA remapping", {0xfed9'0000, 0x1000}}};
    full.fixed_io = {{"APM", {0xb2, 2}}, {"reset", {0xcf9, 1}}};
    full.serial = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
    full.smi_command = 0xb2;
    full.pvpanic_port = 0x505;
    Board least;
    least.isa_bridge.reset();
    least.hpet_address.reset();
    least.keyboard_controller = least.rtc = least.fw_cfg = false;
    least.serial.clear();
    least.gpe0_block = 0;
    least.ecam = {0xe000'0000, 16_MiB};
    return {Board{}, full, least};
}

/// A directory of our own, gone afterwards.
class Scratch {
public:
    Scratch() {
        std::string name = (std::filesystem::temp_directory_path() / "vitrine-acpi-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }

    ~Scratch() { std::filesystem::remove_all(path_); }

    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

    void write(const std::string& name, std::span<const u8> bytes) const {
        std::ofstream(*this / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }

    std::string read(const std::string& name) const {
        std::ifstream in(*this / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    /// Exit status; what it says is in "log".
    int run(const std::string& command) const {
        return std::system(("cd " + path_ + " && " + command + " >log 2>&1").c_str());
    }

private:
    std::string path_;
};

void fix_checksum(Bytes& table) {
    u8 sum = 0;
    table.put(9, u8{0});
    for (const u8 b : table.span())
        sum = static_cast<u8>(sum + b);
    table.put(9, static_cast<u8>(-sum));
}

/// Disassembles and compiles again, without optimizing: nothing to complain of, and the same bytes but for the
/// compiler's own id and what follows from it.
void round_trip(Bytes table, const std::string& name) {
    SCOPED_TRACE(name);
    Scratch dir;
    const bool has_checksum = name != "FACS";
    if (has_checksum)
        fix_checksum(table);
    dir.write("table.dat", table.span());
    ASSERT_EQ(dir.run("iasl -v"), 0) << "iasl is missing: install acpica-tools";
    ASSERT_EQ(dir.run("iasl -d table.dat"), 0) << dir.read("log");
    EXPECT_EQ(dir.read("log").find("rror"), std::string::npos) << dir.read("log");
    EXPECT_EQ(dir.read("log").find("arning"), std::string::npos) << dir.read("log");
    ASSERT_EQ(dir.run("iasl -oa -p again table.dsl"), 0) << dir.read("log");
    EXPECT_NE(dir.read("log").find(" 0 Errors, 0 Warnings, 0 Remarks"), std::string::npos) << dir.read("log");
    std::string again = dir.read("again.aml");
    std::string ours(table.span().begin(), table.span().end());
    ASSERT_EQ(again.size(), ours.size());
    if (has_checksum)
        for (std::string* s : {&again, &ours}) {
            (*s)[9] = 0;
            s->replace(28, 8, 8, 0);
        }
    EXPECT_EQ(std::mismatch(again.begin(), again.end(), ours.begin()).first - again.begin(),
              static_cast<i64>(again.size()));
}

} // namespace

TEST(AcpiIasl, EveryTableOfEveryBoard) {
    for (const Board& board : boards()) {
        round_trip(dsdt(board), "DSDT");
        round_trip(fadt(board), "FACP");
        round_trip(madt(board), "APIC");
        round_trip(mcfg(board), "MCFG");
        if (board.hpet_address)
            round_trip(hpet_table(board), "HPET");
        if (!board.serial.empty())
            round_trip(spcr(board), "SPCR");
    }
    round_trip(waet(), "WAET");
    round_trip(facs_table(), "FACS");
}

TEST(Acpi, FadtSaysWhatTheBoardHas) {
    const Board board;
    const Bytes b = fadt(board);
    const Reader r(b.span());
    EXPECT_EQ(r.peek<u8>(8), 6);
    EXPECT_EQ(r.peek<u16>(46), 9);  // SCI
    EXPECT_EQ(r.peek<u32>(48), 0u); // no SMI command: always in ACPI mode
    EXPECT_EQ(r.peek<u32>(56), 0x600u);
    EXPECT_EQ(r.peek<u32>(64), 0x604u);
    EXPECT_EQ(r.peek<u32>(76), 0x608u);
    EXPECT_EQ(r.peek<u32>(80), 0x620u);
    EXPECT_EQ(r.peek<u8>(91), 4);        // timer length
    EXPECT_EQ(r.peek<u8>(92), 16);       // GPE0 length
    EXPECT_EQ(r.peek<u16>(109), 0x0007); // legacy devices, 8042, no VGA; MSI allowed
    const u32 flags = r.peek<u32>(112);
    EXPECT_TRUE(flags & 1 << 8);   // 32-bit timer
    EXPECT_TRUE(flags & 1 << 10);  // reset register
    EXPECT_FALSE(flags & 1 << 4);  // fixed power button
    EXPECT_FALSE(flags & 1 << 20); // hardware is not reduced
    EXPECT_EQ(r.peek<u8>(116), 1); // I/O space
    EXPECT_EQ(r.peek<u64>(120), 0xcf9u);
    EXPECT_EQ(r.peek<u8>(128), 6);
    EXPECT_EQ(r.peek<u64>(152), 0x600u);
    EXPECT_EQ(r.peek<u64>(212), 0x608u);
}

TEST(Acpi, MadtListsProcessorsOnceEach) {
    const Board board = boards()[1];
    const Bytes b = madt(board);
    const Reader r(b.span());
    std::vector<u32> ids;
    std::vector<u8> others;
    for (u64 at = 44; at < r.size(); at += r.peek<u8>(at + 1)) {
        ASSERT_GT(r.peek<u8>(at + 1), 0);
        switch (const u8 type = r.peek<u8>(at)) {
        case 0:
            EXPECT_EQ(r.peek<u8>(at + 2), ids.size());
            EXPECT_EQ(r.peek<u32>(at + 4), 1u);
            ids.push_back(r.peek<u8>(at + 3));
            break;
        case 9:
            EXPECT_EQ(r.peek<u32>(at + 12), ids.size());
            EXPECT_GE(r.peek<u32>(at + 4), 255u);
            ids.push_back(r.peek<u32>(at + 4));
            break;
        default:
            others.push_back(type);
            if (type == 2 && r.peek<u8>(at + 3) == 0) {
                EXPECT_EQ(r.peek<u32>(at + 4), 2u);
                EXPECT_EQ(r.peek<u16>(at + 8), 0);
            }
            if (type == 2 && r.peek<u8>(at + 3) == 9) {
                EXPECT_EQ(r.peek<u32>(at + 4), 9u);
                EXPECT_EQ(r.peek<u16>(at + 8), 0xd);
            }
            if (type == 4) {
                EXPECT_EQ(r.peek<u8>(at + 5), 1); // LINT1
            }
        }
    }
    EXPECT_EQ(ids, board.apic_ids);
    EXPECT_EQ(others, (std::vector<u8>{1, 2, 2, 4, 10}));
}

TEST(Acpi, ExtraTablesAreListed) {
    Board board;
    Bytes dmar = acpi_header("DMAR", 1);
    dmar.byte(45).byte(1).zeros(10);
    board.extra_tables.push_back({finish(std::move(dmar)).take()});
    AcpiTables tables = acpi_tables(board);
    tables.link({0x10'0000, 0x20'0000, 0xf0000});
    const Reader r(tables.files[AcpiTables::tables].bytes.span());
    const Reader rsdp(tables.files[AcpiTables::rsdp].bytes.span());
    const u64 xsdt = rsdp.peek<u64>(24) - 0x10'0000;
    const u64 last = xsdt + r.peek<u32>(xsdt + 4) - 8;
    const u64 table = r.peek<u64>(last) - 0x10'0000;
    ASSERT_TRUE(r.matches(table, "DMAR"));
    u8 sum = 0;
    for (u64 i = 0; i < 48; ++i)
        sum = static_cast<u8>(sum + r.peek<u8>(table + i));
    EXPECT_EQ(sum, 0);
}

/// A firmware that carries out the script must come to what link() comes to.
TEST(Acpi, LoaderScriptGivesWhatDirectBootGives) {
    const AcpiTables made = acpi_tables(boards()[1]);
    const std::array<u64, 3> addresses{0x7fff'0000, 0x7ffe'f000, 0xf5000};
    AcpiTables linked = made;
    linked.link(addresses);

    std::map<std::string, std::vector<u8>> files;
    std::map<std::string, u64> where;
    const std::vector<u8> script = made.loader_script();
    ASSERT_EQ(script.size() % 128, 0u);
    const Reader r(script);
    const auto text = [&](u64 at) { return std::string(reinterpret_cast<const char*>(script.data() + at)); };
    for (u64 at = 0; at < script.size(); at += 128) {
        const std::string file = text(at + 4);
        switch (r.peek<u32>(at)) {
        case 1:
            for (std::size_t i = 0; i < 3; ++i)
                if (made.files[i].name == file) {
                    files[file] = {made.files[i].bytes.span().begin(), made.files[i].bytes.span().end()};
                    where[file] = addresses[i];
                    EXPECT_EQ(addresses[i] % r.peek<u32>(at + 60), 0u);
                    EXPECT_EQ(r.peek<u8>(at + 64), i == AcpiTables::rsdp ? 2 : 1);
                }
            ASSERT_TRUE(files.count(file)) << file;
            break;
        case 2: {
            const u32 offset = r.peek<u32>(at + 116);
            const u8 size = r.peek<u8>(at + 120);
            u64 v = 0;
            std::memcpy(&v, &files.at(file).at(offset), size);
            v += where.at(text(at + 60));
            std::memcpy(&files.at(file).at(offset), &v, size);
            break;
        }
        case 3: {
            auto& bytes = files.at(file);
            u8 sum = 0;
            for (u32 i = 0; i < r.peek<u32>(at + 68); ++i)
                sum = static_cast<u8>(sum + bytes.at(r.peek<u32>(at + 64) + i));
            bytes.at(r.peek<u32>(at + 60)) = static_cast<u8>(bytes.at(r.peek<u32>(at + 60)) - sum);
            break;
        }
        default:
            FAIL() << "unknown command";
        }
    }
    for (const AcpiFile& f : linked.files)
        EXPECT_EQ(files.at(f.name), std::vector<u8>(f.bytes.span().begin(), f.bytes.span().end())) << f.name;
}
