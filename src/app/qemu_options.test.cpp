// SPDX-License-Identifier: Apache-2.0
// QEMU's command lines: what they become, and how wrong ones are told.
#include "app/qemu_options.h"

#include "app/qemu_cpu.h"
#include "x86/model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace vitrine::app {
namespace {

Expected<QemuCommand> parse(std::vector<std::string> arguments) { return parse_qemu_command_line(arguments); }

std::string error_of(std::vector<std::string> arguments) {
    const auto command = parse(std::move(arguments));
    return command.ok() ? "" : command.error().message;
}

std::string printed(std::vector<std::string> arguments) {
    auto command = parse(std::move(arguments));
    return command.ok() ? command.value().print : command.error().message;
}

class QemuOptions : public testing::Test {
protected:
    QemuOptions() { std::ofstream(file_) << "kernel"; }
    ~QemuOptions() override { std::remove(file_.c_str()); }

    QemuCommand good(std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"-kernel", file_});
        auto command = parse(std::move(arguments));
        EXPECT_TRUE(command.ok()) << command.error().message;
        return command.ok() ? std::move(command).value() : QemuCommand{};
    }

    std::string file_ = testing::TempDir() + "vitrine_qemu_kernel";
};

TEST_F(QemuOptions, the_suite_of_kvm_unit_tests_recognises_the_program) {
    EXPECT_TRUE(printed({"-version"}).starts_with("QEMU emulator version 7."));
    EXPECT_TRUE(printed({"--help"}).starts_with("QEMU emulator version 7."));
    const std::string devices = printed({"-device", "?"});
    for (const char* name : {"name \"pc-testdev\"", "name \"pci-testdev\"", "name \"isa-debug-exit\"", "name \"edu\""})
        EXPECT_NE(devices.find(name), std::string::npos) << name;
    EXPECT_EQ(error_of({"-kernel", "_NO_FILE_"}), "could not load kernel '_NO_FILE_': No such file or directory");
}

TEST_F(QemuOptions, its_whole_command_line_is_understood) {
    const QemuCommand c = good({"--no-reboot", "-nodefaults", "-global", "kvm-pit.lost_tick_policy=discard", "-device", "pc-testdev",
                                "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-display", "none", "-serial", "stdio", "-device",
                                "pci-testdev", "-machine", "accel=tcg", "-smp", "2", "-append", "a b", "-m", "2048"});
    EXPECT_EQ(c.run.config.cpus, 2u);
    EXPECT_EQ(c.run.config.memory, 2_GiB);
    EXPECT_EQ(c.run.config.append, "a b");
    EXPECT_EQ(c.run.serial, std::vector<std::string>{"stdio"});
    ASSERT_EQ(c.run.config.devices.size(), 3u);
    EXPECT_EQ(*c.run.config.devices[1].property("iobase"), "0xf4");
    EXPECT_TRUE(c.run.no_reboot);
    EXPECT_TRUE(c.run.quiet) << "a line on standard error would make a failure of a pass";
    EXPECT_TRUE(c.warnings.empty());
}

TEST_F(QemuOptions, an_option_that_is_wrong_is_told_before_the_file_that_is_missing) {
    EXPECT_EQ(error_of({"-kernel", "/nowhere", "-frobnicate"}), "-frobnicate: invalid option; see vitrine-qemu --help");
    EXPECT_NE(error_of({"-kernel", "/nowhere", "-device", "nonsense"}).find("is not a valid device model name"), std::string::npos);
    EXPECT_NE(error_of({"-kernel", "/nowhere", "-device", "intel-iommu,wings=on"}).find("Property 'intel-iommu.wings' not found"), std::string::npos);
    EXPECT_NE(error_of({"-kernel", "/nowhere", "-smp", "65"}).find("SMP CPUs"), std::string::npos);
    EXPECT_NE(error_of({"-kernel"}).find("requires an argument"), std::string::npos);
    EXPECT_NE(error_of({"-kernel", "/nowhere", "-device", "isa-debug-exit,color=red"}).find("no property 'color'"), std::string::npos);
    EXPECT_NE(error_of({"disk.img"}).find("not supported"), std::string::npos);
}

TEST_F(QemuOptions, there_is_no_kvm) {
    for (const auto& arguments : std::vector<std::vector<std::string>>{
             {"-accel", "kvm"}, {"-enable-kvm"}, {"-machine", "q35,accel=kvm"}, {"-M", "accel=kvm"}})
        EXPECT_NE(error_of(arguments).find("kvm is not available"), std::string::npos) << arguments[0];
    good({"-accel", "tcg,thread=single"});
    EXPECT_TRUE(good({"-accel", "tcg,stale=max"}).run.config.stale);
    EXPECT_NE(error_of({"-accel", "tcg,stale=most"}).find("stale must be max or normal"), std::string::npos);
    good({"-machine", "q35,accel=kvm:tcg"});
}

TEST_F(QemuOptions, sizes_and_counts) {
    EXPECT_EQ(good({}).run.config.memory, 128_MiB);
    EXPECT_EQ(good({"-m", "1G"}).run.config.memory, 1_GiB);
    EXPECT_EQ(good({"-m", "size=64M"}).run.config.memory, 64_MiB);
    EXPECT_EQ(good({"-smp", "cpus=4,sockets=2,cores=2"}).run.config.cpus, 4u);
    EXPECT_EQ(good({"-smp", "sockets=2,cores=3"}).run.config.cpus, 6u);
    EXPECT_NE(error_of({"-m", "lots"}), "");
    EXPECT_NE(error_of({"-smp", "0"}), "");
}

TEST_F(QemuOptions, serial_ports) {
    EXPECT_EQ(good({}).run.serial, std::vector<std::string>{"none"});
    const QemuCommand c = good({"-nographic"});
    EXPECT_EQ(c.run.serial, std::vector<std::string>{"stdio"});
    EXPECT_TRUE(c.run.escapes_without_terminal);
    EXPECT_EQ(good({"-serial", "null", "-serial", "file:/tmp/x"}).run.serial, (std::vector<std::string>{"none", "file:/tmp/x"}));
    EXPECT_EQ(good({"-chardev", "socket,id=c,path=/tmp/s,server=on,wait=off", "-serial", "chardev:c"}).run.serial,
              std::vector<std::string>{"unix:/tmp/s"});
    EXPECT_NE(error_of({"-serial", "telnet:1234"}), "");
}

TEST_F(QemuOptions, gdb) {
    const QemuCommand c = good({"-s", "-S"});
    EXPECT_EQ(c.run.gdb, 1234);
    EXPECT_TRUE(c.run.wait_gdb);
    EXPECT_EQ(good({"-gdb", "tcp::4321"}).run.gdb, 4321);
    EXPECT_NE(error_of({"-S"}), "");
}

TEST_F(QemuOptions, a_global_is_for_devices_that_say_nothing_themselves) {
    const QemuCommand c = good({"-global", "isa-debug-exit.iobase=0xf4", "-device", "isa-debug-exit", "-device",
                                "isa-debug-exit,iobase=0x500"});
    EXPECT_EQ(*c.run.config.devices[0].property("iobase"), "0xf4");
    EXPECT_EQ(*c.run.config.devices[1].property("iobase"), "0x500");
}

TEST_F(QemuOptions, a_reset_ends_with_status_0_under_no_reboot_and_never_else) {
    EXPECT_TRUE(good({"-no-reboot"}).stop_at_triple_fault);
    EXPECT_TRUE(good({}).run.config.triple_fault_resets);
    EXPECT_EQ(qemu_status(static_cast<int>(Status::reset)), 0);
    EXPECT_EQ(qemu_status(static_cast<int>(Status::triple_fault)), 0);
    EXPECT_EQ(qemu_status(static_cast<int>(Status::usage)), 1);
    EXPECT_EQ(qemu_status(0x21), 0x21);
}

TEST(QemuCpu, every_model_in_the_list_exists) {
    std::vector<std::string> warnings;
    const std::string list = qemu_cpus_text();
    unsigned models = 0;
    for (std::size_t at = list.find('\n') + 1; at < list.size(); at = list.find('\n', at) + 1, ++models) {
        const std::string name = list.substr(at + 2, list.find(' ', at + 2) - at - 2);
        const auto ours = translate_qemu_cpu(name, warnings);
        ASSERT_TRUE(ours.ok()) << ours.error().message;
        const auto model = find_cpu_model(ours.value());
        EXPECT_TRUE(model.ok()) << name << ": " << model.error().message;
    }
    EXPECT_GT(models, 10u);
}

TEST(QemuCpu, features_by_the_names_that_qemu_gives_them) {
    std::vector<std::string> warnings;
    const auto text = translate_qemu_cpu("qemu64,+x2apic,+tsc-deadline,-cx16,pcid=on,pdpe1gb=off,vendor=GenuineIntel", warnings);
    ASSERT_TRUE(text.ok()) << text.error().message;
    const auto model = find_cpu_model(text.value());
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_TRUE(model.value().has(Feature::x2apic));
    EXPECT_TRUE(model.value().has(Feature::tsc_deadline));
    EXPECT_TRUE(model.value().has(Feature::pcid));
    EXPECT_FALSE(model.value().has(Feature::cmpxchg16b));
    EXPECT_FALSE(model.value().has(Feature::page_1g));
    EXPECT_FALSE(model.value().has(Feature::sse4_1)) << "qemu64 is an old processor";
    EXPECT_TRUE(warnings.empty());
}

TEST(QemuCpu, physical_address_bits) {
    std::vector<std::string> warnings;
    const auto text = translate_qemu_cpu("max,phys-bits=36,host-phys-bits=off", warnings);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(find_cpu_model(text.value()).value().physical_bits, 36u);
    EXPECT_FALSE(translate_qemu_cpu("max,phys-bits=99", warnings).ok());
}

TEST(QemuCpu, what_is_not_there_is_a_warning_and_what_nobody_knows_an_error) {
    std::vector<std::string> warnings;
    ASSERT_TRUE(translate_qemu_cpu("max,+svm", warnings).ok());
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_NE(warnings[0].find("svm is not implemented"), std::string::npos);
    ASSERT_TRUE(translate_qemu_cpu("max,-svm,-npt", warnings).ok());
    EXPECT_EQ(warnings.size(), 1u) << "nothing is missing that was not wanted";
    ASSERT_TRUE(translate_qemu_cpu("Haswell-noTSX-IBRS", warnings).ok());
    EXPECT_EQ(warnings.size(), 2u);
    EXPECT_FALSE(translate_qemu_cpu("max,+warpdrive", warnings).ok());
    EXPECT_FALSE(translate_qemu_cpu("pdp11", warnings).ok());
}

} // namespace
} // namespace vitrine::app
