// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "engine/search_query.hpp"
#include "output/json_writer.hpp"

#include <cstdint>
#include <string>

namespace xlens {
class sparse_autoencoder;
struct feature_report;
struct search_report;
}  // namespace xlens

namespace xlens::program {

/// How was searched, in the words of the flags.
struct search_words {
    std::string side;
    std::string scale;
    std::string form;
    std::string end;
    std::string rank;
    std::size_t among = 1000;
    std::uint64_t seed = 0;
};

/// The document of `xlens search --json`.
void write_search(json_writer& out, const engine& model, const search_query& query,
                  const search_words& asked, const search_report& found);
/// What was searched for and a table of the neurons that were found.
void print_search(const engine& model, const search_query& query, const search_words& asked,
                  const search_report& found);

/// The same of features of a sparse autoencoder.
void write_search(json_writer& out, const engine& model, const sparse_autoencoder& sae,
                  const search_query& query, const search_words& asked,
                  const feature_report& found);
void print_search(const engine& model, const sparse_autoencoder& sae, const search_query& query,
                  const search_words& asked, const feature_report& found);

}  // namespace xlens::program
