// SPDX-License-Identifier: Apache-2.0
// State to bytes and back.
#include "machine/save_visitor.h"

#include <algorithm>

namespace vitrine::machine {

namespace {

// What stands before a value: its kind with its width, and eight bits of its name's hash.
enum Kind : u8 { is_number = 0x10, is_bytes = 0x20, is_blob = 0x30, is_count = 0x40, is_begin = 0x50, is_end = 0x60 };

u8 check_of(std::string_view name) {
    u32 h = 2166136261u; // FNV-1a
    for (const char c : name)
        h = (h ^ static_cast<u8>(c)) * 16777619u;
    return static_cast<u8>(h ^ (h >> 8) ^ (h >> 16) ^ (h >> 24));
}

} // namespace

void SaveVisitor::mark(u8 kind, std::string_view name) {
    data_.push_back(kind);
    data_.push_back(check_of(name));
}

void SaveVisitor::put(u64 value, unsigned width) {
    for (unsigned i = 0; i < width; ++i)
        data_.push_back(static_cast<u8>(value >> (8 * i)));
}

void SaveVisitor::number(std::string_view name, u64& value, unsigned width) {
    mark(static_cast<u8>(is_number | width), name);
    put(value, width);
}

void SaveVisitor::bytes(std::string_view name, std::span<u8> data) {
    mark(is_bytes, name);
    put(data.size(), 8);
    data_.insert(data_.end(), data.begin(), data.end());
}

void SaveVisitor::blob(std::string_view name, std::vector<u8>& data, u64) {
    mark(is_blob, name);
    put(data.size(), 8);
    data_.insert(data_.end(), data.begin(), data.end());
}

u64 SaveVisitor::count(std::string_view name, u64 n, u64) {
    mark(is_count, name);
    put(n, 8);
    return n;
}

void SaveVisitor::begin(std::string_view name) { mark(is_begin, name); }

void SaveVisitor::end() { mark(is_end, ""); }

void LoadVisitor::refuse(std::string_view why) {
    if (!problem_.empty())
        return;
    std::string where;
    for (const std::string& part : path_)
        if (!part.empty())
            where += (where.empty() ? "" : ".") + part;
    problem_ = std::string(why) + (where.empty() ? "" : " (in " + where + ")");
}

bool LoadVisitor::expect(u8 kind, std::string_view name) {
    if (!problem_.empty())
        return false;
    if (data_.size() - at_ < 2 || data_[at_] != kind || data_[at_ + 1] != check_of(name)) {
        refuse("the state has another shape at '" + std::string(name) + "'");
        return false;
    }
    at_ += 2;
    return true;
}

u64 LoadVisitor::get(unsigned width) {
    if (!problem_.empty())
        return 0;
    if (data_.size() - at_ < width) {
        refuse("the state ends too early");
        return 0;
    }
    u64 value = 0;
    for (unsigned i = 0; i < width; ++i)
        value |= static_cast<u64>(data_[at_++]) << (8 * i);
    return value;
}

void LoadVisitor::number(std::string_view name, u64& value, unsigned width) {
    if (!expect(static_cast<u8>(is_number | width), name))
        return;
    const u64 loaded = get(width);
    if (problem_.empty())
        value = loaded;
}

void LoadVisitor::bytes(std::string_view name, std::span<u8> data) {
    if (!expect(is_bytes, name))
        return;
    if (get(8) != data.size() || data_.size() - at_ < data.size())
        return refuse("'" + std::string(name) + "' has another size");
    std::copy_n(data_.begin() + static_cast<long>(at_), data.size(), data.begin());
    at_ += data.size();
}

void LoadVisitor::blob(std::string_view name, std::vector<u8>& data, u64 limit) {
    if (!expect(is_blob, name))
        return;
    const u64 n = get(8);
    if (n > limit || data_.size() - at_ < n)
        return refuse("'" + std::string(name) + "' is too large");
    const auto from = data_.begin() + static_cast<long>(at_);
    data.assign(from, from + static_cast<long>(n));
    at_ += n;
}

u64 LoadVisitor::count(std::string_view name, u64 n, u64 limit) {
    if (!expect(is_count, name))
        return n;
    const u64 loaded = get(8);
    // An element takes at least three bytes in the file, so a count cannot make the reader allocate much more than the file.
    if (loaded > limit || loaded > (data_.size() - at_) / 3 + 1) {
        refuse("'" + std::string(name) + "' has too many elements");
        return n;
    }
    return problem_.empty() ? loaded : n;
}

void LoadVisitor::begin(std::string_view name) {
    path_.emplace_back(name);
    (void)expect(is_begin, name);
}

void LoadVisitor::end() {
    (void)expect(is_end, "");
    if (!path_.empty())
        path_.pop_back();
}

void LoadVisitor::finish() {
    if (at_ != data_.size())
        refuse("the state is longer than this machine's");
}

} // namespace vitrine::machine
