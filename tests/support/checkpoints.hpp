// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "support/golden.hpp"

#include <xlens/io/load.hpp>
#include <xlens/model/model.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace xlens::test {

/// Every checkpoint of tests/golden: folders and files beside a golden.json.
inline std::vector<std::string> all_checkpoints() {
    std::vector<std::string> out;
    for (const char* part : {"models", "families"}) {
        for (const auto& model : std::filesystem::directory_iterator(golden_path(part))) {
            for (const char* file : {"hf", "hf_bare", "model.gguf"}) {
                if (std::filesystem::exists(model.path() / file)) {
                    out.push_back(
                        fmt::format("{}/{}/{}", part, model.path().filename().string(), file));
                }
            }
        }
    }
    std::ranges::sort(out);
    return out;
}
inline const std::vector<std::string> checkpoints = all_checkpoints();

struct opened {
    explicit opened(const std::string& name, const load_options& options = {})
        : golden(read_golden(golden_path(name.substr(0, name.rfind('/')) + "/golden.json"))),
          ids(golden["ids"].get<std::vector<token_id>>()),
          model(load(golden_path(name), options)) {}
    nlohmann::json golden;
    std::vector<token_id> ids;
    xlens::model model;
};

}  // namespace xlens::test
