// SPDX-License-Identifier: Apache-2.0
// The command line's values.
#include "app/values.h"

#include "base/clock.h"
#include "host/descriptor.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <new>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vitrine::app {

namespace {

constexpr u64 largest_file = 16_GiB;

/// The whole text as a number; false for anything else.
bool whole_number(std::string_view text, u64& value, int base = 10) {
    if (base == 10 && (text.starts_with("0x") || text.starts_with("0X"))) {
        base = 16;
        text.remove_prefix(2);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string given(std::string_view option, std::string_view text) {
    return std::string(option) + " " + (text.empty() ? "''" : std::string(text));
}

} // namespace

Expected<u64> parse_size(std::string_view option, std::string_view text) {
    static constexpr std::string_view units = "KMGT";
    std::string_view digits = text;
    unsigned shift = 0;
    if (!digits.empty()) {
        const std::size_t unit = units.find(static_cast<char>(digits.back() & ~0x20));
        if (unit != std::string_view::npos) {
            shift = 10 * (static_cast<unsigned>(unit) + 1);
            digits.remove_suffix(1);
        }
    }
    u64 value = 0;
    if (!whole_number(digits, value) || value > (~0ull >> shift))
        return Error(given(option, text) + ": must be a size such as 512M or 2G");
    return value << shift;
}

Expected<u64> parse_number(std::string_view option, std::string_view text, u64 least, u64 most) {
    u64 value = 0;
    if (!whole_number(text, value) || value < least || value > most)
        return Error(given(option, text) + ": must be a number from " + std::to_string(least) + " to " + std::to_string(most));
    return value;
}

Expected<u64> parse_seconds(std::string_view option, std::string_view text) {
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    std::string fraction = point == std::string_view::npos ? "0" : std::string(text.substr(point + 1));
    u64 seconds = 0, nanoseconds = 0;
    const bool fits = fraction.size() <= 9 && fraction.find_first_not_of("0123456789") == std::string::npos && !fraction.empty();
    fraction.resize(9, '0');
    if (!fits || whole.starts_with("0x") || !whole_number(whole, seconds) || seconds > 1'000'000'000 ||
        !whole_number(fraction, nanoseconds))
        return Error(given(option, text) + ": must be virtual seconds such as 10 or 0.25");
    return seconds * nanoseconds_per_second + nanoseconds;
}

Expected<i64> parse_date(std::string_view option, std::string_view text) {
    if (text == "now")
        return static_cast<i64>(std::time(nullptr));
    u64 seconds = 0;
    if (text.starts_with("@") && whole_number(text.substr(1), seconds) && seconds < 1ull << 40)
        return static_cast<i64>(seconds);
    const std::string copy(text);
    for (const char* form : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"}) {
        std::tm tm{};
        const char* end = ::strptime(copy.c_str(), form, &tm);
        if (!end || *end)
            continue;
        const std::tm asked = tm;
        const std::time_t when = ::timegm(&tm);
        // The clock counts centuries from 1970 on; a date that moves (31 April) was none.
        if (tm.tm_mday == asked.tm_mday && tm.tm_mon == asked.tm_mon && when >= 0 && tm.tm_year < 400)
            return static_cast<i64>(when);
    }
    return Error(given(option, text) + ": must be 'now' or a date (UTC) such as 2026-01-31 or 2026-01-31T23:59:59");
}

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    for (;;) {
        const std::size_t n = text.find(at);
        parts.emplace_back(text.substr(0, n));
        if (n == std::string_view::npos)
            return parts;
        text.remove_prefix(n + 1);
    }
}

Expected<std::vector<u8>> read_file(std::string_view option, const std::string& path) {
    const auto wrong = [&](const std::string& what, Status status = Status::usage) {
        return Error(given(option, path) + ": " + what, status);
    };
    host::Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0)
        return wrong(errno == ENOENT ? "there is no such file" : std::string("cannot be read: ") + std::strerror(errno));
    if (S_ISDIR(info.st_mode))
        return wrong("is a directory; give a file");
    if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
        return wrong("is no regular file");
    std::vector<u8> data;
    try {
        if (S_ISREG(info.st_mode) && static_cast<u64>(info.st_size) <= largest_file)
            data.reserve(static_cast<std::size_t>(info.st_size));
        u8 buffer[1 << 16];
        for (;;) {
            const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return wrong(std::string("cannot be read: ") + std::strerror(errno));
            if (n == 0)
                return data;
            if (data.size() + static_cast<u64>(n) > largest_file)
                return wrong("is larger than 16G");
            data.insert(data.end(), buffer, buffer + n);
        }
    } catch (const std::bad_alloc&) {
        return wrong("the host has not the memory to read it", Status::host_short);
    }
}

} // namespace vitrine::app
