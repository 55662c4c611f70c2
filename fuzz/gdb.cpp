// SPDX-License-Identifier: Apache-2.0
// Fuzzes what gdb says: bytes are cut into packets, and a stub with a small machine behind it answers them.
#include "debug/gdb_server.h"

#include <fuzzer/FuzzedDataProvider.h>

using namespace vitrine;
using namespace vitrine::debug;

namespace {

struct Target {
    std::unique_ptr<machine::Machine> machine;
    std::unique_ptr<GdbServer> gdb;

    explicit Target(GdbArchitecture architecture) {
        machine::MachineConfig config;
        config.memory = 1_MiB;
        config.cpus = 2;
        config.serial_ports = 0;
        auto made = machine::Machine::create(std::move(config), {}, std::make_unique<Glass>());
        VERIFY(made.ok());
        machine = std::move(made).value();
        VERIFY(machine->power_on().ok());
        auto server = GdbServer::listen(0);
        VERIFY(server.ok());
        gdb = std::move(server).value();
        gdb->attach(*machine, architecture, false);
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* bytes, std::size_t size) {
    // Made once: what one input leaves behind (registers, breakpoints) is one more thing for the next to meet.
    static Target wide(GdbArchitecture::x86_64), narrow(GdbArchitecture::i386);
    FuzzedDataProvider input(bytes, size);
    GdbServer& gdb = *(input.ConsumeBool() ? wide : narrow).gdb;
    const bool framed_already = input.ConsumeBool();
    PacketReader reader;
    while (input.remaining_bytes() > 0) {
        const std::string piece = input.ConsumeRandomLengthString(200);
        const std::string sent = framed_already ? piece : framed(piece);
        reader.feed({reinterpret_cast<const u8*>(sent.data()), sent.size()});
        while (const auto item = reader.next()) {
            if (!framed_already)
                VERIFY(item->kind == PacketReader::Kind::packet && item->body == piece);
            if (item->kind != PacketReader::Kind::packet)
                continue;
            if (const auto reply = gdb.answer(item->body))
                VERIFY(reply->size() <= 2 * PacketReader::largest);
        }
    }
    return 0;
}
