// SPDX-License-Identifier: BSD-3-Clause
#include "engine/model_path.hpp"

#include <xlens/core/error.hpp>

#include <cstdlib>
#include <system_error>

namespace xlens::program {

namespace {

std::filesystem::path variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// As scripts/default_model says.
std::filesystem::path cache() {
    if (auto own = variable("XLENS_CACHE"); !own.empty()) { return own; }
    auto shared = variable("XDG_CACHE_HOME");
    return (shared.empty() ? variable("HOME") / ".cache" : shared) / "xlens";
}

}  // namespace

std::filesystem::path model_path(const std::string& argument) {
    if (argument.empty()) {
        fail("MODEL: expected a .gguf file, a Hugging Face folder or default, got ''");
    }
    if (argument != "default") { return argument; }
    const auto path = cache() / "SmolLM2-135M-Instruct.Q4_1.gguf";
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) {
        fail("default: {} is not there; ./demo or scripts/fetch_model fetches it",
             printable(path.string(), 1024));
    }
    return path;
}

}  // namespace xlens::program
