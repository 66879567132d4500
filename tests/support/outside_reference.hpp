// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace xlens::test {

/// What in a page (or in a part of one) could make a browser ask for something outside the page,
/// with what follows; empty where nothing could. Text of a page must hold none of these words.
inline std::string outside_reference(std::string_view page) {
    for (const std::string_view word :
         {"://", "src=", "srcset=", "href=", "action=", "url(", "@import", "import ", "import(",
          "fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "Worker("}) {
        for (auto at = page.find(word); at != page.npos; at = page.find(word, at + 1)) {
            const std::string_view found = page.substr(at, 40);
            const bool within =
                found.starts_with("href=\"data:,\"") || found.starts_with("href=\"#");
            if (!within) { return std::string(found); }
        }
    }
    return "";
}

}  // namespace xlens::test
