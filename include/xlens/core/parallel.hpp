// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/function_ref.hpp>

#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
#endif

#if XLENS_DEFINES(core)
#include <xlens/core/team.hpp>

#include <cstdlib>
#endif

namespace xlens {

/// Work below this many floating-point operations runs on the calling thread: opening a team of
/// threads costs about as much as this work.
inline constexpr std::size_t parallel_threshold = 1U << 16U;

/// Sets how many threads the loops of this process use; 0 leaves the choice to OpenMP.
inline void set_threads([[maybe_unused]] std::size_t count) {
#ifdef _OPENMP
    if (count > 0) { omp_set_num_threads(static_cast<int>(count)); }
#endif
}

inline std::size_t max_threads() {
#ifdef _OPENMP
    return static_cast<std::size_t>(omp_get_max_threads());
#else
    return 1;
#endif
}

/// Calls body(i) for i in [0, count) over the threads of this process. Each index is computed whole
/// by one thread, so results do not depend on the number of threads as long as bodies write
/// disjoint outputs. `work_per_index` (floating-point operations) decides whether threads are used
/// at all. The body must not throw. On the caller alone inside another such loop or a parallel
/// region, and while a loop of another thread has the team.
///
/// The threads are xlens' own (core/team.hpp), as many as OpenMP would use. Where the environment
/// says how OpenMP's are to wait or where they are to run (OMP_WAIT_POLICY, GOMP_SPINCOUNT,
/// KMP_BLOCKTIME; OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY, KMP_AFFINITY), loops run on those.
XLENS_API void parallel_for(std::size_t count, std::size_t work_per_index,
                            function_ref<void(std::size_t)> body);

#if XLENS_DEFINES(core)
namespace detail {

/// Whether the user has set up OpenMP's threads, who then gets them.
[[nodiscard]] inline bool openmp_is_set_up() {
    static const bool found = [] {
        for (const char* name :
             {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_PROC_BIND", "OMP_PLACES",
              "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}) {
            if (std::getenv(name) != nullptr) { return true; }
        }
        return false;
    }();
    return found;
}

/// Threads are never equally fast: what is left of a loop when one is done is half a piece of the
/// other's. Taking one costs some 0.1 µs, so there are more where a thread has more to do (0.1 ms).
constexpr std::size_t pieces_a_thread(std::size_t work) {
    return work >= std::size_t{1} << 22U ? 16 : 4;
}

}  // namespace detail

XLENS_API void parallel_for(std::size_t count, [[maybe_unused]] std::size_t work_per_index,
                            function_ref<void(std::size_t)> body) {
#ifdef _OPENMP
    const std::size_t threads = max_threads();
    if (count > 1 && threads > 1 && count * work_per_index >= parallel_threshold &&
        omp_in_parallel() == 0) {
        if (!detail::openmp_is_set_up()) {
            const std::size_t pieces = detail::pieces_a_thread(count * work_per_index / threads);
            if (detail::team::shared().run(count, threads, pieces, body)) { return; }
        } else {
            const auto end = static_cast<std::ptrdiff_t>(count);
#pragma omp parallel for schedule(static)
            for (std::ptrdiff_t i = 0; i < end; ++i) { body(static_cast<std::size_t>(i)); }
            return;
        }
    }
#endif
    for (std::size_t i = 0; i < count; ++i) { body(i); }
}
#endif

}  // namespace xlens
