// SPDX-License-Identifier: Apache-2.0
// The host's processor as oracle: loads registers, executes the one instruction, and takes everything back.
#pragma once

#include "case.h"

#include <memory>
#include <string>

namespace vitrine::oracle {

/// Only one of these may live in a process: it owns the signal handlers and the fixed addresses of case.h.
class Host {
public:
    Host();
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    void run(const Case& c, Side& out);

    static bool is_intel();

    /// Something of this process lies at the address: an access that faults in the guest would not fault here.
    static bool has_memory(u64 address);

    bool intel() const { return intel_; }

    /// The system lets programs use RDFSBASE and its kin.
    bool direct_bases() const { return direct_bases_; }

    bool avx512() const { return mask_ & 0xe0; }

private:
    void build_stubs();
    void put_registers(const Case& c);
    void take_registers(Registers& g) const;

    u64 mask_ = 0; ///< state components that take part
    unsigned offset_[8]{}; ///< of the components in the host's own layout
    static bool has_direct_bases();

    bool intel_ = is_intel();
    bool direct_bases_ = has_direct_bases();
    u8* code_ = nullptr;
    u8* data_ = nullptr;
    u8* read_only_ = nullptr; ///< writable alias of the read-only page
};

} // namespace vitrine::oracle
