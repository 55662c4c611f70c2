// SPDX-License-Identifier: Apache-2.0
// Tests of line editing: the keys, the echo, and bytes from anywhere.
#include "debug/line_editor.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;
using namespace vitrine::debug;

namespace {

std::vector<std::string> type(LineEditor& editor, std::string_view text) {
    std::vector<std::string> lines;
    for (const char c : text)
        if (auto line = editor.take(static_cast<u8>(c)))
            lines.push_back(*line);
    return lines;
}

using Lines = std::vector<std::string>;

} // namespace

TEST(LineEditor, EndsLinesOnce) {
    LineEditor editor(false);
    EXPECT_EQ(type(editor, "one\r\ntwo\nthree\r\rfour"), (Lines{"one", "two", "three", ""}));
    EXPECT_EQ(editor.take_echo(), "");
    EXPECT_EQ(type(editor, "\n"), (Lines{"four"}));
}

TEST(LineEditor, ErasesAndEchoes) {
    LineEditor editor(true);
    EXPECT_EQ(type(editor, "ab\x7f\x08\x08"
                           "c\r"),
              (Lines{"c"}));
    EXPECT_EQ(editor.take_echo(), "ab\b \b\b \bc\r\n");
    EXPECT_EQ(type(editor, "junk\x15ok\r"), (Lines{"ok"}));
    EXPECT_EQ(type(editor, "gone\x03\r"), (Lines{""}));
}

TEST(LineEditor, RemembersLines) {
    LineEditor editor(true);
    EXPECT_EQ(type(editor, "first\rsecond\r\x1b[A\r"), (Lines{"first", "second", "second"}));
    EXPECT_EQ(type(editor, "\x1b[A\x1b[A\x1b[A!\r"), (Lines{"first!"}));
    EXPECT_EQ(type(editor, "\x1b[A\x1b[Bx\r"), (Lines{"x"}));
    EXPECT_EQ(type(editor, "a\x1b[1;5Cb\r"), (Lines{"ab"})) << "a sequence that means nothing";
}

TEST(LineEditor, SurvivesAnything) {
    LineEditor editor(true);
    std::mt19937 random(1);
    for (unsigned i = 0; i < 200000; ++i) {
        (void)editor.take(static_cast<u8>(i % 3 ? random() : "\x1b[AB\r\n\x7f"[random() % 7]));
        ASSERT_LE(editor.take_echo().size(), 8 * LineEditor::longest);
    }
}
