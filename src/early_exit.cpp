// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for early_exit/ (core/compiled.hpp).
#define XLENS_BUILDING_early_exit 1
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/calibrate.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/cluster_rule.hpp>
#include <xlens/early_exit/confidence.hpp>
#include <xlens/early_exit/draft_choice.hpp>
#include <xlens/early_exit/evaluate.hpp>
#include <xlens/early_exit/evaluate_words.hpp>
#include <xlens/early_exit/exit_examples.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_gate.hpp>
#include <xlens/early_exit/exit_inputs.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_report.hpp>
#include <xlens/early_exit/exit_splits.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/fit_cluster.hpp>
#include <xlens/early_exit/fit_rules.hpp>
#include <xlens/early_exit/fit_text_lens.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/lens_rule.hpp>
#include <xlens/early_exit/margin.hpp>
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/early_exit/oracle.hpp>
#include <xlens/early_exit/paper_table.hpp>
#include <xlens/early_exit/similarity.hpp>
#include <xlens/early_exit/stable.hpp>
#include <xlens/early_exit/time_exit.hpp>
#include <xlens/early_exit/verified.hpp>
