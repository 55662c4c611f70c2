// SPDX-License-Identifier: Apache-2.0
// Capture files: a header of 24 bytes, then each frame behind 16 bytes (the libpcap file format, in the host's byte order).
#include "host/pcap.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace vitrine::host {

namespace {

constexpr u32 magic_nanoseconds = 0xa1b2'3c4d, link_ethernet = 1, snapshot_length = 262144;
constexpr u64 second = 1'000'000'000;

class PcapFile final : public FrameWitness {
public:
    PcapFile(std::FILE* file, std::string place, i64 epoch) : file_(file), place_(std::move(place)), epoch_(epoch) {
        const u32 head[] = {magic_nanoseconds, 2 | 4 << 16, 0, 0, snapshot_length, link_ethernet};
        write(head, sizeof head);
        std::fflush(file_);
    }

    ~PcapFile() override {
        if (std::fclose(file_) != 0)
            complain();
    }

    void passed(u64 time, std::span<const u8> frame) override {
        const u32 size = static_cast<u32>(frame.size());
        const u32 head[] = {static_cast<u32>(static_cast<u64>(epoch_) + time / second), static_cast<u32>(time % second), size, size};
        write(head, sizeof head);
        write(frame.data(), frame.size());
    }

private:
    void write(const void* data, std::size_t size) {
        if (!complained_ && size && std::fwrite(data, size, 1, file_) != 1)
            complain();
    }

    void complain() {
        if (!complained_)
            std::fprintf(stderr, "vitrine: %s: cannot be written: %s\n", place_.c_str(), std::strerror(errno));
        complained_ = true;
    }

    std::FILE* file_;
    std::string place_; ///< PROPERTY=PATH
    i64 epoch_;
    bool complained_ = false;
};

} // namespace

Expected<std::unique_ptr<FrameWitness>> open_pcap(const std::string& path, i64 epoch, std::string_view property) {
    std::string place = std::string(property) + "=" + path;
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (!file)
        return Error(place + ": cannot be written: " + std::strerror(errno));
    return std::unique_ptr<FrameWitness>(std::make_unique<PcapFile>(file, std::move(place), epoch));
}

} // namespace vitrine::host
