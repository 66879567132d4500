// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <cstddef>
#include <string>

namespace xlens {
struct cluster_report;
}

namespace xlens::program {

struct run_record;

/// The document of `xlens cluster --json` and of its file.
[[nodiscard]] std::string clusters_document(const engine& model, const cluster_report& report,
                                            const run_record& run);
/// How many clusters there are, how close together, and a table of the `limit` largest.
void print_clusters(const engine& model, const cluster_report& report, std::size_t limit);

}  // namespace xlens::program
