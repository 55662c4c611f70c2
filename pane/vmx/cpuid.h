// SPDX-License-Identifier: Apache-2.0
// CPUID as guests see it: the machine's own answers, less what Pane does not give them.
#pragma once

namespace vitrine::pane {

struct Vcpu;

void cpuid_executed(Vcpu& vcpu);

} // namespace vitrine::pane
