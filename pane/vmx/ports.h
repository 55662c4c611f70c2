// SPDX-License-Identifier: Apache-2.0
// I/O instructions of guests: every port exits, devices answer by table.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;
struct Vcpu;

void io_instruction(Vcpu& vcpu, u64 qualification);

/// The name of the device that answers at a port; null for none.
const char* device_at(u16 port);

} // namespace vitrine::pane
