// SPDX-License-Identifier: Apache-2.0
// Fuzzes the kernel loaders: damaged bzImages, Multiboot and PVH kernels, gzip data and arbitrary files are loaded into
// small machines.
#include "firmware/boot.h"
#include "firmware/test_images.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

using namespace vitrine;
using namespace vitrine::firmware;
using namespace vitrine::firmware::testing;

namespace {

/// A good image of each kind, so that the fuzzer need not find checksums; 0 is nothing.
std::vector<u8> image(unsigned kind) {
    Elf elf{.entry = 4_MiB + 12, .segments = {{4_MiB, 4_MiB, multiboot_header(3), 0x3000}, {6_MiB, 6_MiB, {1}, 9}}};
    switch (kind) {
    case 1:
        return BzImage{.preferred = 2_MiB, .code_size = 0x210}.make();
    case 2:
        return BzImage{.protocol = 0x206, .relocatable = 0, .code_size = 0x210}.make();
    case 3:
        return multiboot_header(1 << 16, {0x20'0000, 0x20'0000, 0x20'0020, 0x20'1000, 0x20'0010});
    case 4:
        return elf.make();
    case 5:
        elf.is_64 = true;
        elf.machine = 62;
        return elf.make();
    case 6:
        elf.is_64 = true;
        elf.machine = 62;
        elf.segments[0].data = {1, 2, 3};
        elf.note = elf_note("Xen", 18, {0, 0, 0x40, 0});
        return elf.make();
    default:
        return {};
    }
}

std::vector<u8> damaged(FuzzedDataProvider& input) {
    std::vector<u8> data = image(input.ConsumeIntegralInRange<unsigned>(0, 6));
    for (unsigned patches = input.ConsumeIntegralInRange<unsigned>(0, 8); patches > 0 && !data.empty(); --patches) {
        const auto at = input.ConsumeIntegralInRange<std::size_t>(0, data.size() - 1);
        const auto bytes = input.ConsumeBytes<u8>(input.ConsumeIntegralInRange<std::size_t>(1, 8));
        std::copy_n(bytes.begin(), std::min(bytes.size(), data.size() - at), data.begin() + static_cast<i64>(at));
    }
    if (!data.empty() && input.ConsumeBool())
        data.resize(input.ConsumeIntegralInRange<std::size_t>(0, data.size()));
    const auto more = input.ConsumeBytes<u8>(input.ConsumeIntegralInRange<std::size_t>(0, 4096));
    data.insert(data.end(), more.begin(), more.end());
    return data;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* bytes, std::size_t size) {
    FuzzedDataProvider input(bytes, size);
    constexpr u64 sizes[] = {1_MiB, 4_MiB, 8_MiB, 64_MiB};
    Glass glass;
    const auto space = Space::create(input.PickValueInArray(sizes), glass);
    VERIFY(space.ok());
    const auto kernel = damaged(input);
    const auto initrd = damaged(input), module = damaged(input);
    BootRequest request;
    request.kernel = {"--kernel", "kernel", kernel};
    request.program_name = "kernel";
    request.append = input.ConsumeRandomLengthString(100);
    if (input.ConsumeBool())
        request.initrd = File{"--initrd", "initrd", initrd};
    if (input.ConsumeBool())
        request.modules.push_back({{"--module", "module", module}, "module"});
    if (input.ConsumeBool())
        request.setup_data.push_back({9, module});

    // Twice, as at a reset: the second attempt must come to the same.
    const auto first = boot(request, Board{}, *space.value());
    const auto second = boot(request, Board{}, *space.value());
    VERIFY(first.ok() == second.ok());
    if (first.ok()) {
        const BootState &a = first.value(), &b = second.value();
        VERIFY(a.rip == b.rip && a.general == b.general && a.cr3 == b.cr3);
        for (const u64 at : {a.general[firmware::rsi], a.general[firmware::rbx], a.gdtr.base, a.cr3})
            VERIFY(space.value()->host(Physical{at}) != nullptr);
    } else {
        VERIFY(first.error().message == second.error().message && !first.error().message.empty());
        VERIFY(first.error().message.starts_with("--"));
    }
    return 0;
}
