// SPDX-License-Identifier: Apache-2.0
// The table of exceptions.
#include "x86/vectors.h"

namespace vitrine {

namespace {

constexpr VectorRow rows[] = {
#define VECTOR(...) {__VA_ARGS__},
#include "x86/spec/vectors.def"
#undef VECTOR
};

} // namespace

std::span<const VectorRow> exception_rows() {
    return rows;
}

const VectorRow* find_vector(u8 vector) {
    for (const VectorRow& row : rows)
        if (row.vector == vector)
            return &row;
    return nullptr;
}

} // namespace vitrine
