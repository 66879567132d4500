// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace xlens {

/// read(), with every exception of another library turned into an xlens::error about `file`.
template <class Read>
decltype(auto) guarded(std::string_view file, Read&& read) {
    try {
        return std::forward<Read>(read)();
    } catch (const error&) { throw; } catch (const std::bad_alloc&) {
        fail("{}: there is not enough memory to read it", file);
    } catch (const std::exception& e) {
        fail("{}: cannot be read: {}", file, printable(e.what(), 200));
    }
}

}  // namespace xlens
