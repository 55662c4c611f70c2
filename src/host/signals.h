// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as a wish that the run may end in good order; the second one ends the process at once.
#pragma once

#include "host/descriptor.h"

namespace vitrine::host {

/// One per process, before the terminal is made raw. What the process was told to ignore stays ignored.
class EndingSignals {
public:
    EndingSignals();
    ~EndingSignals();
    EndingSignals(const EndingSignals&) = delete;
    EndingSignals& operator=(const EndingSignals&) = delete;

    /// The signal that came; 0 while none has.
    static int caught();

    /// Becomes readable when one comes.
    int descriptor() const { return read_.get(); }

    /// Ends the process as the signal would have done. Everything else should be cleaned up by now.
    [[noreturn]] static void die(int signal);

private:
    Descriptor read_, write_;
};

} // namespace vitrine::host
