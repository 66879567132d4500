// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

namespace xlens::program {

/// The file or folder that a MODEL argument means. The word `default` is the model that
/// scripts/fetch_model puts at the path of scripts/default_model; throws xlens::error if it is not
/// there.
std::filesystem::path model_path(const std::string& argument);

}  // namespace xlens::program
