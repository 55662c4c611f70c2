// SPDX-License-Identifier: Apache-2.0
// From VMCSs to virtual machines.
#include "report/guests.h"

#include "words/bits.h"

#include <algorithm>

namespace vitrine::report {

namespace {

template <class T>
void note(std::vector<T>& list, T value) {
    if (list.size() < Guests::most_listed && std::find(list.begin(), list.end(), value) == list.end())
        list.push_back(value);
}

constexpr u64 root_of(u64 eptp) {
    return eptp & ~0xfffull;
}

} // namespace

GuestRecord* Guests::find_by_root(u64 root) {
    for (auto& [pointer, v] : vmcs_)
        if (v.live && v.root == root)
            return v.guest;
    return nullptr;
}

GuestRecord* Guests::entered(const ProcessorView& view) {
    if (vmcs_.size() >= most_vmcs && !vmcs_.contains(view.vmcs))
        return nullptr;
    VmcsRecord& v = vmcs_[view.vmcs];
    const u64 root = root_of(view.eptp);
    // A VMM may give a guest new tables as it runs; a cleared VMCS that comes back with others is another guest's.
    if (!v.guest || (!v.live && v.root != root) || (v.live && v.root != root && root && find_by_root(root))) {
        GuestRecord* known = root ? find_by_root(root) : nullptr;
        if (!known && guests_.size() < most) {
            known = &guests_.emplace_back();
            known->sums.number = static_cast<unsigned>(guests_.size());
        }
        v.guest = known;
    }
    v.root = root;
    v.eptp = view.eptp;
    v.descriptor = view.descriptor;
    v.live = true;
    if (!v.guest)
        return nullptr;
    v.guest->last = &v;
    Guest& g = v.guest->sums;
    g.eptp = view.eptp;
    note(g.vmcs, view.vmcs);
    if (view.vpid)
        note(g.vpids, u64{view.vpid});
    return v.guest;
}

void Guests::cleared(u64 vmcs) {
    if (const auto found = vmcs_.find(vmcs); found != vmcs_.end())
        found->second.live = false;
}

GuestRecord* Guests::by_vmcs(u64 vmcs) {
    const auto found = vmcs_.find(vmcs);
    return found == vmcs_.end() ? nullptr : found->second.guest;
}

GuestRecord* Guests::by_number(unsigned number) {
    return number && number <= guests_.size() ? &guests_[number - 1] : nullptr;
}

unsigned Guests::owner(Probe& probe, u64 guest_physical, u64 physical) {
    for (const GuestRecord& g : guests_)
        if (g.last && g.last->live && g.last->eptp && probe.translate(g.last->eptp, guest_physical) == physical)
            return g.sums.number;
    return 0;
}

u64 Guests::descriptor_of(u64 vmcs) const {
    const auto found = vmcs_.find(vmcs);
    return found == vmcs_.end() ? 0 : found->second.descriptor;
}

} // namespace vitrine::report
