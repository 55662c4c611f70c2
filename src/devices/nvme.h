// SPDX-License-Identifier: Apache-2.0
// An NVM Express 1.4 controller with one namespace on a disk image. A doorbell starts a timer; when it fires, commands
// are fetched, carried out and completed in one go, so that a run is the same whatever the host does. PRPs only; no
// metadata, no fused commands, no controller memory buffer, no firmware update.
#pragma once

#include "base/clock.h"
#include "base/ports.h"
#include "base/registers.h"
#include "devices/nvme_prp.h"
#include "pci/function.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace vitrine::nvme {

struct Options {
    std::string name = "nvme";              ///< for messages
    std::string serial = "VITRINE00000001"; ///< at most 20 printable characters
    u64 eui64 = 0x0256'4954'0000'0001;      ///< locally administered
    unsigned queues = 64;                   ///< pairs of I/O queues, 1 to 255; there is one interrupt vector more
    u64 delay = 10'000;                     ///< virtual nanoseconds from a doorbell to its completions
    std::function<void(const Error&)> host_failed{}; ///< the host refused a transfer; the guest sees a media error
};

class Controller : public pci::Function {
public:
    /// `image` outlives the controller; its size is a multiple of 512, and what is discarded reads as zeros.
    Controller(const pci::Platform& platform, Clock& clock, BlockImage& image, const Options& options);

    static constexpr u64 block_size = 512;
    static constexpr u32 largest_io_queue = 1024;
    static constexpr u32 largest_admin_queue = 4096;
    /// Commands carried out each time the timer fires.
    static constexpr unsigned burst = 64;

protected:
    void bar_access(unsigned bar, Access& access) override;
    void config_written(unsigned offset, unsigned size) override;
    void device_reset(vitrine::Reset kind) override;
    void device_state(Visitor& v) override;

private:
    struct SubmissionQueue {
        bool valid = false;
        u64 base = 0;
        u32 size = 0; ///< entries
        u32 head = 0, tail = 0;
        u16 cq = 0;
        u64 due = never; ///< when the entries between head and tail are looked at
        void state(Visitor& v);
    };

    struct CompletionQueue {
        bool valid = false;
        u64 base = 0;
        u32 size = 0;
        u32 head = 0, tail = 0;
        u16 vector = 0;
        bool interrupts = false;
        bool phase = true;
        bool posted = false; ///< has new entries whose interrupt is not raised yet; false between events

        bool full() const { return (tail + 1) % size == head; }

        void state(Visitor& v);
    };

    struct Event {
        EventType type = EventType::error;
        u8 information = 0;
        u8 page = 0;
        void state(Visitor& v);
    };

    struct ErrorEntry {
        u64 count = 0, lba = 0;
        u16 queue = 0, command = 0, status = 0, location = 0;
        u32 nsid = 0;
        void state(Visitor& v);
    };

    /// What a command answers. No completion is written now for one that stays outstanding.
    struct Reply {
        u16 status = success;
        u32 dw0 = 0;
        bool outstanding = false;
        u16 location = 0xffff; ///< of the parameter in error: byte 7:0, bit 10:8

        Reply(Status s = success) : status(s) {}

        Reply(u32 result, std::nullptr_t) : dw0(result) {}
    };

    struct CommandRow {
        u8 opcode;
        const char* name;
        Reply (Controller::*run)(const Command&);
        u32 effects;
    };

    static std::span<const CommandRow> admin_commands();
    static std::span<const CommandRow> nvm_commands();

    // nvme.cpp: registers
    void declare_registers();
    void configuration_written(u64 before);
    void enable();
    void shut_down();
    void disable();
    void fatal(std::string_view why);

    bool running() const;

    // nvme_queues.cpp
    void doorbell(u64 offset, u32 value);
    void submission_doorbell(unsigned queue, u32 value);
    void completion_doorbell(unsigned queue, u32 value);
    void schedule(SubmissionQueue& sq);
    void rearm();
    void work();
    bool run_one(unsigned queue);
    bool fetch(SubmissionQueue& sq, Command& command);
    void complete(unsigned queue, u16 command, const Reply& reply);
    void raise_interrupts();
    void update_pin();
    /// Queues an event; deliver_events() hands it out.
    void note(EventType type, u8 information, u8 page);
    void event(EventType type, u8 information, u8 page);
    void deliver_events();

    // nvme_admin.cpp
    Reply delete_submission_queue(const Command& c);
    Reply create_submission_queue(const Command& c);
    Reply delete_completion_queue(const Command& c);
    Reply create_completion_queue(const Command& c);
    Reply abort_command(const Command& c);
    Reply await_event(const Command& c);
    Reply set_feature(const Command& c);
    Reply get_feature(const Command& c);
    void reset_features();
    u32& threshold(u32 dw11);
    bool temperature_critical() const;

    // nvme_identify.cpp
    Reply identify_command(const Command& c);
    Reply log_page(const Command& c);
    void describe_controller(std::span<u8> page) const;
    void describe_namespace(std::span<u8> page) const;
    void describe_identifiers(std::span<u8> page) const;
    std::vector<u8> error_log() const;
    std::vector<u8> smart_log() const;
    std::vector<u8> firmware_log() const;
    std::vector<u8> effects_log() const;

    // nvme_io.cpp
    Reply flush_command(const Command& c);
    Reply read_command(const Command& c);
    Reply write_command(const Command& c);
    Reply compare_command(const Command& c);
    Reply write_zeroes_command(const Command& c);
    Reply dataset_command(const Command& c);
    Status blocks(const Command& c, bool transfers, u64& offset, u64& length) const;
    Status to_host(const Command& c, std::span<const u8> data);
    Status from_host(const Command& c, std::span<u8> data);
    Status image_result(const Expected<>& result, Status failure);

    u64 block_count() const { return image_.size() / block_size; }

    Clock& clock_;
    BlockImage& image_;
    Options options_;
    RegisterFile regs_{Topic::devices, "nvme"};
    Timer timer_;
    std::vector<SubmissionQueue> sqs_;
    std::vector<CompletionQueue> cqs_; ///< number 0 is the admin queue in both
    unsigned next_sq_ = 0;             ///< where the next round begins
    std::vector<u8> buffer_;           ///< data of the command under way; no state

    std::vector<u16> awaiting_; ///< command ids of asynchronous event requests
    std::deque<Event> events_;
    u8 masked_events_ = 0; ///< by type, until the log page is read

    std::array<u32, 16> features_{};
    std::vector<u8> coalescing_disabled_; ///< by vector
    u32 over_temperature_ = 0, under_temperature_ = 0;
    bool temperature_told_ = false;

    std::deque<ErrorEntry> errors_; ///< newest first
    u64 error_count_ = 0;
    u64 blocks_read_ = 0, blocks_written_ = 0, reads_ = 0, writes_ = 0, media_errors_ = 0, unsafe_shutdowns_ = 0;
};

} // namespace vitrine::nvme
