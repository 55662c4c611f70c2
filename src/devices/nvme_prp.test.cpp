// SPDX-License-Identifier: Apache-2.0
// Tests of PRP resolution: every shape of first and last page, lists inside and across pages, lists that are wrong or
// endless.
#include "devices/nvme_prp.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace vitrine::nvme {

namespace {

/// Sparse memory of 64-bit entries; reads are counted.
struct Lists {
    std::map<u64, u64> words;
    unsigned reads = 0;
    u64 bytes = 0;

    ReadMemory reader() {
        return [this](DeviceAddress from, std::span<u8> to) {
            ++reads;
            bytes += to.size();
            EXPECT_EQ(from.value / page_size, (from.value + to.size() - 1) / page_size);
            for (u64 i = 0; i < to.size(); i += 8) {
                const auto found = words.find(from.value + i);
                if (found == words.end())
                    return false;
                std::memcpy(to.data() + i, &found->second, 8);
            }
            return true;
        };
    }
};

u64 total(const Pieces& p) {
    u64 n = 0;
    for (const auto& piece : p.all())
        n += piece.length;
    return n;
}

} // namespace

TEST(Prps, OnePage) {
    Lists lists;
    Pieces p;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1004, 0xdead, 512, p), success);
    ASSERT_EQ(p.count, 1u);
    EXPECT_EQ(p.list[0].address.value, 0x1004u);
    EXPECT_EQ(p.list[0].length, 512u);
    EXPECT_EQ(lists.reads, 0u);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1ff0, 0x2000, 16, p), success); // ends exactly at the page's end
    EXPECT_EQ(p.count, 1u);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1002, 0, 512, p), invalid_prp_offset);
}

TEST(Prps, TwoPages) {
    Lists lists;
    Pieces p;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1e00, 0x5000, 1024, p), success);
    ASSERT_EQ(p.count, 2u);
    EXPECT_EQ(p.list[1].address.value, 0x5000u);
    EXPECT_EQ(p.list[1].length, 512u);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1000, 0x5000, 8192, p), success);
    EXPECT_EQ(p.count, 2u);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1e00, 0x5008, 1024, p), invalid_prp_offset);
    EXPECT_EQ(lists.reads, 0u);
}

TEST(Prps, ListReadOnceAndNoFurtherThanNeeded) {
    Lists lists;
    for (u64 i = 0; i < 3; ++i)
        lists.words[0x9010 + 8 * i] = 0x20000 + i * 0x1000;
    Pieces p;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1800, 0x9010, 2048 + 3 * 4096 - 512, p), success);
    ASSERT_EQ(p.count, 4u);
    EXPECT_EQ(p.list[3].length, 4096u - 512);
    EXPECT_EQ(lists.reads, 1u);
    EXPECT_EQ(lists.bytes, 24u);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1800, 0x9014, 16384, p), invalid_prp_offset);
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1800, 0x8000, 16384, p), data_transfer_error);
    lists.words[0x9018] = 0x21004;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1800, 0x9010, 2048 + 3 * 4096, p), invalid_prp_offset);
}

TEST(Prps, ListAcrossPages) {
    // Two slots left in the first list's page: one entry, then the pointer to the next list.
    Lists lists;
    lists.words[0x9ff0] = 0x20000;
    lists.words[0x9ff8] = 0xa000;
    for (u64 i = 0; i < 31; ++i)
        lists.words[0xa000 + 8 * i] = 0x30000 + i * 0x1000;
    Pieces p;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1000, 0x9ff0, largest_transfer, p), success);
    EXPECT_EQ(p.count, 32u);
    EXPECT_EQ(total(p), largest_transfer);
    EXPECT_EQ(p.list[1].address.value, 0x20000u);
    EXPECT_EQ(p.list[2].address.value, 0x30000u);
    EXPECT_EQ(lists.reads, 2u);
    // The last slot is an entry when nothing follows it.
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1000, 0x9ff0, 3 * 4096, p), success);
    EXPECT_EQ(p.list[2].address.value, 0xa000u);
    // A pointer alone in its page.
    lists.words[0x9ff8] = 0xa000;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1000, 0x9ff8, 4 * 4096, p), success);
    EXPECT_EQ(p.list[1].address.value, 0x30000u);
    // The next list must begin a page.
    lists.words[0x9ff8] = 0xa008;
    EXPECT_EQ(resolve_prps(lists.reader(), 0x1000, 0x9ff0, 4 * 4096, p), invalid_prp_offset);
}

TEST(Prps, EveryLengthAndOffsetAddsUp) {
    Lists lists;
    for (u64 at = 0x9000; at < 0xa000; at += 8)
        lists.words[at] = 0x100000 + (at - 0x9000) / 8 * 0x1000;
    for (u64 at = 0xa000; at < 0xb000; at += 8)
        lists.words[at] = 0x800000 + (at - 0xa000) / 8 * 0x1000;
    lists.words[0x9ff8] = 0xa000;
    std::mt19937 random(7);
    for (unsigned i = 0; i < 20000; ++i) {
        const u64 length = 1 + random() % largest_transfer, offset = random() % 1024 * 4;
        const u64 list = 0x9000 + random() % 512 * 8;
        Pieces p;
        const bool two = length > page_size - offset && length - (page_size - offset) <= page_size;
        ASSERT_EQ(resolve_prps(lists.reader(), 0x1000 + offset, two ? 0x9000 : list, length, p), success);
        ASSERT_EQ(total(p), length);
        for (unsigned n = 0; n < p.count; ++n) {
            ASSERT_TRUE(n == 0 || p.list[n].address.page_offset() == 0);
            ASSERT_LE(p.list[n].address.page_offset() + p.list[n].length, page_size);
        }
    }
}

TEST(Prps, RandomListsEnd) {
    std::mt19937_64 random(9);
    u64 reads = 0;
    const ReadMemory any = [&](DeviceAddress, std::span<u8> to) {
        ++reads;
        for (u8& b : to)
            b = static_cast<u8>(random());
        for (std::size_t i = 0; i + 8 <= to.size(); i += 8)
            if (random() % 8)
                to[i] = to[i + 1] = 0; // usually aligned
        return random() % 16 != 0;
    };
    for (unsigned i = 0; i < 20000; ++i) {
        Pieces p;
        const Status s = resolve_prps(any, random(), random(), 1 + random() % largest_transfer, p);
        ASSERT_TRUE(s == success || s == invalid_prp_offset || s == data_transfer_error);
        ASSERT_LE(p.count, Pieces::limit);
    }
    EXPECT_LE(reads, 3u * 20000);
}

} // namespace vitrine::nvme
