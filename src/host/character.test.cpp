// SPDX-License-Identifier: Apache-2.0
// Character devices: a file takes output, a socket takes one client at a time, and refusals are sentences.
#include "host/character.h"

#include "host/descriptor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace vitrine;
using namespace vitrine::host;

namespace {

class Directory {
public:
    Directory() {
        std::string pattern = std::filesystem::temp_directory_path() / "vitrine-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }

    ~Directory() { std::filesystem::remove_all(path_); }

    std::string operator/(std::string_view name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

std::span<const u8> bytes(std::string_view s) {
    return {reinterpret_cast<const u8*>(s.data()), s.size()};
}

Descriptor connect_to(const std::string& path) {
    Descriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
}

} // namespace

TEST(Character, FileTakesOutput) {
    Directory directory;
    {
        auto file = open_file(directory / "log");
        ASSERT_TRUE(file.ok());
        file.value()->put(bytes("one "));
        file.value()->put(bytes("two"));
        EXPECT_FALSE(file.value()->open());
    }
    std::stringstream text;
    text << std::ifstream(directory / "log").rdbuf();
    EXPECT_EQ(text.str(), "one two");
    EXPECT_NE(open_file(directory / "no/such").error().message.find("cannot be written"), std::string::npos);
}

TEST(Character, AFullDiskIsTold) {
    auto full = open_file("/dev/full");
    ASSERT_TRUE(full.ok());
    EXPECT_EQ(full.value()->refused(), nullptr);
    full.value()->put(bytes("x"));
    ASSERT_NE(full.value()->refused(), nullptr);
    EXPECT_EQ(full.value()->refused()->status, Status::host_short);
}

TEST(Character, SocketHasOneClientAtATime) {
    Directory directory;
    const std::string path = directory / "serial";
    auto made = open_unix(path);
    ASSERT_TRUE(made.ok()) << made.error().message;
    Character& socket = *made.value();
    socket.put(bytes("lost"));
    u8 buffer[16];
    EXPECT_EQ(socket.take(buffer), 0u);
    EXPECT_FALSE(open_unix(path).ok()) << "in use";
    for (int round = 0; round < 2; ++round) {
        Descriptor client = connect_to(path);
        socket.put(bytes("hello"));
        ASSERT_EQ(::read(client.get(), buffer, sizeof buffer), 5);
        ASSERT_EQ(write_all(client.get(), bytes("abc")), 0);
        EXPECT_TRUE(socket.interactive());
        EXPECT_EQ(socket.take(buffer), 3u);
        EXPECT_EQ(buffer[2], 'c');
        client.close();
        EXPECT_EQ(socket.take(buffer), 0u);
        EXPECT_FALSE(socket.interactive());
        EXPECT_TRUE(socket.open());
    }
    made.value().reset();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Character, ALeftOverSocketIsReplacedButNoOtherFile) {
    Directory directory;
    const std::string path = directory / "serial";
    {
        Descriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    EXPECT_TRUE(open_unix(path).ok());
    std::ofstream(directory / "precious") << "x";
    EXPECT_FALSE(open_unix(directory / "precious").ok());
    EXPECT_TRUE(std::filesystem::exists(directory / "precious"));
    EXPECT_FALSE(open_unix(std::string(200, 'x')).ok());
}
