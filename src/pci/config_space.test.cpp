// SPDX-License-Identifier: Apache-2.0
// Tests of the masked array: partial writes, write-one-to-clear, sticky bits, resets, names.
#include "pci/config_space.h"

#include "pci/spec/capabilities.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::pci;

TEST(ConfigSpace, MasksWorkByteByByte) {
    ConfigSpace c;
    c.add(vendor_id, 2, "VID", 0x8086);
    c.add(command);
    c.add(status, 0, 0x10);
    c.write(0, 4, 0xffffffff);
    EXPECT_EQ(c.read(0, 4), 0x00008086u);
    c.write(command_offset, 2, 0xffff);
    EXPECT_EQ(c.read(command_offset, 2), 0x0547u);
    c.write(command_offset + 1, 1, 0);
    EXPECT_EQ(c.read(command_offset, 2), 0x0047u);
}

TEST(ConfigSpace, WritingOneClears) {
    ConfigSpace c;
    c.add(status, 0, 0x10);
    c.set(status, status.received_master_abort, 1);
    c.set(status, status.signaled_target_abort, 1);
    EXPECT_EQ(c.read(status_offset, 2), 0x2810u);
    c.write(status_offset, 2, 0x2000);
    EXPECT_EQ(c.read(status_offset, 2), 0x0810u);
    c.write(status_offset, 1, 0xff);
    EXPECT_EQ(c.read(status_offset, 2), 0x0810u);
}

TEST(ConfigSpace, StickyBitsSurviveAllButColdReset) {
    ConfigSpace c;
    c.add(0x104, 4, "UESTS", 0);
    c.clearable(0x104, 4, 0xff);
    c.sticky(0x104, 4, 0xf0);
    c.set(0x104, 4, 0xff);
    c.reset(false);
    EXPECT_EQ(c.read(0x104, 4), 0xf0u);
    c.reset(true);
    EXPECT_EQ(c.read(0x104, 4), 0u);
}

TEST(ConfigSpace, UndeclaredBytesReadZeroAndStay) {
    ConfigSpace c;
    c.write(0xffc, 4, 0x12345678);
    EXPECT_EQ(c.read(0xffc, 4), 0u);
}

TEST(ConfigSpace, RegistersAreSortedAndNamed) {
    ConfigSpace c;
    c.add(status);
    c.add(command);
    c.add(device_control, 0x70);
    ASSERT_EQ(c.registers().size(), 3u);
    EXPECT_STREQ(c.registers()[0].name, "COMMAND");
    EXPECT_STREQ(c.registers()[2].name, "DEVCTL");
    EXPECT_EQ(c.registers()[2].offset, 0x78u);
    EXPECT_STREQ(c.registers()[0].fields[2].name(), "BME");
}
