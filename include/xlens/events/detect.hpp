// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/trace/saturation.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// What an FFN update did to the top candidate (Geva et al. 2022, section 5.1).
enum class event_kind {
    saturation,   ///< it made the final token the top candidate, which it stays up to the end
    elimination,  ///< the token that was the top candidate before it is not after it
};

/// How the prediction at a position came to be final.
enum class settled {
    by_ffn,        ///< at the FFN update of its saturation layer: a saturation event
    by_attention,  ///< the final token was already on top before that update
    at_the_end,    ///< the saturation layer is the last one, which is no event
};

/// An event at one position: the reference token of the paper, and the token that it displaced
/// (saturation) or that displaced it (elimination).
struct found_event {
    event_kind kind = event_kind::saturation;
    std::size_t layer = 0;
    token_id token = 0;
    token_id other = 0;
    bool operator==(const found_event&) const = default;
};

struct found_events {
    std::vector<found_event> events;  ///< by layer; a saturation stands before an elimination
    settled how = settled::at_the_end;
    std::size_t saturation_layer = 0;
};

/// The events of a position, from the top tokens before and after the FFN update of each layer.
/// Both spans have one token a layer. O(L).
XLENS_API found_events find_events(std::span<const token_id> before,
                                   std::span<const token_id> after);

#if XLENS_DEFINES(events)

XLENS_API found_events find_events(std::span<const token_id> before,
                                   std::span<const token_id> after) {
    found_events out;
    const token_id final_token = after.back();
    out.saturation_layer = saturation_layer(after);
    const std::size_t s = out.saturation_layer;
    if (s + 1 < after.size()) {
        out.how = before[s] == final_token ? settled::by_attention : settled::by_ffn;
    }
    for (std::size_t l = 0; l < after.size(); ++l) {
        if (l == s && out.how == settled::by_ffn) {
            out.events.push_back({event_kind::saturation, l, final_token, before[l]});
        }
        if (before[l] != after[l]) {
            out.events.push_back({event_kind::elimination, l, before[l], after[l]});
        }
    }
    return out;
}

#endif

}  // namespace xlens
