// SPDX-License-Identifier: Apache-2.0
// All system rows in one list, and the system forms of mnemonics that have plain ones too.
#include "x86/ops/system.h"

#include <vector>

namespace vitrine {

Handler bind_system_form(const Decoded& d, Instruction& out) {
    for (const Binder bind : {ops::bind_control_move, ops::bind_segment_form, ops::bind_far_form})
        if (const Handler handler = bind(d, out))
            return handler;
    return nullptr;
}

std::span<const OpRow> system_rows() {
    static const std::vector<OpRow> rows = [] {
        std::vector<OpRow> all;
        for (const auto group : {ops::control_rows(), ops::table_rows(), ops::segment_rows(), ops::transfer_rows(),
                                 ops::processor_rows(), ops::vmx_rows(), ops::io_rows()})
            all.insert(all.end(), group.begin(), group.end());
        // The plain rows come first; what they do not bind comes here.
        for (const ZydisMnemonic m : {ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_POP, ZYDIS_MNEMONIC_JMP,
                                      ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET})
            all.push_back({m, bind_system_form});
        return all;
    }();
    return rows;
}

} // namespace vitrine
