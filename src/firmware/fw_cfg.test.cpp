// SPDX-License-Identifier: Apache-2.0
// Tests of fw_cfg as guests use it: by ports, by DMA, with hostile DMA, and through a snapshot.
#include "firmware/fw_cfg.h"

#include "firmware/testing.h"

#include <map>

using namespace vitrine;
using namespace vitrine::firmware;

namespace {

/// DMA into the RAM of a space; outside it nobody answers.
struct RamDma : DmaPort {
    explicit RamDma(Space& s) : space(s) {}

    bool inside(DeviceAddress a, u64 size) const {
        return a.value < space.ram_size() && size <= space.ram_size() - a.value;
    }

    bool read(Requester, DeviceAddress from, std::span<u8> data) override {
        std::fill(data.begin(), data.end(), u8{0xff});
        if (!inside(from, data.size()))
            return false;
        space.read(Physical{from.value}, data, Requester{});
        return true;
    }

    bool write(Requester, DeviceAddress to, std::span<const u8> data) override {
        if (!inside(to, data.size()))
            return false;
        space.write(Physical{to.value}, data, Requester{});
        return true;
    }

    Space& space;
};

struct Guest {
    Guest() : space(std::move(Space::create(16_MiB, glass)).value()), dma(*space), device(dma, Requester{}, glass) {
        space->ports().map(device.selector(), fw_cfg::selector_port);
        space->ports().map(device.dma(), fw_cfg::dma_port);
    }

    void out(u16 port, unsigned size, u64 value) {
        Access a{.size = size, .write = true, .value = value};
        space->port(port, a);
    }

    u64 in(u16 port, unsigned size) {
        Access a{.size = size};
        space->port(port, a);
        return a.value;
    }

    std::vector<u8> item(u16 key, u64 size) {
        out(0x510, 2, key);
        std::vector<u8> b;
        while (size-- > 0)
            b.push_back(static_cast<u8>(in(0x511, 1)));
        return b;
    }

    u64 number(u16 key, unsigned size) {
        u64 v = 0;
        const auto b = item(key, size);
        std::memcpy(&v, b.data(), size);
        return v;
    }

    /// Starts a transfer by the registers as drivers do; gives the control word afterwards.
    u32 transfer(u32 control, u32 length, u64 address, u64 descriptor = 0x1000) {
        space->write<u32>(Physical{descriptor}, __builtin_bswap32(control), Requester{});
        space->write<u32>(Physical{descriptor + 4}, __builtin_bswap32(length), Requester{});
        space->write<u64>(Physical{descriptor + 8}, __builtin_bswap64(address), Requester{});
        out(0x514, 4, __builtin_bswap32(static_cast<u32>(descriptor >> 32)));
        out(0x518, 4, __builtin_bswap32(static_cast<u32>(descriptor)));
        return __builtin_bswap32(space->read<u32>(Physical{descriptor}, Requester{}));
    }

    std::map<std::string, std::pair<u16, u32>> directory() {
        const auto big = [](const u8* p, unsigned n) {
            u64 v = 0;
            while (n-- > 0)
                v = v << 8 | *p++;
            return v;
        };
        const u64 n = big(item(fw_cfg::file_directory, 4).data(), 4);
        const auto all = item(fw_cfg::file_directory, 4 + 64 * n);
        std::map<std::string, std::pair<u16, u32>> found;
        for (u64 i = 0; i < n; ++i) {
            const u8* e = all.data() + 4 + 64 * i;
            found[reinterpret_cast<const char*>(e + 8)] = {static_cast<u16>(big(e + 4, 2)),
                                                           static_cast<u32>(big(e, 4))};
        }
        return found;
    }

    Glass glass;
    std::unique_ptr<Space> space;
    RamDma dma;
    FwCfg device;
};

/// Saves into a list and loads from it.
struct Recorder : Visitor {
    void number(std::string_view, u64& value, unsigned) override {
        if (load)
            value = numbers.at(at++);
        else
            numbers.push_back(value);
    }

    void bytes(std::string_view, std::span<u8>) override { FAIL(); }

    void blob(std::string_view, std::vector<u8>& data, u64) override {
        if (load)
            data = blobs.at(blob_at++);
        else
            blobs.push_back(data);
    }

    u64 count(std::string_view name, u64 n, u64) override {
        number(name, n, 8);
        return n;
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return load; }

    void refuse(std::string_view why) override { refused = why; }

    bool load = false;
    std::string refused;
    std::vector<u64> numbers;
    std::vector<std::vector<u8>> blobs;
    std::size_t at = 0, blob_at = 0;
};

} // namespace

TEST(FwCfg, PortsAndKnownKeys) {
    Guest g;
    Board board;
    board.apic_ids = {0, 1, 5};
    describe_platform(g.device, board, {2_GiB, 1_GiB}, 5);
    EXPECT_EQ(g.item(0, 6), (std::vector<u8>{'Q', 'E', 'M', 'U', 0, 0}));
    EXPECT_EQ(g.number(1, 4), 3u);
    EXPECT_EQ(g.number(3, 8), 3_GiB);
    EXPECT_EQ(g.number(5, 2), 3u);
    EXPECT_EQ(g.number(0xf, 2), 6u);
    EXPECT_EQ(g.number(0x7777, 8), 0u); // no such key

    const auto files = g.directory();
    for (const char* name :
         {"etc/e820", "etc/acpi/tables", "etc/acpi/facs", "etc/acpi/rsdp", "etc/table-loader",
          "etc/msr_feature_control", "etc/system-states", "etc/smbios/smbios-anchor", "etc/smbios/smbios-tables"})
        EXPECT_TRUE(files.count(name)) << name;
    EXPECT_EQ(g.number(files.at("etc/msr_feature_control").first, 8), 5u);
    EXPECT_EQ(files.at("etc/e820").second, 40u);
    EXPECT_EQ(g.item(files.at("etc/system-states").first, 6), (std::vector<u8>{0x80, 0, 0, 0, 0, 0x80}));
    g.in(0x511, 1);
    g.out(0x511, 1, 7); // writing data does nothing
    EXPECT_EQ(g.glass.counter("fw_cfg.data-write-ignored"), 1u);
}

TEST(FwCfg, FilesInTheOrderOfTheirNames) {
    Guest g;
    g.device.set_file("b", {1});
    g.device.set_file("a", {2, 3});
    g.device.set_file("b", {4, 5, 6});
    EXPECT_EQ(g.item(fw_cfg::file_directory, 13), (std::vector<u8>{0, 0, 0, 2, 0, 0, 0, 2, 0, 0x21, 0, 0, 'a'}));
    EXPECT_EQ(g.item(0x20, 4), (std::vector<u8>{4, 5, 6, 0}));
}

TEST(FwCfg, Dma) {
    Guest g;
    EXPECT_EQ(g.in(0x514, 4), 0x554d4551u); // "QEMU" as bytes in memory order
    EXPECT_EQ(g.in(0x518, 4), 0x47464320u);
    std::vector<u8> data(10000);
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = static_cast<u8>(i * 7);
    g.device.set(0x42, data);
    const auto memory = [&](u64 at, u64 size) {
        std::vector<u8> b(size);
        g.space->read(Physical{at}, b, Requester{});
        return b;
    };
    EXPECT_EQ(g.transfer(0x42 << 16 | fw_cfg::dma_select | fw_cfg::dma_read, 9000, 0x10'0000), 0u);
    EXPECT_EQ(memory(0x10'0000, 9000), std::vector<u8>(data.begin(), data.begin() + 9000));
    EXPECT_EQ(g.transfer(fw_cfg::dma_skip, 500, 0), 0u);
    g.space->write<u64>(Physical{0x20'0000 + 500}, ~0ull, Requester{});
    EXPECT_EQ(g.transfer(fw_cfg::dma_read, 1000, 0x20'0000), 0u); // 500 bytes, then zeros
    auto expected = std::vector<u8>(data.begin() + 9500, data.end());
    expected.resize(1000);
    EXPECT_EQ(memory(0x20'0000, 1000), expected);
    EXPECT_EQ(g.transfer(fw_cfg::dma_write, 4, 0x20'0000), fw_cfg::dma_error);
    EXPECT_EQ(g.transfer(0x9999u << 16 | fw_cfg::dma_select | fw_cfg::dma_read, 8, 0x20'0000), 0u);
    EXPECT_EQ(memory(0x20'0000, 8), std::vector<u8>(8));
}

TEST(FwCfg, HostileDma) {
    Guest g;
    g.device.set(0x42, std::vector<u8>(100, 1));
    const u32 read = 0x42 << 16 | fw_cfg::dma_select | fw_cfg::dma_read;
    EXPECT_EQ(g.transfer(read, 0xffff'ffff, 0x10'0000), fw_cfg::dma_error); // runs out of memory
    EXPECT_EQ(g.transfer(read, 0x100, ~0ull - 4), fw_cfg::dma_error);
    EXPECT_EQ(g.transfer(fw_cfg::dma_skip, 0xffff'ffff, 0), 0u);
    EXPECT_EQ(g.in(0x511, 1), 0u);
    // The transfer overwrites its own descriptor; the result is still written there.
    EXPECT_EQ(g.transfer(read, 0x20, 0x1000), 0u);
    // A descriptor where there is no memory.
    g.out(0x514, 4, 0xffff'ffff);
    g.out(0x518, 4, 0xffff'ffff);
    EXPECT_EQ(g.glass.counter("fw_cfg.dma-descriptor-not-writable"), 1u);
    // Narrow and odd accesses.
    for (unsigned size : {1u, 2u, 4u, 8u})
        for (u16 port = 0x50f; port < 0x51d; ++port) {
            g.in(port, size);
            g.out(port, size, ~0ull);
        }
}

TEST(FwCfg, SnapshotInTheMiddleOfReading) {
    Guest g;
    g.device.set(0x42, {1, 2, 3, 4});
    g.item(0x42, 2);
    g.out(0x514, 4, __builtin_bswap32(0));
    Recorder r;
    g.device.state(r);
    Guest other;
    r.load = true;
    other.device.state(r);
    EXPECT_EQ(r.refused, "");
    EXPECT_EQ(other.in(0x511, 1), 3u);
    EXPECT_EQ(other.item(0, 4), (std::vector<u8>{'Q', 'E', 'M', 'U'}));

    r.numbers[1] = 5; // the position
    r.at = r.blob_at = 0;
    other.device.state(r);
    EXPECT_NE(r.refused, "");
}

TEST(FwCfg, KernelForFirmware) {
    Guest g;
    const auto kernel = firmware::testing::BzImage{}.make();
    const std::vector<u8> initrd{1, 2, 3};
    BootRequest request;
    request.kernel = firmware::testing::file_of(kernel);
    request.initrd = firmware::testing::file_of(initrd);
    request.append = "abc";
    ASSERT_TRUE(offer_kernel(g.device, request).ok());
    EXPECT_EQ(g.number(fw_cfg::setup_size, 4), 2048u);
    EXPECT_EQ(g.number(fw_cfg::kernel_size, 4), kernel.size() - 2048);
    EXPECT_EQ(g.item(fw_cfg::kernel_data, 4), (std::vector<u8>{1, 2, 3, 4}));
    EXPECT_EQ(g.item(fw_cfg::cmdline_data, 4), (std::vector<u8>{'a', 'b', 'c', 0}));
    EXPECT_EQ(g.number(fw_cfg::initrd_size, 4), 3u);
    const std::vector<u8> other{1, 2, 3};
    request.kernel = firmware::testing::file_of(other);
    EXPECT_TRUE(firmware::testing::says(offer_kernel(g.device, request).error().message, {"bzImage"}));
}
