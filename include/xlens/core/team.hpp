// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/function_ref.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#if XLENS_DEFINES(core)
#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#endif

namespace xlens::detail {

/// The threads that loops run on, beside the thread that calls. OpenMP's own spin while they wait,
/// for milliseconds, or sleep at once; these spin for as long as a decoding thread is between two
/// loops, and then sleep, so that they are fast alone and leave the processor to other programs.
///
/// A loop is cut into pieces, some a thread, and each thread has its share of them. One that is
/// done takes pieces of others: a thread to which the system gives no processor delays nobody, and
/// after a fork(), which copies no threads, the caller does everything.
class team {  // NOLINT(clang-analyzer-optin.performance.Padding): apart, for threads write them
public:
    /// Of this process. It is never destroyed: its threads sleep until the process ends.
    static team& shared();

    /// Calls body(i) for i in [0, count) on up to `threads` threads, the caller being one, in up to
    /// `pieces` pieces a thread. Returns false, having done nothing, while another loop has the
    /// team. The body must not throw.
    bool run(std::size_t count, std::size_t threads, std::size_t pieces,
             function_ref<void(std::size_t)> body);

    static constexpr std::size_t most_threads = 1024;
    static constexpr std::size_t most_pieces = 0xFFFF;

private:
    /// Pieces that a thread begins with. One number, so that a piece can only be taken of the loop
    /// that it was seen in: loop (32 bits), next piece (16), the piece after the last one (16).
    struct alignas(64) share {
        std::atomic<std::uint64_t> pieces{0};
    };
    struct loop {
        const function_ref<void(std::size_t)>* body = nullptr;
        std::size_t count = 0;
        std::uint32_t pieces = 0;
    };

    team() = default;
    void hire(std::size_t workers);
    [[noreturn]] void work(std::size_t own);
    /// Takes pieces, its own first, until there are none.
    void take_pieces(std::size_t own, std::size_t threads);
    void run_piece(std::uint32_t piece);

    std::atomic_flag m_busy;
    std::size_t m_workers = 0;
    loop m_loop;
    std::array<share, most_threads> m_shares;
    alignas(64) std::atomic<std::uint32_t> m_epoch{0};  // loops begun
    std::atomic<std::size_t> m_threads{0};              // of the loop that was begun last
    std::atomic<bool> m_spins{true};
    alignas(64) std::atomic<std::uint32_t> m_done{0};  // pieces
};

#if XLENS_DEFINES(core)

/// For how long a thread spins before it sleeps. Between two loops of a pass one thread works for
/// less than this; to be woken costs some 5 µs, and there are 200 loops a token.
inline constexpr std::chrono::microseconds spin_time{50};

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

/// Waits until the number is another than `old`: spins first, where that helps.
inline void wait_while(const std::atomic<std::uint32_t>& number, std::uint32_t old, bool spins) {
    if (spins) {
        const auto begin = std::chrono::steady_clock::now();
        do {
            for (int i = 0; i < 32; ++i) {
                if (number.load(std::memory_order_acquire) != old) { return; }
                relax();
            }
        } while (std::chrono::steady_clock::now() - begin < spin_time);
    }
    number.wait(old, std::memory_order_acquire);
}

XLENS_API team& team::shared() {
    static team* const all = new team;
    return *all;
}

XLENS_API bool team::run(std::size_t count, std::size_t threads, std::size_t pieces,
                         function_ref<void(std::size_t)> body) {
    if (m_busy.test_and_set(std::memory_order_acquire)) { return false; }
    threads = std::min({threads, count, most_threads});
    hire(threads - 1);
    pieces = std::min({count, pieces * threads, most_pieces});
    m_loop = {&body, count, static_cast<std::uint32_t>(pieces)};
    m_done.store(0, std::memory_order_relaxed);
    m_threads.store(threads, std::memory_order_relaxed);
    const std::uint64_t epoch = m_epoch.load(std::memory_order_relaxed) + 1U;
    for (std::size_t t = 0; t < threads; ++t) {
        const std::uint64_t first = pieces * t / threads;
        const std::uint64_t end = pieces * (t + 1) / threads;
        m_shares[t].pieces.store(epoch << 32U | first << 16U | end, std::memory_order_release);
    }
    m_epoch.store(static_cast<std::uint32_t>(epoch), std::memory_order_release);
    m_epoch.notify_all();
    take_pieces(0, threads);
    for (std::uint32_t done = 0; (done = m_done.load(std::memory_order_acquire)) != pieces;) {
        wait_while(m_done, done, m_spins.load(std::memory_order_relaxed));
    }
    m_busy.clear(std::memory_order_release);
    return true;
}

XLENS_API void team::hire(std::size_t workers) {
    if (workers <= m_workers) { return; }
    m_spins = workers < std::thread::hardware_concurrency();
    try {
        for (; m_workers < workers; ++m_workers) {
            std::thread([this, own = m_workers + 1] { work(own); }).detach();
        }
    } catch (const std::system_error&) {  // as many as the system gives
    }
}

XLENS_API void team::work(std::size_t own) {
    std::uint32_t seen = 0;
    while (true) {
        wait_while(m_epoch, seen, m_spins.load(std::memory_order_relaxed));
        seen = m_epoch.load(std::memory_order_acquire);
        const std::size_t threads = m_threads.load(std::memory_order_relaxed);
        if (own < threads) { take_pieces(own, threads); }
    }
}

XLENS_API void team::take_pieces(std::size_t own, std::size_t threads) {
    for (std::size_t t = 0; t < threads; ++t) {
        std::atomic<std::uint64_t>& pieces = m_shares[(own + t) % threads].pieces;
        std::uint64_t now = pieces.load(std::memory_order_acquire);
        while ((now >> 16U & 0xFFFFU) < (now & 0xFFFFU)) {
            if (!pieces.compare_exchange_weak(now, now + (1U << 16U), std::memory_order_acq_rel)) {
                continue;
            }
            run_piece(now >> 16U & 0xFFFFU);
            now = pieces.load(std::memory_order_acquire);
        }
    }
}

/// A piece that was taken: its loop is not over before this has said that it is done.
XLENS_API void team::run_piece(std::uint32_t piece) {
    const loop current = m_loop;
    const std::size_t end = current.count * (piece + 1) / current.pieces;
    for (std::size_t i = current.count * piece / current.pieces; i < end; ++i) {
        (*current.body)(i);
    }
    const std::uint32_t done = m_done.fetch_add(1, std::memory_order_acq_rel) + 1;
    if (done == current.pieces) { m_done.notify_one(); }
}

#endif

}  // namespace xlens::detail
