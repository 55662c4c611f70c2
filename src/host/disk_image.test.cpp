// SPDX-License-Identifier: Apache-2.0
// Tests of disk images: the four modes against a plain array, what stays untouched, what is refused, locks, overlays,
// snapshots.
#include "host/disk_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

namespace vitrine::host {

namespace {

namespace fs = std::filesystem;

/// State as a list of bytes, without names.
class Bytes : public Visitor {
public:
    explicit Bytes(bool loading = false, std::vector<u8> from = {}) : data(std::move(from)), loading_(loading) {}

    void number(std::string_view, u64& value, unsigned width) override { raw(reinterpret_cast<u8*>(&value), width); }

    void bytes(std::string_view, std::span<u8> b) override { raw(b.data(), b.size()); }

    void blob(std::string_view, std::vector<u8>&, u64) override {}

    u64 count(std::string_view, u64 n, u64 limit) override {
        raw(reinterpret_cast<u8*>(&n), 8);
        return std::min(n, limit);
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return loading_; }

    void refuse(std::string_view) override {}

    std::vector<u8> data;

private:
    void raw(u8* p, std::size_t n) {
        if (!loading_)
            data.insert(data.end(), p, p + n);
        else if (at_ + n <= data.size())
            std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at_), n, p), at_ += n;
    }

    bool loading_;
    std::size_t at_ = 0;
};

struct Disk : testing::Test {
    fs::path directory;

    Disk() {
        std::string name = (fs::temp_directory_path() / "disk-image-XXXXXX").string();
        directory = mkdtemp(name.data());
    }

    ~Disk() override { fs::remove_all(directory); }

    std::string path(const char* name) const { return (directory / name).string(); }

    std::string make(const char* name, u64 size, unsigned seed = 1) const {
        std::mt19937_64 random(seed);
        std::vector<char> data(size);
        for (char& c : data)
            c = static_cast<char>(random());
        std::ofstream(path(name), std::ios::binary).write(data.data(), static_cast<std::streamsize>(size));
        return path(name);
    }

    static std::vector<u8> contents(const std::string& name) {
        std::ifstream in(name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    static std::unique_ptr<DiskImage> open(const DiskOptions& options) {
        auto disk = DiskImage::open(options);
        EXPECT_TRUE(disk.ok()) << (disk.ok() ? "" : disk.error().message);
        return disk.ok() ? std::move(disk).value() : nullptr;
    }

    static std::string refusal(const DiskOptions& options) {
        auto disk = DiskImage::open(options);
        return disk.ok() ? "" : disk.error().message;
    }

    static std::vector<u8> whole(DiskImage& disk) {
        std::vector<u8> data(disk.size());
        EXPECT_TRUE(disk.read(0, data).ok());
        return data;
    }

    /// Random reads, writes and discards against a plain array.
    static void exercise(DiskImage& disk, std::vector<u8>& model, unsigned seed, unsigned steps = 400) {
        std::mt19937_64 random(seed);
        for (unsigned i = 0; i < steps; ++i) {
            const u64 sectors = disk.size() / 512, first = random() % sectors;
            const u64 count = std::min(sectors - first, 1 + random() % (random() % 8 ? 20 : 300));
            const auto at = static_cast<std::ptrdiff_t>(first * 512);
            const u64 n = count * 512;
            if (random() % 5 == 0) {
                ASSERT_TRUE(disk.discard(first * 512, n).ok());
                std::fill_n(model.begin() + at, n, u8{0});
            } else if (random() % 2) {
                std::vector<u8> data(n);
                for (u8& b : data)
                    b = static_cast<u8>(random());
                ASSERT_TRUE(disk.write(first * 512, data).ok());
                std::copy(data.begin(), data.end(), model.begin() + at);
            } else {
                std::vector<u8> data(n);
                ASSERT_TRUE(disk.read(first * 512, data).ok());
                ASSERT_TRUE(std::equal(data.begin(), data.end(), model.begin() + at)) << i;
            }
            ASSERT_TRUE(i % 50 || disk.flush().ok());
        }
        ASSERT_EQ(whole(disk), model);
    }
};

constexpr u64 size = 1_MiB + 512 * 3; // the last cluster is not whole

} // namespace

TEST_F(Disk, WritesTheFileItself) {
    const std::string file = make("a.img", size);
    std::vector<u8> model = contents(file);
    exercise(*open({.file = file}), model, 2);
    EXPECT_EQ(contents(file), model);
}

TEST_F(Disk, DiscardModeLeavesTheFile) {
    const std::string file = make("a.img", size);
    const std::vector<u8> before = contents(file);
    std::vector<u8> model = before;
    exercise(*open({.file = file, .mode = DiskMode::discard}), model, 3);
    EXPECT_EQ(contents(file), before);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1);
}

TEST_F(Disk, ReadOnlyRefusesWrites) {
    const std::string file = make("a.img", size);
    fs::permissions(file, fs::perms::owner_read);
    const auto disk = open({.file = file, .mode = DiskMode::read_only});
    EXPECT_EQ(whole(*disk), contents(file));
    const std::vector<u8> data(512);
    EXPECT_FALSE(disk->write(0, data).ok());
    EXPECT_FALSE(disk->discard(0, 512).ok());
    EXPECT_TRUE(disk->flush().ok());
    EXPECT_TRUE(disk->read_only());
}

TEST_F(Disk, OverlayKeepsWritesBetweenRuns) {
    const std::string file = make("a.img", size), over = path("a.overlay");
    const std::vector<u8> before = contents(file);
    std::vector<u8> model = before;
    for (unsigned run = 0; run < 4; ++run)
        exercise(*open({.file = file, .mode = DiskMode::overlay, .overlay = over}), model, 10 + run, 60);
    EXPECT_EQ(contents(file), before);
    EXPECT_EQ(whole(*open({.file = file, .mode = DiskMode::overlay, .overlay = over})), model);
}

TEST_F(Disk, WhatWasFlushedSurvivesACrash) {
    const std::string file = make("a.img", size), over = path("a.overlay"), copy = path("copy.overlay");
    const auto disk = open({.file = file, .mode = DiskMode::overlay, .overlay = over});
    const std::vector<u8> data(4096, 0x55);
    ASSERT_TRUE(disk->write(8192, data).ok());
    ASSERT_TRUE(disk->flush().ok());
    ASSERT_TRUE(disk->write(65536, data).ok());
    fs::copy_file(over, copy); // as a crash would leave it
    const auto after = open({.file = file, .mode = DiskMode::overlay, .overlay = copy});
    std::vector<u8> model = contents(file);
    std::fill_n(model.begin() + 8192, 4096, u8{0x55});
    EXPECT_EQ(whole(*after), model); // the second write has no bit yet: the image shows
}

TEST_F(Disk, OverlayIsSparse) {
    const std::string file = path("big.img"), over = path("big.overlay");
    std::ofstream(file).put('x');
    fs::resize_file(file, 1_GiB);
    {
        const auto disk = open({.file = file, .mode = DiskMode::overlay, .overlay = over});
        const std::vector<u8> data(512, 1);
        ASSERT_TRUE(disk->write(512_MiB + 512, data).ok());
        ASSERT_TRUE(disk->discard(0, 1_GiB).ok());
        ASSERT_TRUE(disk->write(700_MiB, data).ok());
        std::vector<u8> first(512, 9);
        ASSERT_TRUE(disk->read(0, first).ok());
        EXPECT_EQ(first, std::vector<u8>(512));
    }

    struct stat info {};

    ASSERT_EQ(stat(over.c_str(), &info), 0);
    EXPECT_LT(info.st_blocks * 512, 1 << 20);
}

TEST_F(Disk, BadImages) {
    EXPECT_NE(refusal({.file = path("none.img")}).find("none.img"), std::string::npos);
    EXPECT_NE(refusal({.file = directory.string(), .mode = DiskMode::read_only}).find("neither"), std::string::npos);
    EXPECT_NE(refusal({.file = "/dev/null"}).find("neither"), std::string::npos);
    EXPECT_NE(refusal({.file = make("empty.img", 0)}).find("empty"), std::string::npos);
    const std::string odd = refusal({.file = make("odd.img", 1000)});
    EXPECT_NE(odd.find("1000 bytes, which is no multiple of 512"), std::string::npos) << odd;
    EXPECT_EQ(DiskImage::open({.file = path("none.img")}).error().status, Status::usage);
}

TEST_F(Disk, AccessesBeyondTheEndAreErrors) {
    const auto disk = open({.file = make("a.img", size)});
    std::vector<u8> data(1024);
    EXPECT_FALSE(disk->read(size - 512, data).ok());
    EXPECT_FALSE(disk->write(size, data).ok());
    EXPECT_FALSE(disk->discard(~0ull - 100, 512).ok());
    EXPECT_FALSE(disk->discard(0, ~0ull).ok());
}

TEST_F(Disk, OneWriterOrManyReaders) {
    const std::string file = make("a.img", size), over = path("a.overlay");
    {
        const auto writer = open({.file = file});
        EXPECT_NE(refusal({.file = file}).find("in use"), std::string::npos);
        EXPECT_NE(refusal({.file = file, .mode = DiskMode::read_only}).find("in use"), std::string::npos);
        EXPECT_NE(refusal({.file = file, .mode = DiskMode::discard}).find("in use"), std::string::npos);
    }
    const auto one = open({.file = file, .mode = DiskMode::read_only});
    const auto two = open({.file = file, .mode = DiskMode::discard});
    const auto three = open({.file = file, .mode = DiskMode::overlay, .overlay = over});
    EXPECT_NE(refusal({.file = file}).find("in use"), std::string::npos);
    EXPECT_NE(refusal({.file = file, .mode = DiskMode::overlay, .overlay = over}).find("a.overlay' is in use"),
              std::string::npos);
}

TEST_F(Disk, BadOverlays) {
    const std::string file = make("a.img", size), over = path("a.overlay");
    const DiskOptions options{.file = file, .mode = DiskMode::overlay, .overlay = over};
    const auto fresh = [&] {
        fs::remove(over);
        const auto disk = open(options);
        const std::vector<u8> data(512, 1);
        ASSERT_TRUE(disk->write(4096, data).ok());
    };
    const auto patch = [&](u64 at, u8 value) {
        std::fstream out(over, std::ios::in | std::ios::out | std::ios::binary);
        out.seekp(static_cast<std::streamoff>(at));
        out.put(static_cast<char>(value));
    };
    const auto says = [&](std::string_view text) {
        const std::string why = refusal(options);
        EXPECT_NE(why.find(text), std::string::npos) << why;
        EXPECT_NE(why.find("a.overlay"), std::string::npos) << why;
    };
    fresh();
    EXPECT_EQ(refusal(options), "");
    patch(0, 'X');
    says("does not begin as one");
    fresh();
    patch(8, 2);
    says("version 2");
    fresh();
    patch(20, 0xff);
    says("header is damaged");
    fresh();
    patch(4096 + 100, 0x80);
    says("bitmap is damaged");
    fresh();
    fs::resize_file(over, fs::file_size(over) - 4096);
    says("bytes instead of");
    fs::resize_file(over, 100);
    says("too short");
    fresh();
    make("b.img", size - 512);
    EXPECT_NE(
        refusal({.file = path("b.img"), .mode = DiskMode::overlay, .overlay = over}).find("was made for an image of"),
        std::string::npos);
    EXPECT_NE(refusal({.file = file, .mode = DiskMode::overlay, .overlay = file}).find("is the disk image itself"),
              std::string::npos);
    EXPECT_NE(refusal({.file = file, .mode = DiskMode::overlay, .overlay = path("no/where")}).find("no/where"),
              std::string::npos);
    // Touched but the same is fine; changed is not.
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));
    EXPECT_EQ(refusal(options), "");
    {
        std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
        out.put('!');
    }
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(9));
    says("was changed since");
}

TEST_F(Disk, AFullHostIsSaidSo) {
    const std::string file = make("a.img", size);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{65536, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    auto disk = DiskImage::open({.file = file, .mode = DiskMode::overlay, .overlay = path("a.overlay")});
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_FALSE(disk.ok());
    EXPECT_EQ(disk.error().status, Status::host_short);
    EXPECT_EQ(std::distance(fs::directory_iterator(directory), {}), 1); // nothing half-made is left
}

TEST_F(Disk, HashesAndDigest) {
    const std::string file = make("a.img", size), same = make("b.img", size), other = make("c.img", size, 2);
    const auto a = open({.file = file, .mode = DiskMode::discard}), b = open({.file = same, .mode = DiskMode::discard}),
               c = open({.file = other, .mode = DiskMode::read_only});
    const ContentHash at_first = a->content_hash().value();
    EXPECT_EQ(at_first, b->content_hash().value());
    EXPECT_EQ(at_first, a->image_hash().value());
    EXPECT_NE(at_first, c->content_hash().value());
    EXPECT_EQ(a->digest(), ContentHash{});
    const std::vector<u8> data(512, 7);
    ASSERT_TRUE(a->write(1024, data).ok());
    EXPECT_NE(a->digest(), b->digest());
    ASSERT_TRUE(b->write(1024, data).ok());
    EXPECT_EQ(a->digest(), b->digest());
    EXPECT_EQ(a->content_hash().value(), b->content_hash().value());
    EXPECT_NE(a->content_hash().value(), at_first);
    EXPECT_EQ(a->image_hash().value(), at_first);
    ASSERT_TRUE(a->discard(0, 512).ok());
    EXPECT_NE(a->digest(), b->digest());
}

TEST_F(Disk, ProtectedImagesAreNotWritten) {
    const std::string file = make("a.img", size);
    const auto disk = open({.file = file});
    std::vector<u8> model = contents(file);
    exercise(*disk, model, 5, 50);
    ASSERT_TRUE(disk->protect().ok());
    const std::vector<u8> before = contents(file);
    exercise(*disk, model, 6, 50);
    EXPECT_EQ(contents(file), before);
    EXPECT_NE(model, before);
}

TEST_F(Disk, SnapshotAndRestore) {
    for (const DiskMode mode : {DiskMode::write, DiskMode::overlay, DiskMode::discard}) {
        const std::string file = make("a.img", size), over = path("a.overlay");
        fs::remove(over);
        std::vector<u8> model = contents(file);
        Bytes saved;
        std::vector<u8> at_snapshot;
        ContentHash digest;
        {
            const auto disk = open({.file = file, .mode = mode, .overlay = over});
            exercise(*disk, model, 7, 60);
            at_snapshot = model;
            digest = disk->digest();
            ASSERT_TRUE(disk->snapshot(saved).ok());
            exercise(*disk, model, 8, 60);
        }
        const std::vector<u8> over_before = mode == DiskMode::overlay ? contents(over) : std::vector<u8>{};
        const auto disk = open({.file = file, .mode = mode, .overlay = over});
        Bytes from(true, saved.data);
        ASSERT_TRUE(disk->snapshot(from).ok());
        EXPECT_EQ(whole(*disk), at_snapshot);
        EXPECT_EQ(disk->digest(), digest);
        exercise(*disk, at_snapshot, 8, 60);
        EXPECT_EQ(at_snapshot, model); // run goes on as it did
        EXPECT_TRUE(mode != DiskMode::overlay || contents(over) == over_before);
        Bytes again;
        ASSERT_TRUE(disk->snapshot(again).ok());
    }
}

TEST_F(Disk, SnapshotsOfOtherImagesAreRefused) {
    const auto a = open({.file = make("a.img", size), .mode = DiskMode::discard});
    Bytes saved;
    ASSERT_TRUE(a->snapshot(saved).ok());
    const auto load = [&](std::unique_ptr<DiskImage> disk, std::vector<u8> data) {
        Bytes from(true, std::move(data));
        const Expected<> done = disk->snapshot(from);
        return done.ok() ? "" : done.error().message;
    };
    EXPECT_NE(load(open({.file = make("b.img", size, 9), .mode = DiskMode::discard}), saved.data)
                  .find("is not the disk image"),
              std::string::npos);
    EXPECT_NE(load(open({.file = make("c.img", size + 512), .mode = DiskMode::discard}), saved.data).find("bytes"),
              std::string::npos);
    const std::vector<u8> data(512, 7);
    ASSERT_TRUE(a->write(1024, data).ok());
    Bytes written;
    ASSERT_TRUE(a->snapshot(written).ok());
    EXPECT_NE(load(open({.file = path("a.img"), .mode = DiskMode::read_only}), written.data).find("read only"),
              std::string::npos);
    std::vector<u8> bad = written.data;
    bad[8 + 32 + 8 + 5] = 0xff; // the number of the first cluster
    EXPECT_NE(load(open({.file = path("a.img"), .mode = DiskMode::discard}), bad).find("beyond the end"),
              std::string::npos);
}

} // namespace vitrine::host
