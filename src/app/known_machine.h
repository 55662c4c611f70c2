// SPDX-License-Identifier: Apache-2.0
// Options beside a file that knows its machine: a snapshot or a recording says what the machine is, and no option may
// contradict it.
#pragma once

#include "app/run_options.h"
#include "base/error.h"
#include "machine/description.h"

#include <string_view>

namespace vitrine::app {

/// Puts the machine of `known` into `options`. What was given and says the same is fine; what says something else is an error that
/// tells what the file has. Disks may lie elsewhere now: their images are checked by their contents later.
/// `file` is how the user named it: "--restore FILE".
Expected<> take_machine(const machine::Description& known, std::string_view file, RunOptions& options);

/// Finds what the machine boots from: a recording holds hashes only. What was given is checked, what was not is read from where
/// it lay at the time.
Expected<> find_files(const machine::Description& known, std::string_view file, RunOptions& options);

} // namespace vitrine::app
