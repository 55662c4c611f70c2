// SPDX-License-Identifier: Apache-2.0
// Tests of the gdb packet layer: framing, escapes, noise and hostile streams.
#include "debug/packets.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;
using namespace vitrine::debug;

namespace {

void feed(PacketReader& r, std::string_view text) {
    r.feed({reinterpret_cast<const u8*>(text.data()), text.size()});
}

} // namespace

TEST(Packets, RoundTripWithEscapes) {
    PacketReader r;
    feed(r, "+");
    const std::string text = framed("X}#$*\x03y");
    for (const char c : text)
        feed(r, std::string(1, c));
    const auto item = r.next();
    ASSERT_TRUE(item);
    EXPECT_EQ(item->kind, PacketReader::Kind::packet);
    EXPECT_EQ(item->body, "X}#$*\x03y");
    EXPECT_FALSE(r.next());
}

TEST(Packets, ChecksumsAndInterrupts) {
    PacketReader r;
    feed(r, "$g#00\x03$g#67");
    EXPECT_EQ(r.next()->kind, PacketReader::Kind::bad);
    EXPECT_EQ(r.next()->kind, PacketReader::Kind::interrupt);
    EXPECT_EQ(r.next()->body, "g");
}

TEST(Packets, EndlessPacketsAreRefused) {
    PacketReader r;
    feed(r, "$" + std::string(2 * PacketReader::largest, 'a'));
    EXPECT_EQ(r.next()->kind, PacketReader::Kind::bad);
    feed(r, framed("?"));
    EXPECT_EQ(r.next()->body, "?");
}

TEST(Packets, AnyBytesAreSurvived) {
    std::mt19937 random(1);
    PacketReader r;
    for (int i = 0; i < 20000; ++i) {
        std::string junk(random() % 40, ' ');
        for (char& c : junk)
            c = "$#}*+-\x03\xff g0"[random() % 12];
        feed(r, junk);
        while (r.next())
            ;
    }
}

TEST(Hex, Numbers) {
    std::string_view text = "1fF,2";
    EXPECT_EQ(take_hex(text), 0x1ffu);
    EXPECT_EQ(text, ",2");
    EXPECT_FALSE(take_hex(text));
    EXPECT_EQ(from_hex("4142"), "AB");
    EXPECT_FALSE(from_hex("414"));
    EXPECT_FALSE(from_hex("4g"));
}
