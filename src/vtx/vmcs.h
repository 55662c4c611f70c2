// SPDX-License-Identifier: Apache-2.0
// The current VMCS of a processor: its fields while it is current, who wrote each last, and its region in memory while it is not.
// The region is an opaque cache: VMPTRLD reads it, VMCLEAR and the next VMPTRLD write it, so software may copy it after VMCLEAR.
#pragma once

#include "vtx/spec/fields.h"
#include "x86/cpu.h"

#include <array>
#include <map>

namespace vitrine::vtx {

class Vmcs {
public:
    static constexpr u64 no_pointer = ~u64{0};
    static constexpr u32 shadow_flag = 1u << 31; ///< of the revision word

    /// Who wrote a field last: the address of the VMWRITE, and how many VM entries the processor had made by then.
    struct Writer {
        u64 rip = 0, entries = 0;
        bool known = false;

        void state(Visitor& v);
    };

    using Writers = std::array<Writer, field_count>;

    u64 operator[](F f) const { return values_[static_cast<unsigned>(f)]; }

    const u64* values() const { return values_.data(); }

    /// The processor's own writes: exits.
    void set(F f, u64 value) { values_[static_cast<unsigned>(f)] = value & width_mask(f); }

    /// VMWRITE.
    void write(F f, u64 value, u64 rip, u64 entries) {
        set(f, value);
        writers()[static_cast<unsigned>(f)] = {rip, entries, true};
        switch (row(f).encoding.area()) {
        case FieldArea::control: controls_checked = false; break;
        case FieldArea::host: host_checked = false; break;
        default: break;
        }
    }

    const Writer& writer(F f) { return writers()[static_cast<unsigned>(f)]; }

    u64 pointer() const { return pointer_; }

    bool valid() const { return pointer_ != no_pointer; }

    bool shadow() const { return shadow_; }

    bool launched = false;
    bool controls_checked = false, host_checked = false; ///< nothing changed since these passed the checks of VM entry

    /// VMPTRLD: the one that was current goes to memory.
    void load(Cpu& cpu, u64 pointer);
    /// VMCLEAR of any region.
    void clear(Cpu& cpu, u64 pointer);
    /// VMXOFF and VMXON: none is current.
    void forget(Cpu& cpu);
    /// Reset: contents are lost.
    void drop();

    /// A field of a region that is not current (a shadow VMCS).
    static u64 read_region(Cpu& cpu, u64 pointer, F f);
    static void write_region(Cpu& cpu, u64 pointer, F f, u64 value);

    void state(Visitor& v);

private:
    Writers& writers() {
        if (!present_)
            present_ = &all_writers_[pointer_];
        return *present_;
    }
    void store(Cpu& cpu);

    std::array<u64, field_count> values_{};
    u64 pointer_ = no_pointer;
    bool shadow_ = false;
    std::map<u64, Writers> all_writers_; ///< by VMCS pointer
    Writers* present_ = nullptr;
    static constexpr std::size_t most_writers = 64;
};

} // namespace vitrine::vtx
