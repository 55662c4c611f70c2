// SPDX-License-Identifier: Apache-2.0
// A guest's pair of 8259s: initialisation, masks, priorities and their rotation, polling, special modes (Intel 8259A data sheet).
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

/// What a guest wrote, by the data sheet's names: each is counted.
enum class PicWord : u8 { icw1, icw2, icw3, icw4, ocw1, ocw2, ocw3, elcr, count };
inline constexpr const char* pic_word_names[] = {"ICW1", "ICW2", "ICW3", "ICW4", "OCW1 (masks)", "OCW2 (EOI, rotation)", "OCW3", "ELCR"};

class PicChip {
public:
    explicit constexpr PicChip(bool master) : slave_bit_(master ? 4 : 0) {}

    PicWord write(bool odd, u8 value);
    u8 read(bool odd);
    void set_line(unsigned line, bool level);

    /// The line to be served next; -1 when there is none that is neither masked nor outranked.
    int candidate() const;

    /// Interrupt acknowledge: the vector. Without a candidate it is line 7's: spurious.
    u8 acknowledge();

    u8 elcr = 0; ///< level-triggered lines

    u8 request() const { return irr_; }
    u8 in_service() const { return isr_; }
    u8 mask() const { return imr_; }
    u8 vector_base() const { return base_; }

private:
    void begin_service(unsigned line);
    void end_of_interrupt(unsigned line, bool rotate);
    int highest(u8 lines) const;
    unsigned rank(unsigned line) const { return (line - lowest_ - 1) & 7; }

    u8 slave_bit_; ///< the line that the slave is on
    u8 irr_ = 0, isr_ = 0, imr_ = 0, lines_ = 0, base_ = 0, lowest_ = 7;
    u8 expected_ = 0; ///< the ICW that the next write to the odd port is; 0: OCW1
    bool wants_icw4_ = false, single_ = false, level_mode_ = false;
    bool automatic_eoi_ = false, rotate_on_aeoi_ = false, fully_nested_ = false;
    bool special_mask_ = false, read_isr_ = false, poll_ = false;
};

struct Guest;

class Pic {
public:
    void set_line(unsigned irq, bool level);
    void write(Guest& guest, u16 port, u8 value);
    u8 read(Guest& guest, u16 port);

    /// INT towards the processor.
    bool asserted() const { return master_.candidate() >= 0; }

    u8 acknowledge(Guest& guest);

    u64 words[2][static_cast<unsigned>(PicWord::count)]{}; ///< written: master, slave
    u64 acknowledged[16]{};

private:
    void cascade();
    void trace(Guest& guest, u16 port, const char* verb, u8 value) const;

    PicChip master_{true}, slave_{false};
};

} // namespace vitrine::pane
