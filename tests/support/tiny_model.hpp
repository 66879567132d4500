// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/assemble.hpp>
#include <xlens/io/open_checkpoint.hpp>

#include "support/golden.hpp"

#include <string>
#include <vector>

namespace xlens::test {

/// A tiny random checkpoint of tests/golden/models, open and assembled, with the golden's tokens.
template <class Preset = presets::any>
struct tiny_model {
    explicit tiny_model(const std::string& name)
        : file(open_checkpoint(golden_path("models/" + name))),
          model(assemble<Preset>(file)),
          ids(read_golden(
                  golden_path("models/" + name.substr(0, name.find('/')) + "/golden.json"))["ids"]
                  .template get<std::vector<token_id>>()) {}
    checkpoint file;
    transformer<Preset> model;
    std::vector<token_id> ids;
};

}  // namespace xlens::test
