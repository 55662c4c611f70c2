// SPDX-License-Identifier: Apache-2.0
// Records to bytes and back.
#include "machine/log_record.h"

#include "machine/section_file.h"

#include <algorithm>

namespace vitrine::machine {

namespace {

template <class T> void put(std::vector<u8>& to, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        to.push_back(static_cast<u8>(value >> (8 * i)));
}

void put(std::vector<u8>& to, Hash128 hash) {
    put(to, static_cast<u64>(hash.value));
    put(to, static_cast<u64>(hash.value >> 64));
}

/// Numbers from the front; what is missing reads as zero and is remembered.
class Source {
public:
    explicit Source(std::span<const u8> data) : data_(data) {}

    template <class T> T number() {
        T value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i)
            value |= static_cast<T>(byte()) << (8 * i);
        return value;
    }

    Hash128 hash() {
        const u64 low = number<u64>();
        return {static_cast<u128>(number<u64>()) << 64 | low};
    }

    std::span<const u8> rest() const { return data_; }

    bool good() const { return good_; }

private:
    u8 byte() {
        if (data_.empty()) {
            good_ = false;
            return 0;
        }
        const u8 b = data_.front();
        data_ = data_.subspan(1);
        return b;
    }

    std::span<const u8> data_;
    bool good_ = true;
};

constexpr std::size_t checked = LogRecord::header_size - 8;

u64 checksum(std::span<const u8> head, std::span<const u8> body, u64 chain) {
    return checksum_of(body, checksum_of(head.first(checked), chain));
}

} // namespace

std::vector<u8> encode(const LogRecord& record, u64& chain) {
    std::vector<u8> body;
    switch (record.kind) {
    case RecordKind::input:
        put(body, record.port);
        body.insert(body.end(), record.bytes.begin(), record.bytes.end());
        break;
    case RecordKind::check: put(body, record.hash); break;
    case RecordKind::end:
        put(body, record.hash);
        put(body, static_cast<u8>(record.ending.kind));
        put(body, record.ending.verdict);
        body.insert(body.end(), record.ending.text.begin(), record.ending.text.end());
        break;
    }
    std::vector<u8> all;
    put(all, static_cast<u32>(record.kind));
    put(all, static_cast<u32>(body.size()));
    put(all, record.instant);
    put(all, record.instructions);
    chain = checksum(all, body, chain);
    put(all, chain);
    all.insert(all.end(), body.begin(), body.end());
    return all;
}

std::optional<LogRecord> decode(std::span<const u8>& log, u64& chain) {
    if (log.size() < LogRecord::header_size)
        return std::nullopt;
    Source head(log.first(LogRecord::header_size));
    LogRecord record;
    record.kind = static_cast<RecordKind>(head.number<u32>());
    const u32 size = head.number<u32>();
    record.instant = head.number<u64>();
    record.instructions = head.number<u64>();
    const u64 sum = head.number<u64>();
    if (size > LogRecord::most_bytes || size > log.size() - LogRecord::header_size)
        return std::nullopt;
    const std::span<const u8> body_bytes = log.subspan(LogRecord::header_size, size);
    if (sum != checksum(log, body_bytes, chain))
        return std::nullopt;
    Source body(body_bytes);
    switch (record.kind) {
    case RecordKind::input:
        record.port = body.number<u32>();
        record.bytes.assign(body.rest().begin(), body.rest().end());
        break;
    case RecordKind::check: record.hash = body.hash(); break;
    case RecordKind::end:
        record.hash = body.hash();
        record.ending.kind = static_cast<EndingKind>(body.number<u8>());
        record.ending.verdict = body.number<u64>();
        record.ending.text.assign(body.rest().begin(), body.rest().end());
        break;
    default: return std::nullopt;
    }
    if (!body.good())
        return std::nullopt;
    chain = sum;
    log = log.subspan(LogRecord::header_size + size);
    return record;
}

} // namespace vitrine::machine
