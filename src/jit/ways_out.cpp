// SPDX-License-Identifier: Apache-2.0
// Where a path may be left: the heads of its blocks, its edges, branches to wherever a register says, and the cold code that ends the run.
#include "jit/emitter.h"

#include "jit/forms.h"

namespace vitrine::jit {

// ---- heads and edges ------------------------------------------------------------------------------------------------

void Emitter::exit_code(const Departure& departure, i64 target) {
    environment_.departures->push_back(departure);
    a.mov(t2, target);
    a.mov(host::eax, static_cast<u32>(departure.edge));
    a.mov(address, reinterpret_cast<u64>(&environment_.departures->back()));
    a.jmp(asmjit::imm(environment_.stubs.leave));
}

void Emitter::direct_edge(const Source& s, unsigned n, i64 target, int condition) {
    const asmjit::Label exit = a.newLabel();
    if (condition < 0)
        a.jmp(exit);
    else
        a.emit(jump_if(static_cast<unsigned>(condition)), exit);
    exits_.push_back({exit, {s.block, n, path_.front().block, static_cast<int>(edges_.size())}, target, 0, recipe_});
    edges_.push_back({static_cast<i32>(a.offset()) - 4, 0, target, nullptr});
}

/// The head of a block charges the whole of it to the slice; if there is not so much left, the run ends before it.
void Emitter::head(const Source& s) {
    clobber_flags();
    const i32 count = static_cast<i32>(s.block->instructions.size());
    const asmjit::Label exit = a.newLabel();
    a.sub(left, count);
    a.js(exit);
    Departure departure{s.block, TranslatedRun::at_head, path_.front().block, -1};
    if (s.index > 0) {
        const Source& before = sources_[s.index - 1];
        departure.block = before.block;
        departure.edge = static_cast<u64>(before.goes_on);
    }
    exits_.push_back({exit, departure, static_cast<i64>(s.block->start.page_offset()), count, recipe_});
    if (const u8* second = path_.front().second) {
        // The instruction goes on where this page was when it was translated, or the interpreter looks again.
        code_address(address, 4096);
        a.rorx(host::gpd(t1.id()), host::gpd(address.id()), tag_shift);
        a.and_(host::gpd(t1.id()), tag_mask);
        a.cmp(address, host::qword_ptr(tags, t1, 0, tag_exec));
        a.jne(exit);
        a.add(address, host::qword_ptr(tags, t1, 0, tag_addend));
        a.mov(t2, reinterpret_cast<u64>(second));
        a.cmp(address, t2);
        a.jne(exit);
    }
}

void Emitter::exit_codes() {
    for (const Exit& e : exits_) {
        a.bind(e.begin);
        if (e.recipe)
            e.recipe->operation->flags_again(*this, *e.recipe);
        if (e.give_back)
            a.add(left, e.give_back);
        if (e.departure.joint >= 0) {
            Edge& edge = edges_[static_cast<unsigned>(e.departure.joint)];
            if (e.recipe) { // a follower must find the flags in their place
                const asmjit::Label leave = a.newLabel();
                a.jmp(leave);
                edge.site = static_cast<i32>(a.offset()) - 4;
                a.bind(leave);
            }
            edge.exit = static_cast<i32>(a.offset());
        }
        exit_code(e.departure, e.target);
        if (e.departure.joint >= 0)
            edges_[static_cast<unsigned>(e.departure.joint)].departure = &environment_.departures->back();
    }
}

// ---- branches out of the page ---------------------------------------------------------------------------------------

void Emitter::check_executable() {
    a.rorx(host::gpd(t1.id()), host::gpd(address.id()), tag_shift);
    a.and_(host::gpd(t1.id()), tag_mask);
    a.mov(t2, address);
    a.and_(t2, -4096);
    a.cmp(t2, host::qword_ptr(tags, t1, 0, tag_exec));
    a.jne(slow());
}

void Emitter::look_up_target() {
    const host::Gp index = host::gpd(t1.id()), low = host::gpd(address.id());
    a.rorx(index, low, target_shift);
    a.xor_(index, low);
    a.and_(index, target_mask);
    a.cmp(address, host::qword_ptr(tags, t1, 3, at_targets));
    searches_.push_back({a.newLabel(), a.newLabel(), slow()});
    a.jne(searches_.back().begin);
    a.mov(t2, host::qword_ptr(tags, t1, 3, at_targets + 8));
    a.bind(searches_.back().back);
}

} // namespace vitrine::jit
