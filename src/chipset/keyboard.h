// SPDX-License-Identifier: Apache-2.0
// A PS/2 keyboard with 101 keys: answers commands, sends scan codes of set 2 as the outside gives them.
#pragma once

#include "base/visitor.h"

#include <deque>

namespace vitrine {

class Keyboard {
public:
    /// A byte from the controller; answers go into the queue.
    void command(u8 byte);

    /// Bytes of make and break codes in set 2. What finds no room is lost, as on the cable; false then.
    bool key(u8 byte);

    std::size_t room() const { return queue_.size() < limit ? limit - queue_.size() : 0; }

    bool has_output() const { return !queue_.empty(); }

    u8 take();

    void reset();
    void state(Visitor& v);

    static constexpr std::size_t limit = 16; ///< of scan codes waiting

private:
    void answer(std::initializer_list<u8> bytes);

    std::deque<u8> queue_;
    u8 expects_ = 0; ///< the command whose parameter comes next
    u8 last_ = 0;    ///< for Resend
    u8 scan_code_set_ = 2, leds_ = 0, rate_ = 0x2b;
    bool scanning_ = true;
};

} // namespace vitrine
