// SPDX-License-Identifier: Apache-2.0
// One run from options to exit status: opens the streams, builds the machine, runs it with its marks, and reports.
#pragma once

#include "app/report.h"
#include "app/run_options.h"
#include "base/error.h"

namespace vitrine::app {

/// Runs the machine. An error is bad input or a refusing host before anything ran; everything later is in the report.
Expected<RunReport> run_session(RunOptions options);

/// Prints what `options` ask for, and the ending for people.
void print_report(const RunOptions& options, const RunReport& report);

} // namespace vitrine::app
