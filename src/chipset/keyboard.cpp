// SPDX-License-Identifier: Apache-2.0
// The keyboard's commands. IBM PS/2 Hardware Interface Technical Reference, "Keyboards".
#include "chipset/keyboard.h"

namespace vitrine {

namespace {

enum : u8 {
    set_leds = 0xed,
    echo = 0xee,
    scan_code_set = 0xf0,
    identify = 0xf2,
    set_rate = 0xf3,
    enable = 0xf4,
    disable = 0xf5,
    set_defaults = 0xf6,
    resend = 0xfe,
    reset_command = 0xff,
    acknowledge = 0xfa,
    passed = 0xaa,
};

} // namespace

// Answers have no limit of their own: each command gives three bytes at most, and the controller takes them one by one.
void Keyboard::answer(std::initializer_list<u8> bytes) {
    if (queue_.size() < 2 * limit)
        queue_.insert(queue_.end(), bytes);
}

void Keyboard::command(u8 byte) {
    if (expects_ && byte < set_leds) {
        const u8 command = expects_;
        expects_ = 0;
        if (command == set_leds)
            leds_ = byte & 7;
        else if (command == set_rate)
            rate_ = byte & 0x7f;
        else if (byte == 0)
            return answer({acknowledge, scan_code_set_});
        else if (byte != 2) // the only set that is spoken
            return answer({resend});
        return answer({acknowledge});
    }
    expects_ = 0;
    switch (byte) {
    case set_leds:
    case set_rate:
    case scan_code_set:
        expects_ = byte;
        return answer({acknowledge});
    case echo:
        return answer({echo});
    case identify:
        return answer({acknowledge, 0xab, 0x83});
    case enable:
    case disable:
        scanning_ = byte == enable;
        return answer({acknowledge});
    case set_defaults:
        leds_ = 0;
        rate_ = 0x2b;
        return answer({acknowledge});
    case resend:
        return answer({last_});
    case reset_command:
        reset();
        return answer({acknowledge, passed});
    default:
        return answer({resend});
    }
}

bool Keyboard::key(u8 byte) {
    if (!scanning_ || queue_.size() >= limit)
        return false;
    queue_.push_back(byte);
    return true;
}

u8 Keyboard::take() {
    last_ = queue_.front();
    queue_.pop_front();
    return last_;
}

void Keyboard::reset() {
    *this = Keyboard();
}

void Keyboard::state(Visitor& v) {
    v.field("queue", queue_);
    v.field("expects", expects_);
    v.field("last", last_);
    v.field("scan-code-set", scan_code_set_);
    v.field("leds", leds_);
    v.field("rate", rate_);
    v.field("scanning", scanning_);
    if (v.loading() && queue_.size() > 2 * limit + 3)
        v.refuse("keyboard: more waiting than there can be");
}

} // namespace vitrine
