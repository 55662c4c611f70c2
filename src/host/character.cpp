// SPDX-License-Identifier: Apache-2.0
// Character devices other than the console: a file, and a socket in the file system.
#include "host/character.h"

#include "host/descriptor.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

class File final : public Character {
public:
    File(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    void put(std::span<const u8> data) override {
        if (refused_)
            return;
        if (const int error = write_all(fd_.get(), data))
            refused_.emplace(path_ + ": " + std::strerror(error), Status::host_short);
    }

    std::size_t take(std::span<u8>) override { return 0; }

    bool open() const override { return false; }

    const Error* refused() const override { return refused_ ? &*refused_ : nullptr; }

private:
    Descriptor fd_;
    std::string path_;
    std::optional<Error> refused_;
};

class UnixSocket final : public Character {
public:
    UnixSocket(Descriptor listener, std::string path) : listener_(std::move(listener)), path_(std::move(path)) {}

    ~UnixSocket() override { ::unlink(path_.c_str()); }

    void put(std::span<const u8> data) override {
        while (!data.empty()) {
            meet();
            if (!client_)
                return;
            // A client that does not read loses output, as on a real serial line; it must not stop the machine.
            const ssize_t n = ::send(client_.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n >= 0)
                data = data.subspan(static_cast<std::size_t>(n));
            else if (errno == EAGAIN)
                return;
            else if (errno != EINTR)
                client_.close(); // gone: perhaps the next one waits already
        }
    }

    std::size_t take(std::span<u8> data) override {
        meet();
        if (!client_)
            return 0;
        const long n = read_now(client_.get(), data);
        if (n < 0)
            client_.close();
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }

    bool open() const override { return true; } // somebody may always connect

    int waits_on() const override { return client_ ? client_.get() : listener_.get(); }

    bool interactive() const override { return static_cast<bool>(client_); }

private:
    void meet() {
        if (!client_)
            client_ = Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }

    Descriptor listener_, client_;
    std::string path_;
};

} // namespace

Expected<std::unique_ptr<Character>> open_file(const std::string& path) {
    Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd)
        return Error("file:" + path + ": cannot be written: " + std::strerror(errno));
    return std::unique_ptr<Character>(new File(std::move(fd), path));
}

Expected<std::unique_ptr<Character>> open_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return Error("unix:" + path + ": a socket's path has 1 to " + std::to_string(sizeof address.sun_path - 1) +
                     " bytes");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* where = reinterpret_cast<const sockaddr*>(&address);

    // A socket that nobody listens on is left over from a run that was killed; anything else stays untouched.
    struct stat there {};

    if (::lstat(path.c_str(), &there) == 0) {
        Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!S_ISSOCK(there.st_mode) || ::connect(probe.get(), where, sizeof address) == 0 || errno != ECONNREFUSED)
            return Error("unix:" + path + ": exists and is in use; give another path");
        ::unlink(path.c_str());
    }
    Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener || ::bind(listener.get(), where, sizeof address) != 0 || ::listen(listener.get(), 1) != 0)
        return Error("unix:" + path + ": cannot listen there: " + std::strerror(errno));
    return std::unique_ptr<Character>(new UnixSocket(std::move(listener), path));
}

} // namespace vitrine::host
