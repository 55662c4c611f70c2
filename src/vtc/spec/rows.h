// SPDX-License-Identifier: Apache-2.0
// What a row of an adapter's register table says. Rows of arrays stand for all their elements.
#pragma once

#include "words/bits.h"

namespace vitrine::vtc {

/// What an access does besides the masks. The code has one place for each.
enum class Effect : u8 {
    none,
    counter, ///< counts events; reading clears it
    control,
    control_extended,
    status,
    nvm_control, ///< EECD, EEC
    nvm_read,    ///< EERD
    phy,         ///< MDIC
    semaphore,   ///< SWSM
    cause,       ///< ICR, EICR of the 82599
    cause_set,
    mask_set, ///< IMS, EIMS of the 82599
    mask_clear,
    vector_cause, ///< EICR of the 82576
    vector_cause_set,
    vector_mask_set,
    vector_mask_clear,
    vector_auto_clear,
    vector_auto_mask,
    throttle, ///< EITR
    receive_control,
    queue, ///< a ring's registers
    free_running,
    mailbox,        ///< a mailbox's control, from either side
    mailbox_memory, ///< and its message
    mailbox_cause, ///< write 1 to clear
    reset_cause,   ///< VFLRE
    pool_enable,   ///< VFRE, VFTE
    rate,
    time,  ///< SYSTIM
    stamp, ///< upper half of a time stamp: reading makes room for the next
    filter, ///< of flows
    link,
    link_mode, ///< AUTOC
    i2c,
    queue_drop,    ///< QDE
    flow_director,
};

/// One register, or `count` of them `stride` bytes apart. `writable` are the bits that software may change.
struct RegisterRow {
    u32 offset;
    u16 count;
    u16 stride;
    u32 reset;
    u32 writable;
    Effect effect;
    const char* name;
    const char* meaning;
};

} // namespace vitrine::vtc
