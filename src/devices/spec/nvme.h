// SPDX-License-Identifier: Apache-2.0
// NVM Express, as the base specification 1.4 lays it out: controller registers, queue entries, opcodes, status codes,
// features, log pages, identify data.
#pragma once

#include "words/bits.h"

namespace vitrine::nvme {

// Controller registers (section 3.1)

enum RegisterOffset : u16 {
    cap_offset = 0x00,
    vs_offset = 0x08,
    intms_offset = 0x0c,
    intmc_offset = 0x10,
    cc_offset = 0x14,
    csts_offset = 0x1c,
    aqa_offset = 0x24,
    asq_offset = 0x28,
    acq_offset = 0x30,
    doorbells = 0x1000
};

inline constexpr u32 version_1_4 = 0x00010400;

struct Cap {
    Field mqes{15, 0, ro, "MQES", "maximum queue entries supported, less one"};
    Field cqr{16, ro, "CQR", "contiguous queues required"};
    Field ams{18, 17, ro, "AMS", "arbitration mechanisms supported"};
    Field to{31, 24, ro, "TO", "timeout in 500 ms units"};
    Field dstrd{35, 32, ro, "DSTRD", "doorbell stride"};
    Field nssrs{36, ro, "NSSRS", "NVM subsystem reset supported"};
    Field css{44, 37, ro, "CSS", "command sets supported"};
    Field mpsmin{51, 48, ro, "MPSMIN", "memory page size minimum"};
    Field mpsmax{55, 52, ro, "MPSMAX", "memory page size maximum"};
} inline constexpr cap;

struct Cc {
    Field en{0, rw, "EN", "enable"};
    Field css{6, 4, rw, "CSS", "command set selected"};
    Field mps{10, 7, rw, "MPS", "memory page size"};
    Field ams{13, 11, rw, "AMS", "arbitration mechanism selected"};
    Field shn{15, 14, rw, "SHN", "shutdown notification"};
    Field iosqes{19, 16, rw, "IOSQES", "I/O submission queue entry size"};
    Field iocqes{23, 20, rw, "IOCQES", "I/O completion queue entry size"};
} inline constexpr cc;

struct Csts {
    Field rdy{0, ro, "RDY", "ready"};
    Field cfs{1, ro, "CFS", "controller fatal status"};
    Field shst{3, 2, ro, "SHST", "shutdown status"};
    Field nssro{4, ro, "NSSRO", "NVM subsystem reset occurred"};
    Field pp{5, ro, "PP", "processing paused"};
} inline constexpr csts;

inline constexpr u64 shutdown_complete = 2;

struct Aqa {
    Field asqs{11, 0, rw, "ASQS", "admin submission queue size, less one"};
    Field acqs{27, 16, rw, "ACQS", "admin completion queue size, less one"};
} inline constexpr aqa;

// Queue entries (section 4.2 and 4.6)

inline constexpr unsigned sqe_size = 64, cqe_size = 16;

/// A submission queue entry, decoded.
struct Command {
    u8 opcode = 0, flags = 0; ///< flags: FUSE 1:0, PSDT 7:6
    u16 cid = 0;
    u32 nsid = 0;
    u64 prp1 = 0, prp2 = 0;
    u32 dw10 = 0, dw11 = 0, dw12 = 0, dw13 = 0, dw14 = 0, dw15 = 0;
};

/// Status code type in 10:8, status code in 7:0, as in a completion's status field.
enum Status : u16 {
    success = 0x000,
    invalid_opcode = 0x001,
    invalid_field = 0x002,
    data_transfer_error = 0x004,
    internal_error = 0x006,
    abort_requested = 0x007,
    invalid_namespace = 0x00b,
    command_sequence_error = 0x00c,
    invalid_prp_offset = 0x013,
    namespace_write_protected = 0x020,
    lba_out_of_range = 0x080,
    completion_queue_invalid = 0x100,
    invalid_queue_identifier = 0x101,
    invalid_queue_size = 0x102,
    abort_limit_exceeded = 0x103,
    asynchronous_event_limit_exceeded = 0x105,
    invalid_interrupt_vector = 0x108,
    invalid_log_page = 0x109,
    invalid_queue_deletion = 0x10c,
    feature_not_saveable = 0x10d,
    feature_not_changeable = 0x10e,
    write_fault = 0x280,
    unrecovered_read_error = 0x281,
    compare_failure = 0x285,
};

inline constexpr u16 do_not_retry = 1 << 14;

enum AdminOpcode : u8 {
    delete_io_sq = 0x00,
    create_io_sq = 0x01,
    get_log_page = 0x02,
    delete_io_cq = 0x04,
    create_io_cq = 0x05,
    identify = 0x06,
    abort = 0x08,
    set_features = 0x09,
    get_features = 0x0a,
    asynchronous_event_request = 0x0c,
};

enum NvmOpcode : u8 {
    flush = 0x00,
    write = 0x01,
    read = 0x02,
    compare = 0x05,
    write_zeroes = 0x08,
    dataset_management = 0x09,
};

/// Commands Supported and Effects log (section 5.14.1.5).
inline constexpr u32 effect_supported = 1, effect_logical_block_change = 2;

enum Feature : u8 {
    arbitration = 0x01,
    power_management = 0x02,
    temperature_threshold = 0x04,
    error_recovery = 0x05,
    volatile_write_cache = 0x06,
    number_of_queues = 0x07,
    interrupt_coalescing = 0x08,
    interrupt_vector_configuration = 0x09,
    write_atomicity = 0x0a,
    asynchronous_event_configuration = 0x0b,
};

enum LogPage : u8 { error_information = 0x01, smart = 0x02, firmware_slot = 0x03, commands_supported = 0x05 };

enum IdentifyCns : u8 {
    identify_namespace = 0x00,
    identify_controller = 0x01,
    active_namespaces = 0x02,
    namespace_descriptors = 0x03
};

// Asynchronous events (section 5.2)

enum class EventType : u8 { error = 0, smart = 1 };

inline constexpr u8 event_invalid_doorbell_register = 0, event_invalid_doorbell_value = 1, event_temperature = 1;

inline constexpr u32 broadcast_namespace = 0xffff'ffff;

} // namespace vitrine::nvme
