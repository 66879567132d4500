// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <initializer_list>

namespace xlens {

/// SplitMix64 (Steele, Lea and Flood 2014): 64 random bits a call, the same on every machine. Its
/// state is a plain counter, so that a stream begins anywhere at no cost.
class splitmix64 {
public:
    /// What the state advances by: 2^64 over the golden ratio, made odd.
    static constexpr std::uint64_t step = 0x9E3779B97F4A7C15U;

    explicit constexpr splitmix64(std::uint64_t state) : m_state(state) {}
    /// The stream with this number of this seed: others begin elsewhere.
    static constexpr splitmix64 stream(std::uint64_t seed, std::uint64_t number) {
        return splitmix64(scrambled(scrambled(seed) + number));
    }

    constexpr std::uint64_t operator()() { return scrambled(m_state += step); }

    /// The generator's last step alone, one to one: every bit of z changes half of the result's.
    static constexpr std::uint64_t scrambled(std::uint64_t z) {
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }

    /// A number for every (seed, a, b, c), as good as random: a step over each in turn. What is
    /// drawn so for a place depends on the place alone, not on what was drawn before.
    static constexpr std::uint64_t of(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0,
                                      std::uint64_t c = 0) {
        std::uint64_t state = seed;
        for (const std::uint64_t x : {a, b, c}) { state = scrambled(state + step + x); }
        return state;
    }

private:
    std::uint64_t m_state;
};

}  // namespace xlens
