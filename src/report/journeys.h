// SPDX-License-Identifier: Apache-2.0
// The ways of single frames: from the wire through filter, ring and remapped DMA to the interrupt and the guest that
// takes it. The first few of each pool and each outcome are kept; the rest only passes.
#pragma once

#include "report/details.h"
#include "report/guests.h"
#include "report/model.h"

#include <deque>
#include <list>
#include <map>
#include <tuple>
#include <vector>

namespace vitrine::report {

class Journeys {
public:
    Journeys(Guests& guests, Probe& probe) : guests_(guests), probe_(probe) {}

    static constexpr std::size_t most_under_way = 64, most_kept = 48, most_steps = 40, most_arrivals = 1 << 14;
    static constexpr unsigned kept_of_a_kind = 2; ///< by adapter, pool and outcome
    static constexpr u64 followed_of_a_pool = 4096;
    static constexpr u64 patience = 50'000'000; ///< virtual nanoseconds that a frame waits for what comes next

    // What the adapters tell.
    void arrived(const Told& t, bool looped);
    void missed(const Told& t);
    void lost(const Told& t);
    void stored(const Told& t);
    void cause(const Told& t);
    void interrupt(const Told& t);
    void reset(const Told& t);
    // What the remapping unit and the interrupt controllers tell.
    void dma(const Told& t);
    void remapped(const Told& t);
    void posted(const Told& t);
    void plain_message(const Told& t);
    void acknowledged(const Told& t, const ProcessorView& view);
    // What the processors tell.
    void notified(const Told& t);
    void delivered(const Told& t);
    void injected(const Told& t, unsigned vector);

    /// The run is over. In the order of arrival.
    std::vector<Journey> finish();

    u64 frames() const { return frames_; }

private:
    enum class Waits : u8 { store, cause, send, message, guest, processor, injection };

    struct Flight {
        Journey journey;
        Waits waits = Waits::store;
        u64 arrival = 0; ///< number of the last DMA before it
        u64 requester = 0, message_vector = 0, vector = 0, descriptor = 0;
        u64 last = 0; ///< instant of the last step
    };

    struct Arrival {
        Flight* flight = nullptr; ///< null: not followed
        u64 pool = 0, queue = 0;
    };

    struct Dma {
        u64 number, requester, domain, address, physical, size, time, instructions;
        unsigned cpu;
        bool write;
    };

    static void step(Flight& f, const Told& t, Lane lane, std::string what, std::string detail = {},
                     bool inferred = false);
    void end(Flight& f, JourneyEnd how);
    void expire(u64 now);
    Arrival take(const Told& t);
    template <class Wish, class Do>
    void each(Waits waits, Wish wish, Do act);

    Guests& guests_;
    Probe& probe_;
    std::list<Flight> under_way_;
    std::map<std::string, std::deque<Arrival>, std::less<>>
        arrivals_; ///< by adapter: what has been told to come into a ring
    std::map<std::pair<std::string, unsigned>, u64> followed_;
    std::map<std::tuple<std::string, unsigned, JourneyEnd>, unsigned> kept_of_;
    std::vector<Journey> kept_;
    std::deque<Dma> dma_; ///< the last ones
    u64 dma_number_ = 0, frames_ = 0, next_expiry_ = 0;
    u64 message_requester_ = 0; ///< of the remapped interrupt that is told right now
};

} // namespace vitrine::report
