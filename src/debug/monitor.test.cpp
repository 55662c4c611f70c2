// SPDX-License-Identifier: Apache-2.0
// Tests of the monitor and of gdb's packets on a machine that stands still: all is answered, no hash changes.
#include "debug/monitor.h"

#include "debug/gdb_server.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;
using namespace vitrine::debug;

namespace {

std::unique_ptr<machine::Machine> make_machine(unsigned cpus = 2) {
    machine::MachineConfig config;
    config.memory = 16_MiB;
    config.cpus = cpus;
    config.serial_ports = 1;
    machine::Streams streams;
    streams.serial.push_back(nullptr);
    auto made = machine::Machine::create(std::move(config), streams, std::make_unique<Glass>());
    EXPECT_TRUE(made.ok()) << made.error().message;
    EXPECT_TRUE(made.value()->power_on().ok());
    return std::move(made).value();
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST(Monitor, EveryCommandAnswersAndChangesNothing) {
    const auto m = make_machine();
    Monitor monitor(*m);
    monitor.set_explain([](std::string_view what) { return "about " + std::string(what) + "\n"; });
    const auto before = m->hash().text();
    for (const Monitor::Command& c : Monitor::commands()) {
        const std::string name(c.name);
        if (name == "trace")
            continue;
        std::string line = name;
        for (unsigned i = 0; i < c.least; ++i)
            line += name == "device" ? " cpu0" : " 16";
        const MonitorReply reply = monitor.run(line);
        EXPECT_TRUE(!reply.text.empty() || reply.action != MonitorAction::none || name == "cpu") << line;
        EXPECT_TRUE(has(monitor.run("help " + name).text, c.help)) << name;
        EXPECT_TRUE(has(monitor.run(name + " 1 2 3 4 5 6 7 8 9 10").text, "usage: " + name)) << name;
    }
    EXPECT_EQ(m->hash().text(), before);
}

TEST(Monitor, ReadsMemory) {
    const auto m = make_machine();
    Monitor monitor(*m);
    m->space().write<u64>(Physical{0x1000}, u64{0x1122'3344'5566'7788}, Requester{});
    m->space().write<u64>(Physical{0x1008}, u64{0xffff'fffe'0000'6948}, Requester{});
    EXPECT_EQ(monitor.run("xp/2xg 0x1000").text, "0000000000001000: 1122334455667788 fffffffe00006948\n");
    EXPECT_EQ(monitor.run("x /1xw 4096+4").text, "0000000000001004: 11223344\n");
    EXPECT_TRUE(has(monitor.run("x/1dw 0x100c").text, " -2\n"));
    EXPECT_EQ(monitor.run("x/s 0x1008").text, "0000000000001008: \"Hi\"\n");
    EXPECT_EQ(monitor.run("xp/2c 0x1008").text, "0000000000001008: 'H' 'i'\n");
    EXPECT_TRUE(has(monitor.run("xp 0x10000000").text, "nothing there"));
    EXPECT_TRUE(has(monitor.run("xp 0xfec00000").text, "a device's"));
    EXPECT_TRUE(has(monitor.run("x/0x 0").text, "not a format"));
    EXPECT_TRUE(has(monitor.run("x/99999x 0").text, "not a format"));
    EXPECT_TRUE(has(monitor.run("x $nonsense").text, "not an address"));
    EXPECT_TRUE(has(monitor.run("walk 0x1000").text, "paging is off"));
}

TEST(Monitor, TellsWhatWouldBeRight) {
    const auto m = make_machine();
    Monitor monitor(*m);
    EXPECT_EQ(monitor.run("regsters").text,
              "regsters: no such command; the nearest is `registers`, and `help` lists all\n");
    EXPECT_EQ(monitor.run("st").text, "st: may be stats stop step\n");
    EXPECT_EQ(monitor.run("info registers").text, monitor.run("reg").text);
    EXPECT_EQ(monitor.run("cpu 7").text, "7: there are processors 0 to 1\n");
    EXPECT_TRUE(has(monitor.run("device uart").text, "no such device"));
    EXPECT_TRUE(has(monitor.run("trace fish on").text, "topics are cpu"));
    EXPECT_EQ(monitor.run("   ").text, "");
    EXPECT_EQ(monitor.run("step 5").steps, 5u);
    EXPECT_EQ(monitor.run("cont").action, MonitorAction::go);
}

TEST(Gdb, AnswersPackets) {
    const auto m = make_machine();
    auto server = GdbServer::listen(0);
    ASSERT_TRUE(server.ok());
    GdbServer& gdb = *server.value();
    gdb.attach(*m, GdbArchitecture::x86_64, false);
    const auto before = m->hash().text();
    EXPECT_EQ(gdb.answer("qfThreadInfo"), "m1,2");
    EXPECT_EQ(gdb.answer("Hg2"), "OK");
    EXPECT_EQ(gdb.answer("Hg3"), "E01");
    EXPECT_EQ(gdb.answer("Hg1"), "OK");
    EXPECT_EQ(gdb.answer("p10"), "f0ff000000000000") << "rip after reset";
    EXPECT_EQ(gdb.answer("m0,4"), "00000000");
    EXPECT_EQ(gdb.answer("mfffffe,4"), "0000") << "up to the end of RAM";
    EXPECT_EQ(gdb.answer("mfee00000,4"), "E01") << "a device";
    EXPECT_EQ(gdb.answer("vMustReplyEmpty"), "");
    EXPECT_EQ(gdb.answer("Z2,1000,0"), "E01");
    EXPECT_EQ(gdb.answer("Z0,1000,1"), "OK");
    EXPECT_EQ(gdb.answer("Z4,1000,8"), "OK");
    EXPECT_EQ(gdb.answer("z4,1000,8"), "OK");
    EXPECT_EQ(gdb.answer("z0,1000,1"), "OK");
    const auto registers = gdb.answer("g");
    EXPECT_EQ(m->hash().text(), before) << "looking changes nothing";

    EXPECT_EQ(gdb.answer("X2000,3:abc"), "OK");
    EXPECT_EQ(gdb.answer("m2000,4"), "61626300");
    EXPECT_EQ(gdb.answer("X2000,3:ab"), "E01");
    EXPECT_EQ(gdb.answer("P0=1122334455667788"), "OK");
    EXPECT_EQ(m->cpu(0).gpr[rax], 0x8877'6655'4433'2211u);
    EXPECT_EQ(gdb.answer("G" + *registers), "OK");
    EXPECT_EQ(gdb.answer("g"), registers) << "what is written back is what was read";
}

TEST(Gdb, AnyPacketIsAnswered) {
    const auto m = make_machine();
    auto server = GdbServer::listen(0);
    ASSERT_TRUE(server.ok());
    GdbServer& gdb = *server.value();
    gdb.attach(*m, GdbArchitecture::i386, false);
    std::mt19937 random(1);
    static constexpr std::string_view starts[] = {"g",
                                                  "G",
                                                  "p",
                                                  "P",
                                                  "m",
                                                  "M",
                                                  "X",
                                                  "Z0,",
                                                  "z2,",
                                                  "Hg",
                                                  "T",
                                                  "qXfer:features:read:target.xml:",
                                                  "qXfer:threads:read::",
                                                  "qThreadExtraInfo,",
                                                  "qRcmd,",
                                                  "vCont;s:",
                                                  "vCont;",
                                                  "qSupported:"};
    for (unsigned i = 0; i < 50000; ++i) {
        std::string packet(starts[random() % std::size(starts)]);
        for (unsigned n = random() % 20; n > 0; --n)
            packet += "0123456789abcdef,:;=-\xff\0xyz"[random() % 26];
        (void)gdb.answer(packet);
    }
}
