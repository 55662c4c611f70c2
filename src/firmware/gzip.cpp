// SPDX-License-Identifier: Apache-2.0
// zlib, member by member, with a limit on what comes out.
#include "firmware/gzip.h"

#include <zlib.h>

#include <algorithm>

namespace vitrine::firmware {

namespace {

/// zlib's state, freed on every path.
struct Inflater {
    z_stream stream{};
    bool ready = inflateInit2(&stream, 15 + 16) == Z_OK; // 15: largest window; 16: gzip header, checked

    ~Inflater() {
        if (ready)
            inflateEnd(&stream);
    }
};

/// One member, appended to `out`. Gives the number of compressed bytes that it took.
Expected<u64> member(const File& file, std::span<const u8> in, std::vector<u8>& out, u64 limit) {
    Inflater z;
    if (!z.ready)
        return Error("the host has no memory left to decompress " + file.name, Status::host_short);
    std::vector<u8> chunk(256 << 10);
    u64 given = 0;
    for (;;) {
        if (z.stream.avail_in == 0 && given < in.size()) {
            const u64 n = std::min<u64>(in.size() - given, 1 << 20);
            z.stream.next_in = const_cast<u8*>(in.data() + given); // zlib reads only
            z.stream.avail_in = static_cast<uInt>(n);
            given += n;
        }
        z.stream.next_out = chunk.data();
        z.stream.avail_out = static_cast<uInt>(chunk.size());
        const int result = inflate(&z.stream, Z_NO_FLUSH);
        const u64 n = chunk.size() - z.stream.avail_out;
        if (n > limit - out.size())
            return file.wrong("decompresses to more than " + std::to_string(limit >> 20) +
                              " MiB, which the machine's memory cannot hold; give more with --memory");
        out.insert(out.end(), chunk.begin(), chunk.begin() + static_cast<i64>(n));
        if (result == Z_STREAM_END)
            return given - z.stream.avail_in;
        if (result == Z_BUF_ERROR && z.stream.avail_in == 0 && given == in.size())
            return file.wrong("the gzip data is cut off; the file is truncated");
        if (result == Z_MEM_ERROR)
            return Error("the host has no memory left to decompress " + file.name, Status::host_short);
        if (result != Z_OK && result != Z_BUF_ERROR)
            return file.wrong("the gzip data is damaged" +
                              (z.stream.msg ? " (" + std::string(z.stream.msg) + ")" : std::string()));
    }
}

} // namespace

bool is_gzip(std::span<const u8> data) {
    return data.size() >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8;
}

Expected<std::vector<u8>> gunzip(const File& file, u64 limit) {
    std::vector<u8> out;
    std::span<const u8> rest = file.data;
    while (is_gzip(rest))
        rest = rest.subspan(TRY(member(file, rest, out, limit)));
    if (!std::all_of(rest.begin(), rest.end(), [](u8 b) { return b == 0; }))
        return file.wrong("has " + std::to_string(rest.size()) + " bytes after its gzip data that are not gzip data");
    return out;
}

} // namespace vitrine::firmware
