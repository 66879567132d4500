// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <string>
#include <type_traits>

namespace xlens {

/// A matrix read from a file as the type that a model stores: any_matrix as it is, matrix<Format>
/// only if the file has that format. `file` and `tensor` are for the message.
template <class Weights>
Weights weights_as(const any_matrix& m, const std::string& file, const std::string& tensor) {
    if constexpr (std::is_same_v<Weights, any_matrix>) {
        return m;
    } else {
        return m.visit([&]<class Format>(const matrix<Format>& held) -> Weights {
            if constexpr (std::is_same_v<Weights, matrix<Format>>) {
                return held;
            } else {
                fail("{}: {}: expected format {}, got {}", file, tensor, Weights::format::name,
                     Format::name);
            }
        });
    }
}

}  // namespace xlens
