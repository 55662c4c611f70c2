// SPDX-License-Identifier: Apache-2.0
// Writing under no name (or, where the file system has no such files, a temporary one), then renaming.
#include "host/new_file.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vitrine::host {

namespace {

constexpr unsigned attempts = 1000; ///< temporary names that others may have left

struct Place {
    std::string directory, name;
};

/// Where `name` really lies: a symbolic link stays what it is, and what it points to is replaced.
Expected<Place> place_of(const std::string& name) {
    std::string real = name;

    struct stat info {};

    if (::stat(name.c_str(), &info) == 0) {
        if (!S_ISREG(info.st_mode))
            return Error("'" + name + "' cannot be written: it exists and is no regular file");
        if (char* resolved = ::realpath(name.c_str(), nullptr)) {
            real = resolved;
            std::free(resolved);
        }
    }
    const std::filesystem::path path(real);
    const std::string file = path.filename().string();
    if (file.empty() || file == "." || file == "..")
        return Error("'" + name + "' cannot be written: it is no name of a file");
    const std::string parent = path.parent_path().string();
    return Place{parent.empty() ? "." : parent, file};
}

Error failed(const std::string& name, int number) {
    const bool usage = number == ENOENT || number == ENOTDIR || number == EACCES || number == EROFS || number == EPERM;
    return Error("'" + name + "' cannot be written: " + std::strerror(number), usage ? Status::usage : Status::host_short);
}

} // namespace

Error NewFile::error(int number) const { return failed(name_, number); }

NewFile::NewFile(NewFile&& other) noexcept
    : name_(std::move(other.name_)), directory_(std::move(other.directory_)), target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})), fd_(std::move(other.fd_)) {}

NewFile::~NewFile() {
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

std::string NewFile::temporary(unsigned attempt) const {
    return directory_ + "/." + target_ + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".new";
}

Expected<NewFile> NewFile::create(const std::string& name) {
    Place place = TRY(place_of(name));
    NewFile file(name, std::move(place.directory));
    file.target_ = std::move(place.name);
    // A file without a name goes with its process, however that ends.
    int fd = ::open(file.directory_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        std::string taken;
        for (unsigned attempt = 0; fd < 0 && attempt < attempts; ++attempt) {
            taken = file.temporary(attempt);
            fd = ::open(taken.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (fd < 0 && errno != EEXIST)
                break;
        }
        if (fd >= 0)
            file.temporary_ = taken;
    }
    if (fd < 0)
        return file.error(errno);
    file.fd_ = Descriptor(fd);
    return file;
}

Expected<> NewFile::write(std::span<const u8> data) {
    if (const int number = write_all(fd_.get(), data))
        return error(number);
    return {};
}

Expected<> NewFile::sync() {
    if (::fsync(fd_.get()) != 0)
        return error(errno);
    return {};
}

Expected<> NewFile::commit() {
    TRY(sync());
    if (temporary_.empty()) {
        const std::string link = "/proc/self/fd/" + std::to_string(fd_.get());
        std::string taken;
        for (unsigned attempt = 0; temporary_.empty(); ++attempt) {
            taken = temporary(attempt);
            if (::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, taken.c_str(), AT_SYMLINK_FOLLOW) == 0)
                temporary_ = taken;
            else if (errno != EEXIST || attempt == attempts)
                return error(errno);
        }
    }
    if (::rename(temporary_.c_str(), (directory_ + "/" + target_).c_str()) != 0)
        return error(errno);
    temporary_.clear();
    // The name is on the disk only when its directory is.
    const Descriptor directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0)
        return error(errno);
    return {};
}

Expected<> check_new_file(const std::string& name) {
    const Place place = TRY(place_of(name));
    if (::access(place.directory.c_str(), W_OK | X_OK) != 0)
        return failed(name, errno);
    return {};
}

} // namespace vitrine::host
