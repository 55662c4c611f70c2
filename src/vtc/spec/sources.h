// SPDX-License-Identifier: Apache-2.0
// Who says that a register is where the tables have it. The stock drivers' own headers (e1000_regs.h of igb, ixgbe_type.h of ixgbe, ixgbe_vf.h
// of ixgbevf) name all but these at the same place, some of them with an index or another ending.
#pragma once

#include "vtc/spec/rows.h"

#include <span>
#include <string_view>

namespace vitrine::vtc {

struct RegisterSource {
    std::string_view driver;
    std::span<const std::string_view> not_there; ///< by the tables' names
};

inline constexpr std::string_view not_in_igb[] = {"DBGC1", "DBGC2", "DBGC3", "DBGC4", "RXDMTC", "VLAPQF"};
// Of igbvf no header has been looked at; the mailbox stands in igb's.
inline constexpr std::string_view not_in_igbvf[] = {"VTCTRL", "VTSTATUS", "VTFRTIMER", "VTEICS", "VTEIMS", "VTEIMC", "VTEIAC", "VTEIAM", "VTEICR", "VTEITR", "VTIVAR", "VTIVAR_MISC",
                                                    "VFGPRC", "VFGPTC", "VFGORC", "VFGOTC", "VFMPRC", "VFGPRLBC", "VFGPTLBC", "VFGORLBC", "VFGOTLBC"};
inline constexpr std::string_view not_in_ixgbe[] = {"EICR_EX"};

inline constexpr RegisterSource igb_header{"igb", not_in_igb}, igbvf_header{"igb", not_in_igbvf}, ixgbe_header{"ixgbe", not_in_ixgbe}, ixgbevf_header{"ixgbevf", {}};

/// The driver whose header has the register at its place; empty: from memory, and nothing has confirmed it.
constexpr std::string_view confirmed_by(const RegisterSource& source, const RegisterRow& row) {
    for (const std::string_view name : source.not_there)
        if (name == row.name)
            return {};
    return source.driver;
}

/// What software may do with a register, in words.
constexpr std::string_view access_of(const RegisterRow& row) {
    struct Special {
        Effect effect;
        std::string_view text;
    };
    constexpr Special specials[] = {
        {Effect::counter, "read, which clears"},
        {Effect::semaphore, "read, which takes; write"},
        {Effect::cause, "read, which clears; write 1 to clear"},
        {Effect::vector_cause, "read, which clears; write 1 to clear"},
        {Effect::cause_set, "write 1 to set"},
        {Effect::vector_cause_set, "write 1 to set"},
        {Effect::mask_set, "read; write 1 to set"},
        {Effect::vector_mask_set, "read; write 1 to set"},
        {Effect::mask_clear, "write 1 to clear"},
        {Effect::vector_mask_clear, "write 1 to clear"},
        {Effect::vector_auto_clear, "read, write"},
        {Effect::vector_auto_mask, "read, write"},
        {Effect::mailbox, "read, write"},
        {Effect::mailbox_memory, "read, write"},
        {Effect::mailbox_cause, "read; write 1 to clear"},
        {Effect::reset_cause, "read; write 1 to clear"},
        {Effect::phy, "read, write"},
    };
    for (const Special& s : specials)
        if (s.effect == row.effect)
            return s.text;
    return row.writable ? "read, write" : "read";
}

} // namespace vitrine::vtc
