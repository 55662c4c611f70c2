// SPDX-License-Identifier: Apache-2.0
// VM-instruction error numbers (SDM volume 3, VM-Instruction Error Numbers).
#pragma once

#include "words/integers.h"

namespace vitrine::vtx {

enum class VmError : u8 {
#define VM_INSTRUCTION_ERROR(id, number, text) id = number,
#include "vtx/spec/errors.def"
#undef VM_INSTRUCTION_ERROR
};

struct VmErrorRow {
    VmError number;
    const char* id;
    const char* text;
};

inline constexpr VmErrorRow vm_error_rows[] = {
#define VM_INSTRUCTION_ERROR(id, number, text) {VmError::id, #id, text},
#include "vtx/spec/errors.def"
#undef VM_INSTRUCTION_ERROR
};

constexpr const char* text_of(VmError e) {
    for (const VmErrorRow& r : vm_error_rows)
        if (r.number == e)
            return r.text;
    return "";
}

} // namespace vitrine::vtx
