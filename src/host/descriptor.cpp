// SPDX-License-Identifier: Apache-2.0
// File descriptors: closing, writing all, reading what is there.
#include "host/descriptor.h"

#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace vitrine::host {

void Descriptor::close() {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

int write_all(int fd, std::span<const u8> data) {
    while (!data.empty()) {
        const ssize_t n = ::write(fd, data.data(), data.size());
        if (n >= 0) {
            data = data.subspan(static_cast<std::size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

long read_now(int fd, std::span<u8> data) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 0) <= 0 || !wait.revents)
        return 0;
    const ssize_t n = ::read(fd, data.data(), data.size());
    if (n > 0)
        return n;
    return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : -1;
}

} // namespace vitrine::host
