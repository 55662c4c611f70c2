// SPDX-License-Identifier: Apache-2.0
// New files: whole or not at all, on full disks, over old files, through links.
#include "host/new_file.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace vitrine;
using namespace vitrine::host;
namespace fs = std::filesystem;

namespace {

class NewFileTest : public testing::Test {
protected:
    NewFileTest() {
        std::string pattern = testing::TempDir() + "/new-file-XXXXXX";
        directory = ::mkdtemp(pattern.data());
        std::signal(SIGXFSZ, SIG_IGN);
    }

    ~NewFileTest() override { fs::remove_all(directory); }

    std::string path(const std::string& name) const { return directory + "/" + name; }

    std::string contents(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(path(name)).rdbuf();
        return text.str();
    }

    long files() const { return std::distance(fs::directory_iterator(directory), {}); }

    static std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

    std::string directory;
};

TEST_F(NewFileTest, AppearsWhenItIsWhole) {
    {
        NewFile file = std::move(NewFile::create(path("a")).value());
        ASSERT_TRUE(file.write(bytes("one ")).ok());
        EXPECT_FALSE(fs::exists(path("a")));
        ASSERT_TRUE(file.commit().ok());
        EXPECT_EQ(contents("a"), "one ");
        ASSERT_TRUE(file.write(bytes("more")).ok());
    }
    EXPECT_EQ(contents("a"), "one more");
    EXPECT_EQ(files(), 1);
}

TEST_F(NewFileTest, GivenUpLeavesTheOld) {
    std::ofstream(path("a")) << "old";
    {
        NewFile file = std::move(NewFile::create(path("a")).value());
        ASSERT_TRUE(file.write(bytes("new")).ok());
    }
    EXPECT_EQ(contents("a"), "old");
    EXPECT_EQ(files(), 1);
}

TEST_F(NewFileTest, ReplacesAndFollowsLinks) {
    std::ofstream(path("a")) << "old";
    fs::create_symlink("a", path("link"));
    NewFile file = std::move(NewFile::create(path("link")).value());
    ASSERT_TRUE(file.write(bytes("new")).ok());
    ASSERT_TRUE(file.commit().ok());
    EXPECT_TRUE(fs::is_symlink(path("link")));
    EXPECT_EQ(contents("a"), "new");
    EXPECT_EQ(files(), 2);
}

TEST_F(NewFileTest, AFullDiskLeavesTheOldAndNothingElse) {
    std::ofstream(path("a")) << "old";
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{65536, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    {
        NewFile file = std::move(NewFile::create(path("a")).value());
        const std::string much(100'000, 'x');
        const auto written = file.write(bytes(much));
        ASSERT_FALSE(written.ok());
        EXPECT_EQ(written.error().status, Status::host_short);
        EXPECT_NE(written.error().message.find(path("a")), std::string::npos);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(contents("a"), "old");
    EXPECT_EQ(files(), 1);
}

TEST_F(NewFileTest, AKilledWriterLeavesTheOldAndNothingElse) {
    std::ofstream(path("a")) << "old";
    const pid_t child = fork();
    if (child == 0) {
        auto file = NewFile::create(path("a"));
        (void)file.value().write(bytes("half"));
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(contents("a"), "old");
    // A file system without nameless files keeps a temporary one, whose name tells what it is.
    for (const auto& entry : fs::directory_iterator(directory))
        EXPECT_TRUE(entry.path().filename() == "a" || entry.path().extension() == ".new") << entry.path();
}

TEST_F(NewFileTest, PlacesThatCannotBe) {
    EXPECT_FALSE(check_new_file(path("no/where")).ok());
    EXPECT_FALSE(check_new_file(directory).ok());
    EXPECT_FALSE(check_new_file("/dev/null").ok());
    EXPECT_TRUE(check_new_file(path("a")).ok());
    EXPECT_EQ(NewFile::create("/dev/null").error().status, Status::usage);
    EXPECT_EQ(files(), 0);
}

} // namespace
