// SPDX-License-Identifier: Apache-2.0
// Writes the host code of a block, or of a path of blocks on one page, each of which mostly follows the one before: registers, memory
// operands through the TLB's tags, flags, and the ways out. What each instruction does stands in the files of the families (forms.h).
//
// Whatever goes wrong in an instruction (its operand is not in the TLB, a device is meant, it faults), nothing of it has happened yet:
// then its interpreter handler does the whole of it, and the translated code goes on behind. So there is one description of every
// exception, and it is the interpreter's.
#pragma once

#include "jit/registers.h"
#include "x86/instruction.h"
#include "x86/model.h"
#include "x86/translator_port.h"

#include <array>
#include <deque>
#include <vector>

namespace vitrine::jit {

/// Status flags as the bits of RFLAGS.
enum StatusFlag : u16 { cf = 1, pf = 4, af = 0x10, zf = 0x40, sf = 0x80, of = 0x800, no_flags = 0, all_flags = cf | pf | af | zf | sf | of };

class Emitter;
struct Operation;

/// A block of a path, and by which of its edges the path goes on (meaningless for the last one).
struct Part {
    Block* block;
    unsigned edge = 0;
    const u8* bytes = nullptr;  ///< of a straddling block, in one piece
    const u8* second = nullptr; ///< and its second page in host memory
};

/// An instruction of the path as the families see it.
struct Source {
    ZydisDecodedInstruction info;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const Instruction* insn = nullptr;
    Block* block = nullptr;
    unsigned number = 0; ///< of the instruction in its block
    const u8* bytes = nullptr;
    const CodeMode* mode = nullptr;
    const Operation* operation = nullptr; ///< null: its handler does it
    u16 reads = all_flags, kills = no_flags;
    u16 live = all_flags; ///< flags that somebody behind it may look at
    unsigned index = 0; ///< in the path
    int goes_on = -1;   ///< the last instruction of a block that is not the last: by which edge the path goes on
    bool begins = false; ///< the first of its block
    bool keeps_some = false; ///< where it writes flags it leaves some, or all if a count is zero
    bool deferred = false; ///< its flags are made again where they are needed after all
    bool x87 = false;      ///< works on the x87's registers, which must be the host's and quiet
    bool looks = false;    ///< ... and nobody before it on the path has made sure of that

    /// Accesses near each other from one base register share a probe (groups.cpp). At the first instruction of such a group:
    struct Group {
        unsigned count = 0; ///< instructions, those between the accesses too; 0: no group begins here
        u8 base = 0;        ///< as Instruction::base
        i64 low = 0;        ///< the lowest byte, from the base register as it is before the first instruction
        unsigned span = 0;  ///< bytes from there to behind the highest one
        bool writes = false;
    };

    u32 written_registers() const; ///< general ones, a bit each
    bool is_memory(unsigned n) const { return n < info.operand_count_visible && operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY; }
    bool is_register(unsigned n) const { return n < info.operand_count_visible && operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER; }
    bool is_immediate(unsigned n) const { return n < info.operand_count_visible && operands[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
    bool touches_memory() const {
        for (unsigned n = 0; n < info.operand_count; ++n)
            if (operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY && operands[n].mem.type == ZYDIS_MEMOP_TYPE_MEM)
                return true;
        return false;
    }
    /// Bytes of a stack slot, a pointer and a branch's target.
    unsigned word() const { return mode->bits / 8u; }
    /// Bytes of operand n.
    unsigned size(unsigned n) const { return operands[n].size / 8; }
    /// Byte offset of register operand n in State::gpr.
    u16 reg(unsigned n) const;

    Group group;
    bool grouped = false;   ///< an instruction of a group
    bool inner = false;     ///< ... and not its first one: it cannot fail
    unsigned group_at = 0;  ///< where its access lies from the group's lowest byte
};

/// Added to an instruction's number: it has a translation, which did not simply succeed.
inline constexpr unsigned slow_way = 0x8000;
/// Added to an instruction's number: what comes behind it relies on the x87 being quiet (Cpu::x87_quiet).
inline constexpr unsigned wants_quiet = 0x4000;

/// Addresses of the code that all blocks share.
struct Stubs {
    const void* handle = nullptr; ///< instruction eax of block r13 by its handler
    const void* leave = nullptr;  ///< the run ends by departure r13, what follows lies rdx bytes from the start of the page
    const void* enter_vectors = nullptr; ///< the vector registers and MXCSR into the host's; changes rdx and flags
    const void* enter_wide_vectors = nullptr; ///< the same with all 512 bits
    const void* look_up = nullptr; ///< the code at linear address r13 to rdx, and ZF = 1; also makes it a target. Changes rax, rdx and flags
};

/// How a run may end in translated code, as it is told to the translator. Lasts as long as the code's memory.
struct Departure {
    Block* block = nullptr; ///< which ended, or at whose head nothing has happened yet
    u64 edge = 0;           ///< as TranslatedRun::edge
    Block* head = nullptr;  ///< of the path
    int joint = -1;         ///< which of its joints; negative: none
};

/// A place where a path may be joined to what follows.
struct Edge {
    i32 site = -1; ///< offset of the branch's displacement
    i32 exit = 0;  ///< offset of the code that leaves instead
    i64 target = 0; ///< from the start of the code page
    const Departure* departure = nullptr;
};

class Emitter {
public:
    struct Environment {
        TranslatedAccess::Layout layout;
        Stubs stubs;
        std::deque<Departure>* departures = nullptr;
    };

    /// Where the jump stands, in the head of a path, that is taken when the slice does not suffice.
    static constexpr unsigned head_jump = 4;

    /// A block's code by where its first byte lies in host memory: asked where no target is known yet.
    struct JumpEntry {
        const u8* block;
        const void* code;
    };
    static constexpr unsigned jump_entries = 1 << 16;
    static unsigned jump_index(u64 host_address) { return static_cast<unsigned>((host_address ^ (host_address >> 10)) >> 1) & (jump_entries - 1); }

    Emitter(asmjit::CodeHolder& code, std::vector<Part> path, const Environment& environment)
        : a(&code), path_(std::move(path)), environment_(environment) {}

    /// 64-bit code, and 32-bit code whose segments are flat: there is nothing to check then, but an access that wraps around crosses a page.
    static bool takes(const CodeMode& mode) { return mode.bits == 64 || (mode.bits == 32 && mode.stack32 && mode.flat); }

    /// The whole path, or as far as its inner branches can be translated.
    void emit(const CpuModel& model, const CodeMode& mode);

    /// What has been emitted of it.
    const std::vector<Part>& path() const { return path_; }
    const std::vector<Edge>& edges() const { return edges_; }

    // ---- for the families --------------------------------------------------------------------------------------------
    asmjit::x86::Assembler a;

    /// The register's value in some host register: its own, or `scratch`.
    host::Gp read(u16 offset, unsigned size, const host::Gp& scratch);
    /// Writes a register as an instruction of that size does: four bytes clear the upper half (which is clear already in `t1` and `t2`).
    void write(u16 offset, unsigned size, const host::Gp& value);
    /// A host register to work on that holds the guest's; finish() puts it back if it is not its home.
    host::Gp change(u16 offset, unsigned size, const host::Gp& scratch);
    void finish(u16 offset, unsigned size, const host::Gp& value);
    static bool at_home(u16 offset) { return pinned[offset / 8] != no_host && offset % 8 == 0; }

    /// Linear address of the memory operand, `size` bytes, into `address`.
    void effective_address(const Source& s, unsigned size);
    /// LEA's: without a segment, and without touching flags. False when it cannot be said.
    static bool plain_address(const Source& s);
    /// The offset alone into `to`.
    void offset_into(const Source& s, const host::Gp& to);
    /// From a linear to a host address; the slow way if the TLB does not say yes, or where the address must be aligned and is not.
    void probe(unsigned size, bool write, bool aligned = false);
    /// Both: the memory operand as an operand for the host.
    host::Mem memory(const Source& s, unsigned size, bool write);
    /// The same for an instruction of a group, whose probe has been made: bytes `group_at` from `address`.
    static host::Mem grouped(const Source& s, unsigned size) { return host::ptr(address, static_cast<i32>(s.group_at), size); }
    /// Linear address of `offset` on the code page.
    void code_address(const host::Gp& to, i64 offset);
    i64 offset_on_page(const Source& s) const;

    /// Where the slow way of the present instruction begins.
    asmjit::Label slow();

    // Flags. Between instructions they are in the host's, in State::status, or both; as far as anybody will look.
    void need_flags(u16 mask);    ///< into the host's
    void save_flags();            ///< into State::status, from the host's, if they are not there; the host's stay
    void clobber_flags() { save_flags(); host_flags_ = 0; }
    void flags_made(u16 mask = all_flags) { host_flags_ = mask; saved_ = false; } ///< by the host's own instruction
    void store_flags(u16 cleared); ///< the same of what the host's instruction has just made, but some of them clear
    void flags_dead() { host_flags_ = 0; saved_ = true; }  ///< nobody will look
    void flags_stored() { host_flags_ = 0; saved_ = true; } ///< written to State::status just now

    /// From here on the host's vector registers and MXCSR are the guest's. `wide`: there are 512 bits. May change t2 and flags.
    void need_vectors(bool wide);
    // The x87: where it is quiet (Cpu::x87_quiet) its instructions are the host's own, and of what they leave behind beside the registers
    // only the instruction pointer counts.
    void look_at_x87(const Source& s); ///< takes the slow way unless it is; where the path does not know yet
    void x87_done(const Source& s) { pointer_ = &s; } ///< an instruction that the pointer is to name
    /// The instruction emitted next may raise SIGFPE: then its slow way is taken.
    void may_fault();
    /// Places of such instructions and where to go on, as offsets.
    struct FaultPlace {
        asmjit::Label at, slow;
    };
    const std::vector<FaultPlace>& fault_places() const { return fault_places_; }

    /// Goes by edge `n` of the instruction's block, always or if the condition holds.
    void direct_edge(const Source& s, unsigned n, i64 target, int condition = -1);
    bool same_page(i64 offset) const { return offset >= 0 && offset < 4096; }
    /// The target in `address` must be executable and translated: its code to t2. `address` stays.
    void look_up_target();
    void check_executable();
    i32 at_run(std::size_t member) const { return environment_.layout.run + static_cast<i32>(member); }
    const Environment& environment() const { return environment_; }
    host::Mem run_field(std::size_t member, unsigned size = 8) const { return host::ptr(state, at_run(member), size); }

private:
    void decode(const CpuModel& model, const CodeMode& mode);
    void find_groups();
    void begin_group(const Source& first);
    void find_live_flags();
    void find_deferrable();
    void find_x87();
    void store_pointer(const Source& s);
    void leave_x87(); ///< before code that may look at it, here or in another path
    void by_handler(const Source& s);
    struct Cold;
    void emit_one(const Source& s);
    void emit_apart(const Cold& group);
    void cold_code();
    void exit_code(const Departure& departure, i64 target);
    void exit_codes();
    void head(const Source& s);

    struct Cold {
        asmjit::Label begin, back;
        unsigned index;
        bool wants_flags, vectors;
        const Source* recipe; ///< whose flags are not in State::status yet
        const Source* pointer; ///< x87 instruction that FpuState::fip does not name yet
        unsigned count = 1;   ///< instructions of a group; their accesses are tried one by one
    };

    void call_handler(const Source& s, unsigned way);
    void enter_vectors();

    /// Cold code that ends the run.
    struct Exit {
        asmjit::Label begin;
        Departure departure;
        i64 target;
        i32 give_back;        ///< of what the slice has left
        const Source* recipe; ///< as in Cold
    };

    std::vector<Part> path_;
    const Environment& environment_;
    std::vector<Source> sources_;
    std::vector<Cold> cold_;
    std::vector<Edge> edges_;
    std::vector<Exit> exits_;
    asmjit::Label slow_; ///< of the present instruction, if it has one
    u16 host_flags_ = 0;
    bool saved_ = true;
    bool vectors_ = false; ///< the vector registers are certainly in the host's
    bool wide_ = false;
    struct VectorEntry {
        asmjit::Label begin, back;
    };
    std::vector<VectorEntry> vector_entries_; ///< where they perhaps have to be brought in
    struct Search {
        asmjit::Label begin, back, slow;
    };
    std::vector<Search> searches_; ///< where a branch's target is not known
    const Source* recipe_ = nullptr;
    const Source* pointer_ = nullptr;
    std::vector<FaultPlace> fault_places_;
};

/// Operation::flag_inputs: the flags cannot be made again.
inline constexpr u32 cannot_defer = ~0u;

} // namespace vitrine::jit
