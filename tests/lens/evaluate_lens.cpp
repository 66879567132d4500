// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE evaluate_lens
#include <boost/test/unit_test.hpp>

#include <xlens/io/load.hpp>
#include <xlens/lens/evaluate_lens.hpp>
#include <xlens/lens/lens_file.hpp>
#include <xlens/model/model.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <vector>

using namespace xlens;
using namespace xlens::test;

// tests/golden/make_lenses.py: in PyTorch, double precision from the logits on.
BOOST_AUTO_TEST_CASE(distances_are_those_of_pytorch) {
    const nlohmann::json golden = read_golden(golden_path("lenses/golden.json"));
    const model m = load(golden_path("models/llama/hf"));
    const linear_lens lens = read_lens(golden_path("lenses/tuned"), m);
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    const auto scores = evaluate_lens(m, lens, ids);
    BOOST_REQUIRE(scores.size() == 1);
    const auto check = [&](const lens_distance& found, std::size_t i) {
        const auto& expected = golden["distances"][i];
        BOOST_TEST(found.kl == expected["kl"].get<double>(), boost::test_tools::tolerance(1e-4));
        BOOST_TEST(found.agreement == expected["agreement"].get<double>(),
                   boost::test_tools::tolerance(1e-12));
    };
    check(scores[0].plain, 0);
    check(scores[0].lens, 1);
    BOOST_TEST(error_message([&] { evaluate_lens(m, lens, {}); }) ==
               "lens: 0 tokens, expected at least 1");
}
