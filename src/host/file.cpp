// SPDX-License-Identifier: Apache-2.0
// Files at offsets: system calls that are tried until they are done, and errors in sentences.
#include "host/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <xxhash.h>

namespace vitrine::host {

namespace {

constexpr std::size_t chunk = 1 << 20;

Status status_of(int number) {
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EIO:
        return Status::host_short;
    default:
        return Status::usage;
    }
}

Error failed(std::string_view doing, std::string_view name, int number) {
    return Error(fmt::format("cannot {} '{}': {}", doing, name, std::strerror(number)), status_of(number));
}

} // namespace

std::string ContentHash::text() const {
    return fmt::format("{:016x}{:016x}", high, low);
}

Error File::error(std::string_view doing) const {
    return failed(doing, name_, errno);
}

Expected<File> File::open(const std::string& name, Access access) {
    const int fd = ::open(name.c_str(), (access == Access::read ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0)
        return failed(access == Access::read ? "open" : "open for writing", name, errno);
    File file(name, Descriptor(fd));

    struct stat info {};

    if (fstat(fd, &info) != 0)
        return file.error("look at");
    if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
        return Error(fmt::format("'{}' is neither a file nor a block device", name));
    return file;
}

Expected<File> File::create(const std::string& name) {
    const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return failed("make", name, errno);
    return File(name, Descriptor(fd));
}

Expected<File> File::in_memory(const std::string& name) {
    const int fd = memfd_create(name.c_str(), MFD_CLOEXEC);
    if (fd < 0)
        return failed("find memory for the writes to", name, errno);
    return File(name, Descriptor(fd));
}

Expected<> File::lock(bool exclusive) const {
    if (flock(fd_.get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
        return {};
    if (errno == EWOULDBLOCK)
        return Error(fmt::format("'{}' is in use by another machine", name_));
    return error("lock");
}

Expected<u64> File::size() const {
    const off_t end = lseek(fd_.get(), 0, SEEK_END); // of block devices too
    if (end < 0)
        return error("find the size of");
    return static_cast<u64>(end);
}

Expected<> File::resize(u64 size) const {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
        return error("enlarge");
    return {};
}

Expected<> File::read(u64 offset, std::span<u8> data) const {
    while (!data.empty()) {
        const ssize_t n = pread(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return error("read");
        }
        if (n == 0)
            return Error(fmt::format("'{}' ends at byte {}: somebody made it shorter", name_, offset),
                         Status::host_short);
        offset += static_cast<u64>(n);
        data = data.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Expected<> File::write(u64 offset, std::span<const u8> data) const {
    while (!data.empty()) {
        const ssize_t n = pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return error("write");
        }
        offset += static_cast<u64>(n);
        data = data.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Expected<> File::zero(u64 offset, u64 length) const {
    if (length == 0)
        return {};
    if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) == 0)
        return {};
    if (errno != EOPNOTSUPP && errno != ENODEV && errno != EINVAL && errno != ENOSYS)
        return error("punch a hole into");
    const std::vector<u8> zeros(std::min<u64>(length, chunk));
    for (u64 done = 0; done < length; done += zeros.size())
        TRY(write(offset + done, std::span(zeros).first(std::min<u64>(zeros.size(), length - done))));
    return {};
}

Expected<> File::sync() const {
    if (fdatasync(fd_.get()) != 0 && errno != EINVAL) // EINVAL: memory has nothing to sync
        return error("sync");
    return {};
}

Expected<u64> File::changed() const {
    struct stat info {};

    if (fstat(fd_.get(), &info) != 0)
        return error("look at");
    return static_cast<u64>(info.st_mtim.tv_sec) * 1'000'000'000 + static_cast<u64>(info.st_mtim.tv_nsec);
}

bool File::same_as(const File& other) const {
    struct stat a {
    }, b{};

    return fstat(fd_.get(), &a) == 0 && fstat(other.fd_.get(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Expected<ContentHash> File::hash(u64 size) const {
    const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
    XXH3_128bits_reset(state.get());
    std::vector<u8> buffer(std::min<u64>(size, chunk));
    for (u64 done = 0; done < size; done += buffer.size()) {
        const std::span<u8> piece = std::span(buffer).first(std::min<u64>(buffer.size(), size - done));
        TRY(read(done, piece));
        XXH3_128bits_update(state.get(), piece.data(), piece.size());
    }
    const XXH128_hash_t h = XXH3_128bits_digest(state.get());
    return ContentHash{h.low64, h.high64};
}

} // namespace vitrine::host
