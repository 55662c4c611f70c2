// SPDX-License-Identifier: Apache-2.0
// Extended capabilities: advanced error reporting, access control services, alternative routing ids, serial number.
// SR-IOV has a header of its own.
#pragma once

#include "pci/capability.h"

namespace vitrine::pci {

/// AER. The registers are all there; errors are recorded by report(). A root port's error messages and their interrupt
/// are not modelled: nothing here goes wrong on a link, and an Unsupported Request is told by the glass.
class Aer : public Capability {
public:
    Aer(Function& function, unsigned offset, bool root_port = false);

    /// Sets bits of the uncorrectable error status, and the first error pointer if none was valid.
    void report(u32 uncorrectable);
};

/// ACS of a root port: source validation is enforced for requests from below. The redirects hold as they are: a request
/// of one port's device reaches another's only through the root complex, where DMA remapping sits.
class Acs : public Capability {
public:
    Acs(Function& function, unsigned offset);
};

/// ARI of an endpoint; `next_function` is 0 for the last.
class Ari : public Capability {
public:
    Ari(Function& function, unsigned offset, u8 next_function = 0);
};

class DeviceSerialNumber : public Capability {
public:
    DeviceSerialNumber(Function& function, unsigned offset, u64 serial);
};

} // namespace vitrine::pci
