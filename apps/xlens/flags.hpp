// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "arguments.hpp"

#include <xlens/core/types.hpp>
#include <xlens/storage/precision.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

/// What every subcommand takes.
struct common_flags {
    std::string model;
    std::optional<std::size_t> threads;
    std::string precision = "f32";
    bool json = false;

    void declare(arguments& to);
    [[nodiscard]] xlens::precision computed_in() const {
        return precision == "native" ? xlens::precision::native : xlens::precision::f32;
    }
};

/// The text that a subcommand reads, as text or as token ids.
struct prompt_flags {
    std::optional<std::string> text;
    std::optional<std::string> ids;

    void declare(arguments& to);
    /// Throws xlens::error unless exactly one of the two was given.
    void check() const;
};

/// "1,2,3". Throws xlens::error for anything but a list of numbers from 0 to 2^31 - 1.
std::vector<token_id> parse_ids(std::string_view text);

/// Changes of coefficients: first all --set in order, then all --scale.
struct edit_flags {
    struct change {
        neuron where;
        float value = 0.0F;
    };
    std::vector<change> set;
    std::vector<change> scale;

    void declare(arguments& to);
};

}  // namespace xlens::program
