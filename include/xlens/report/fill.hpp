// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(report)
#include <xlens/core/error.hpp>
#endif

namespace xlens {

/// What stands for `{{name}}` in a file under web/.
struct placeholder {
    std::string_view name;
    std::string value;  ///< HTML: text in it has gone through html_text
};

/// `page` with `{{name}}` replaced by its value, wherever it stands. Values are not looked into:
/// `{{name}}` in one of them stays. Throws xlens::error for a placeholder without a value and for a
/// value without a placeholder, so that no part of a page can get lost. O(size·values).
XLENS_API std::string fill(std::string_view page, std::span<const placeholder> values);

#if XLENS_DEFINES(report)

XLENS_API std::string fill(std::string_view page, std::span<const placeholder> values) {
    std::vector<bool> used(values.size(), false);
    std::string out;
    for (;;) {
        const std::size_t open = page.find("{{");
        out += page.substr(0, open);
        if (open == page.npos) { break; }
        const std::size_t close = page.find("}}", open);
        if (close == page.npos) { fail("page: expected {} after {}, got none", "}}", "{{"); }
        const std::string_view name = page.substr(open + 2, close - open - 2);
        bool found = false;
        for (std::size_t i = 0; i < values.size() && !found; ++i) {
            if (values[i].name != name) { continue; }
            out += values[i].value;
            used[i] = found = true;
        }
        if (!found) { fail("page: {}{}{}: expected a value, got none", "{{", name, "}}"); }
        page.remove_prefix(close + 2);
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!used[i]) {
            fail("page: expected {}{}{} for its value, got none", "{{", values[i].name, "}}");
        }
    }
    return out;
}

#endif

}  // namespace xlens
