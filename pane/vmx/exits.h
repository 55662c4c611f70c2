// SPDX-License-Identifier: Apache-2.0
// What follows a VM exit: one function for each reason, in a table made from the shared list of reasons.
#pragma once

namespace vitrine::pane {

struct Vcpu;

/// The exit that the current VMCS tells of.
void handle_exit(Vcpu& vcpu);

/// What a person wants to see of a processor that has come to grief.
void dump(const Vcpu& vcpu);

} // namespace vitrine::pane
