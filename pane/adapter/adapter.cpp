// SPDX-License-Identifier: Apache-2.0
// Takes the physical adapter over, gives each guest's network its pool, and looks at what comes.
#include "pane/adapter/adapter.h"

#include "pane/adapter/port.h"
#include "pane/config/config.h"
#include "pane/guest/guest.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/kernel/lock.h"
#include "pane/kernel/memory.h"
#include "pane/pci/msix.h"
#include "pane/vtd/domain.h"
#include "vtc/spec/common.h"

namespace vitrine::pane {

constinit Port adapter_port;

MacName::MacName(const Mac& mac) {
    for (unsigned n = 0; n < sizeof mac.bytes; ++n) {
        text[3 * n] = "0123456789abcdef"[mac.bytes[n] >> 4];
        text[3 * n + 1] = "0123456789abcdef"[mac.bytes[n] & 15];
        text[3 * n + 2] = ':';
    }
}

namespace {

constexpr const Chip* chips[] = {&chip_82576, &chip_82599};
constexpr u16 intel = 0x8086;
constexpr unsigned interrupt_interval = 20; ///< microseconds between two interrupts of a vector
constexpr u32 control_extended = 0x18;      ///< CTRL_EXT, and
constexpr u32 own_address = 0x5400;         ///< RAL and RAH of the first address: in both chips

const Chip* chip_of(const Function& f) {
    for (const Chip* c : chips)
        if (f.vendor == intel && f.device == c->device)
            return c;
    return nullptr;
}

Function& find(const AdapterConfig& config) {
    for (unsigned n = 0; n < function_count; ++n)
        if ((config.any || functions[n]->id == config.id) && chip_of(*functions[n]))
            return *functions[n];
    for (unsigned n = 0; n < function_count; ++n)
        if (functions[n]->class_code >> 16 == 2)
            say("  network adapter {}: {x}:{x}", FunctionName(functions[n]->id), functions[n]->vendor,
                functions[n]->device);
    if (config.any)
        panic("the configuration wants a network adapter, and there is neither an 82576 (8086:10c9) nor an 82599 "
              "(8086:10fb)");
    panic("the configuration names the adapter {}, and neither an 82576 (8086:10c9) nor an 82599 (8086:10fb) is there",
          FunctionName(config.id));
}

unsigned wanted_pools(const Config& config) {
    unsigned count = 0;
    for (unsigned g = 0; g < config.guest_count; ++g)
        for (unsigned n = 0; n < config.guests[g].network_count; ++n)
            count += config.guests[g].networks[n].vmdq;
    return count;
}

void look_at_port(void* context, u32 arrivals) {
    Port& p = *static_cast<Port*>(context);
    p.interrupts += arrivals;
    const u64 now = rdtsc();
    if (now >= p.window_end) {
        p.window_end = now + microseconds(VirtualFunction::window);
        p.in_window = 0;
    }
    if (++p.in_window > Port::most_interrupts && !p.deaf) {
        p.deaf = true;
        ++p.deafened;
        p.chip->hear_functions(p, false);
    }
    const PortEvents e = p.chip->events(p);
    if (!p.deaf)
        mailbox_events(p, now); // whatever the cause says: a reading of it may have lost one that came meanwhile
    if (const bool link = p.chip->link(p); link != p.link) {
        p.link = link;
        ++p.link_changes;
        say("pane: adapter {}: link {}{}", FunctionName(p.function->id), link ? "up, " : "down",
            link ? p.chip->speed : "");
        mailbox_ping(p);
    } else if (e.link) {
        mailbox_ping(p);
    }
}

void work(Pool& pool) {
    const u64 start = rdtsc();
    pool.more = pool.receive();
    pool.resume();
    if (Guest* g = guests[pool.guest_number]) {
        g->used += rdtsc() - start; // it is the guest's time that its frames take
        if (!g->alive())
            pool.listen(false);
    }
}

void look_at_pool(void* context, u32 arrivals) {
    Pool& pool = *static_cast<Pool*>(context);
    pool.interrupts += arrivals;
    work(pool);
}

void route(Port& p, unsigned entry, u8 vector, const Cpu& cpu) {
    if (!vector || !msix_route(*p.function, entry, vector, cpu))
        panic("adapter {} has no interrupt for everyone who wants one", FunctionName(p.function->id));
    p.write(p.chip->throttle + 4 * entry, p.chip->interval(interrupt_interval));
}

Pool& pool_of(const VirtioDevice& d) {
    for (unsigned n = 0; n < adapter_port.pool_count; ++n)
        if (adapter_port.pools[n].is_of(d))
            return adapter_port.pools[n];
    panic("a network without a queue pair");
}

constexpr NetworkPort hardware_queue{
    [](const VirtioDevice& d) { return pool_of(d).address; },
    [](VirtioDevice& d) { return pool_of(d).room(); },
    [](VirtioDevice& d, u32 size) {
        pool_of(d).send(size);
        return true; // the adapter looks whose address it is
    },
    [](VirtioDevice& d) { pool_of(d).flush(); },
};

} // namespace

constinit const VirtioKind virtio_vmdq = network_kind<hardware_queue>("vmdq");

void adapter_start(const Config& config) {
    if (!config.adapter.wanted)
        return;
    Port& p = adapter_port;
    Function& f = find(config.adapter);
    const FunctionName name(f.id);
    p.function = &f;
    p.chip = chip_of(f);
    p.registers = f.bars[0].address;
    p.first_pool = config.adapter.virtual_functions;
    const unsigned count = wanted_pools(config);
    if (count > Port::most_pools || p.first_pool + count > p.chip->pools)
        panic("adapter {} has {} pools: too few for {} virtual functions and {} networks of guests", name,
              p.chip->pools, p.first_pool, count);
    if (!p.registers || !f.free())
        panic("adapter {} {}", name, f.free() ? "has no addresses from the firmware" : "is assigned to a guest");
    f.user = "the adapter's driver";
    command_bits(f, pci::command.memory_space.mask() | pci::command.interrupt_disable.mask(),
                 pci::command.bus_master.mask());
    if (!p.chip->reset(p))
        panic("adapter {} does not come back from its reset", name);
    const u32 low = p.read(own_address), high = p.read(own_address + 4);
    for (unsigned n = 0; n < sizeof p.address; ++n)
        p.address.bytes[n] = static_cast<u8>(n < 4 ? low >> 8 * n : high >> 8 * (n - 4));
    p.chip->start(p);
    filter_address(p, 0, p.address, 0); // nobody's
    if (p.first_pool)
        start_virtual_functions(p, p.first_pool);

    const u64 memory = count ? allocate(count * Pool::memory_size, large_page) : 0;
    if (count)
        give_own_memory(f, memory, count * Pool::memory_size);
    command_bits(f, pci::command.bus_master.mask(), 0);
    for (unsigned g = 0; g < config.guest_count; ++g)
        for (unsigned n = 0; n < config.guests[g].network_count; ++n) {
            if (!config.guests[g].networks[n].vmdq)
                continue;
            const unsigned k = p.pool_count++;
            Pool& pool = p.pools[k];
            pool.guest_number = g;
            pool.network = n;
            pool.start(p, p.first_pool + k, memory + k * Pool::memory_size, 1 + k, config.guests[g].networks[n].vlan);
        }
    say("pane: adapter {} is an Intel {}, {}: {} queue pairs for guests, {} virtual functions", name, p.chip->name,
        MacName(p.address), count, p.virtual_function_count);
}

void adapter_open() {
    Port& p = adapter_port;
    if (!p.chip)
        return;
    pane_lock.take();
    route(p, 0, take_vector(look_at_port, &p), *cpus[0]);
    for (unsigned k = 0; k < p.pool_count; ++k)
        route(p, 1 + k, take_vector(look_at_pool, &p.pools[k]), *cpus[k % cpu_count]);
    p.chip->open_vectors(p, 1 + p.pool_count);
    p.change(control_extended, vtc::ctrl_ext_pfrstd); // virtual functions may begin
    p.chip->start_link(p);
    pane_lock.release();
}

void adapter_power_on(const Guest& g) {
    for (unsigned n = 0; n < adapter_port.pool_count; ++n)
        if (adapter_port.pools[n].guest_number == g.number)
            adapter_port.pools[n].listen(true);
}

u64 adapter_advance(u64 now) {
    Port& p = adapter_port;
    if (!p.chip)
        return ~0ull; // Pane has none
    u64 next = mailbox_next(p, now);
    if (p.deaf && now >= p.window_end) {
        p.deaf = false;
        p.chip->hear_functions(p, true);
        mailbox_events(p, now);
    } else if (p.deaf && p.window_end < next) {
        next = p.window_end;
    }
    for (unsigned n = 0; n < p.pool_count; ++n)
        if (p.pools[n].more) {
            work(p.pools[n]);
            if (p.pools[n].more)
                next = now;
        }
    return next;
}

} // namespace vitrine::pane
