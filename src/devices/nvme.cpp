// SPDX-License-Identifier: Apache-2.0
// The NVMe controller's PCI side and registers: enabling, disabling, shutting down, state.
#include "devices/nvme.h"

#include "base/error.h"
#include "pci/express.h"
#include "pci/extended.h"
#include "pci/msix.h"
#include "pci/power.h"

#include <algorithm>

namespace vitrine::nvme {

namespace {

constexpr u64 bar_size = 16_KiB;
constexpr u32 msix_table = 0x2000, msix_pending = 0x3000;
constexpr u64 doorbell_end = msix_table;

template <class Layout>
std::vector<Field> list(const Layout& layout) {
    const auto fields = fields_of(layout);
    return {fields.begin(), fields.end()};
}

/// Bits that software may write.
template <class Layout>
u64 writable(const Layout& layout) {
    u64 mask = 0;
    for (const Field& f : fields_of(layout))
        if (f.kind() == rw)
            mask |= f.mask();
    return mask;
}

} // namespace

Controller::Controller(const pci::Platform& platform, Clock& clock, BlockImage& image, const Options& options)
    : Function(platform, options.name,
               {.vendor = 0x1234,
                .device = 0x4e56,
                .revision = 1,
                .class_code = 0x010802,
                .subsystem_vendor = 0x1234,
                .subsystem = 0x4e56}),
      clock_(clock), image_(image), options_(options), timer_(clock, options.name, [this] { work(); }),
      buffer_(largest_transfer) {
    VERIFY(options.queues >= 1 && options.queues <= 255);
    VERIFY(image.size() > 0 && image.size() % block_size == 0);
    sqs_.resize(options.queues + 1);
    cqs_.resize(options.queues + 1);
    add_bar(0, {.kind = pci::BarKind::memory_64, .size = bar_size, .name = "registers", .min_size = 4, .max_size = 8});
    config().set_reset(pci::interrupt_pin, 1, 1);
    config().set(pci::interrupt_pin, 1, 1);
    add<pci::PowerManagement>(0x40);
    add<pci::Msix>(0x50, pci::Msix::Options{
                             .vectors = options.queues + 1, .bar = 0, .table = msix_table, .pending = msix_pending});
    add<pci::Express>(0x60, pci::Express::Options{});
    add<pci::Aer>(0x100);
    add<pci::DeviceSerialNumber>(0x148, options.eui64);
    coalescing_disabled_.resize(options.queues + 1);
    declare_registers();
    reset_features();
}

void Controller::declare_registers() {
    u64 caps = cap.mqes.with(0, largest_io_queue - 1) | cap.cqr.mask();
    caps = cap.to.with(caps, 10);
    caps = cap.css.with(caps, 1);
    const auto fields = [](RegisterFile::Row& row, std::vector<Field> f) { row.fields = std::move(f); };
    fields(regs_.add({cap_offset, 8, caps, "CAP", "controller capabilities"}, 0), list(cap));
    regs_.add({vs_offset, 4, version_1_4, "VS", "version"}, 0);
    regs_.add({intms_offset, 4, 0, "INTMS", "interrupt mask set"}, 0, [this](u64 written, u64) {
        regs_.value(intms_offset) |= written;
        update_pin();
    });
    regs_.add(
        {intmc_offset, 4, 0, "INTMC", "interrupt mask clear"}, 0,
        [this](u64 written, u64) {
            regs_.value(intms_offset) &= ~written;
            update_pin();
        },
        [this](u64) { return regs_.value(intms_offset); });
    fields(regs_.add({cc_offset, 4, 0, "CC", "controller configuration"}, writable(cc),
                     [this](u64, u64 before) { configuration_written(before); }),
           list(cc));
    regs_.add({0x18, 4, 0, "RSVD18", "reserved"}, 0);
    fields(regs_.add({csts_offset, 4, 0, "CSTS", "controller status"}, 0), list(csts));
    regs_.add({0x20, 4, 0, "NSSR", "NVM subsystem reset"}, 0);
    fields(regs_.add({aqa_offset, 4, 0, "AQA", "admin queue attributes"}, writable(aqa)), list(aqa));
    regs_.add({asq_offset, 8, 0, "ASQ", "admin submission queue base address"}, ~0xfffull);
    regs_.add({acq_offset, 8, 0, "ACQ", "admin completion queue base address"}, ~0xfffull);
    regs_.add({0x38, 8, 0, "CMB", "controller memory buffer: none"}, 0);
    regs_.missing = 0;
}

void Controller::bar_access(unsigned, Access& a) {
    if (a.offset < doorbells) {
        if (a.write)
            regs_.write(a.offset, a.size, a.value, glass());
        else
            a.value = regs_.read(a.offset, a.size, glass());
        return;
    }
    if (a.offset >= doorbell_end) {
        glass().odd(Topic::devices, "nvme.reserved-register", {{"offset", a.offset}});
        if (!a.write)
            a.value = 0;
        return;
    }
    if (!a.write) { // write only
        a.value = 0;
        return;
    }
    for (unsigned done = 0; done < a.size; done += 4)
        doorbell(a.offset + done, static_cast<u32>(a.value >> (8 * done)));
}

bool Controller::running() const {
    const u64 status = const_cast<RegisterFile&>(regs_).value(csts_offset);
    return csts.rdy(status) && !csts.cfs(status) && !csts.shst(status);
}

void Controller::configuration_written(u64 before) {
    const u64 now = regs_.value(cc_offset);
    if (cc.en(now) && !cc.en(before))
        enable();
    else if (!cc.en(now) && cc.en(before))
        disable();
    if (cc.shn(now) && !cc.shn(before))
        shut_down();
}

void Controller::fatal(std::string_view why) {
    glass().odd(Topic::devices, "nvme.fatal", {{"controller", name()}, {"why", why}});
    regs_.value(csts_offset) |= csts.cfs.mask();
    timer_.cancel();
}

void Controller::enable() {
    const u64 now = regs_.value(cc_offset), sizes = regs_.value(aqa_offset);
    if (cc.css(now) || cc.mps(now) || cc.ams(now))
        return fatal("CC asks for a command set, page size or arbitration that CAP does not offer");
    if (!aqa.asqs(sizes) || !aqa.acqs(sizes))
        return fatal("an admin queue has fewer than two entries");
    sqs_[0] = {.valid = true, .base = regs_.value(asq_offset), .size = static_cast<u32>(aqa.asqs(sizes) + 1)};
    cqs_[0] = {.valid = true,
               .base = regs_.value(acq_offset),
               .size = static_cast<u32>(aqa.acqs(sizes) + 1),
               .interrupts = true};
    regs_.value(csts_offset) |= csts.rdy.mask();
    glass().tell(Topic::devices, "nvme.enabled", {{"controller", name()}});
}

void Controller::disable() {
    std::fill(sqs_.begin(), sqs_.end(), SubmissionQueue{});
    std::fill(cqs_.begin(), cqs_.end(), CompletionQueue{});
    next_sq_ = 0;
    awaiting_.clear();
    events_.clear();
    masked_events_ = 0;
    reset_features();
    regs_.value(csts_offset) = 0;
    regs_.value(intms_offset) = 0;
    timer_.cancel();
    update_pin();
}

void Controller::shut_down() {
    static_cast<void>(image_result(image_.flush(), write_fault));
    u64& status = regs_.value(csts_offset);
    status = csts.shst.with(status, shutdown_complete);
    timer_.cancel();
}

void Controller::config_written(unsigned offset, unsigned size) {
    // MSI-X on or off: the pin falls or rises.
    const unsigned control = msix()->offset() + pci::MsixControl::offset;
    if (offset < control + 2 && control < offset + size)
        update_pin();
}

void Controller::device_reset(vitrine::Reset) {
    if (running())
        ++unsafe_shutdowns_;
    disable();
    regs_.reset();
    // The log and the counters survive; they are the drive's, not the controller's.
}

void Controller::SubmissionQueue::state(Visitor& v) {
    v.field("valid", valid);
    v.field("base", base);
    v.field("size", size);
    v.field("head", head);
    v.field("tail", tail);
    v.field("completion queue", cq);
    v.field("due", due);
}

void Controller::CompletionQueue::state(Visitor& v) {
    v.field("valid", valid);
    v.field("base", base);
    v.field("size", size);
    v.field("head", head);
    v.field("tail", tail);
    v.field("vector", vector);
    v.field("interrupts", interrupts);
    v.field("phase", phase);
    v.field("posted", posted);
}

void Controller::Event::state(Visitor& v) {
    v.field("type", type);
    v.field("information", information);
    v.field("page", page);
}

void Controller::ErrorEntry::state(Visitor& v) {
    v.field("count", count);
    v.field("lba", lba);
    v.field("queue", queue);
    v.field("command", command);
    v.field("status", status);
    v.field("location", location);
    v.field("namespace", nsid);
}

void Controller::device_state(Visitor& v) {
    v.field("registers", regs_);
    v.field("timer", timer_);
    // The number of queues is the machine's configuration, not state.
    for (SubmissionQueue& q : sqs_)
        v.field("sq", q);
    for (CompletionQueue& q : cqs_)
        v.field("cq", q);
    v.field("next sq", next_sq_);
    v.field("awaiting", awaiting_);
    v.field("events", events_);
    v.field("masked events", masked_events_);
    v.field("features", features_);
    v.bytes("coalescing disabled", coalescing_disabled_);
    v.field("over temperature", over_temperature_);
    v.field("under temperature", under_temperature_);
    v.field("temperature told", temperature_told_);
    v.field("errors", errors_);
    v.field("error count", error_count_);
    v.field("blocks read", blocks_read_);
    v.field("blocks written", blocks_written_);
    v.field("reads", reads_);
    v.field("writes", writes_);
    v.field("media errors", media_errors_);
    v.field("unsafe shutdowns", unsafe_shutdowns_);
    if (!v.loading())
        return;
    // What a file says is not to be trusted with an index.
    bool sound = next_sq_ < sqs_.size() && awaiting_.size() <= 4 && events_.size() <= 16 && errors_.size() <= 16;
    for (const SubmissionQueue& q : sqs_)
        sound &= !q.valid || (q.size >= 2 && q.size <= largest_admin_queue && q.head < q.size && q.tail < q.size &&
                              q.cq < cqs_.size() && cqs_[q.cq].valid);
    for (const CompletionQueue& q : cqs_)
        sound &= !q.valid || (q.size >= 2 && q.size <= largest_admin_queue && q.head < q.size && q.tail < q.size &&
                              q.vector < cqs_.size());
    for (const Event& e : events_)
        sound &= static_cast<u8>(e.type) < 8;
    if (!sound) {
        v.refuse("an NVMe queue in the state is impossible");
        next_sq_ = 0;
        errors_.clear();
        disable();
    }
}

} // namespace vitrine::nvme
