// SPDX-License-Identifier: BSD-3-Clause

// Ten neurons that promote a concept, found by search and confirmed by an intervention: for each
// concept the value vector that scores highest for some of its words, and how much probability the
// concept's words have after neutral prompts, as the model is and with that neuron's coefficient
// set. Words that were not searched for are summed apart. Beside it, as a control, what other
// neurons of the same layer do, drawn at random and set to the same dominance |m|·‖v‖.
//   ten_neurons [MODEL]; without MODEL, $XLENS_MODEL. A llama in a GGUF file.
#include <fmt/format.h>
#include <xlens/concepts/search.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/numerics/splitmix64.hpp>
#include <xlens/text/find_tokens.hpp>
#include <xlens/text/make_tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

namespace {

using model_type = xlens::transformer<>;
using strings = std::vector<std::string>;
using token_ids = std::vector<xlens::token_id>;

struct concept_words {
    const char* name;
    strings searched;
    strings held_out;  // words of the concept that the search does not know
};

const std::vector<concept_words> concepts = {
    {"months",
     {"January", "April", "June", "September", "November"},
     {"February", "July", "August", "October", "December"}},
    {"numbers", {"two", "four", "six", "eight"}, {"three", "five", "seven", "nine"}},
    {"colours", {"red", "green", "black", "yellow"}, {"blue", "white", "grey", "brown"}},
    {"compass", {"north", "east"}, {"south", "west"}},
    {"women", {"she", "herself"}, {"her", "hers"}},
    {"music", {"music", "singer", "orchestra"}, {"musical", "musicians", "song", "songs"}},
    {"water", {"water", "hydration"}, {"waters", "wet", "drinking", "aquatic"}},
    {"dogs and cats", {"dog", "cats"}, {"dogs", "cat", "puppy", "pets"}},
    {"medicine", {"medical", "hospital"}, {"patient", "patients", "clinical", "medicine"}},
    {"sports", {"sports", "athlete"}, {"athletes", "sport", "athletic", "coach"}},
};
const strings prompts = {"It is a", "This is the", "We talked about"};
constexpr float dominance = 100.0F;  // of the order of a late layer's strongest sub-updates
constexpr std::size_t random_neurons = 4;

token_ids tokens_of(const xlens::tokenizer& text, const strings& words) {
    token_ids out;
    for (const xlens::word_tokens& one : xlens::find_words(text, words)) {
        if (!one.pieces) { out.insert(out.end(), one.tokens.begin(), one.tokens.end()); }
    }
    return out;
}

/// Softmax of the next token's logits after each prompt, averaged over the prompts.
class next_token {
public:
    next_token(const model_type& model, const xlens::tokenizer& text) : m_model(model) {
        for (const std::string& prompt : prompts) { m_prompts.push_back(text.encode(prompt)); }
    }
    template <class... P>
    std::vector<double> operator()(P&... policies) const {
        std::vector<double> out(m_model.config.vocabulary);
        for (const token_ids& prompt : m_prompts) {
            xlens::sequence_state state = m_model.start();
            m_model.forward(state, prompt, policies...);
            const std::span<const float> logits(state.logits.data(), state.logits.size());
            const float total = xlens::kernels::log_sum_exp(logits);
            for (std::size_t w = 0; w < out.size(); ++w) {
                out[w] += std::exp(double{logits[w]} - double{total}) /
                          static_cast<double>(m_prompts.size());
            }
        }
        return out;
    }
    /// With m of a neuron set so that |m|·‖v‖ is the wanted dominance.
    std::vector<double> with(const xlens::neuron& n, float sign) const {
        const float norm = m_model.blocks[n.layer].ffn.value_norms()(n.index);
        xlens::intervene change;
        change.set(n, sign * dominance / norm);
        return (*this)(change);
    }

private:
    const model_type& m_model;
    std::vector<token_ids> m_prompts;
};

double sum(const std::vector<double>& probabilities, const token_ids& tokens) {
    double out = 0.0;
    for (const xlens::token_id id : tokens) { out += probabilities[static_cast<std::size_t>(id)]; }
    return out;
}

/// "four, three, two".
std::string list(const xlens::tokenizer& text, const std::vector<xlens::scored>& tokens) {
    std::string out;
    for (const xlens::scored& s : tokens) {
        const std::string token = text.text(s.id);
        out += out.empty() ? "" : ", ";
        out += token.substr(token.starts_with(" ") ? 1 : 0);
    }
    return out;
}

/// One line of the table; whether the words' probability rose, and more than by any control.
bool confirm(const xlens::concept_search& search, const xlens::tokenizer& text,
             const next_token& predict, const std::vector<double>& before,
             const concept_words& wanted) {
    const token_ids searched = tokens_of(text, wanted.searched);
    const token_ids held_out = tokens_of(text, wanted.held_out);
    xlens::search_options options;
    options.scale = xlens::score_scale::spread;
    options.end = xlens::search_end::either;  // a negative coefficient turns v around
    options.limit = 1;
    const std::vector<xlens::search_hit> hits = search.find(searched, options);
    const xlens::search_hit& hit = hits.front();
    const float sign = hit.score < 0 ? -1.0F : 1.0F;
    const std::vector<double> after = predict.with(hit.where, sign);

    double control = 0.0;
    double best_control = 0.0;
    auto draw = xlens::splitmix64::stream(hit.where.index, hit.where.layer);
    for (std::size_t i = 0; i < random_neurons;) {
        const std::size_t other = draw() % search.model().config.inner_width;
        if (other == hit.where.index) { continue; }
        ++i;
        const auto changed = predict.with({hit.where.layer, other}, sign);
        const double all = sum(changed, searched) + sum(changed, held_out);
        control += all / static_cast<double>(random_neurons);
        best_control = std::max(best_control, all);
    }
    const double known[] = {sum(before, searched), sum(after, searched)};
    const double unknown[] = {sum(before, held_out), sum(after, held_out)};
    const xlens::token_ends ends = search.concepts(hits, 5, options).front();
    fmt::print("{:<13} {:<8} {:>5.1f} {:>7.3f} {:>7.3f} {:>7.3f} {:>7.3f} {:>7.3f}  m {} 0: {}\n",
               wanted.name, xlens::to_string(hit.where), hit.score, 100.0 * known[0],
               100.0 * known[1], 100.0 * unknown[0], 100.0 * unknown[1], 100.0 * control,
               sign < 0 ? '<' : '>', list(text, sign < 0 ? ends.suppresses : ends.promotes));
    return known[1] > 2.0 * known[0] && unknown[1] > 2.0 * unknown[0] &&
           known[1] + unknown[1] > best_control;
}

}  // namespace

int main(int argc, char** argv) try {
    const char* path = argc > 1 ? argv[1] : std::getenv("XLENS_MODEL");
    if (path == nullptr) { xlens::fail("usage: ten_neurons MODEL"); }
    const xlens::checkpoint file{xlens::gguf_file(path)};
    const auto model = xlens::assemble(file);
    const xlens::tokenizer text =
        xlens::make_tokenizer(xlens::read_tokenizer(*file.origin<xlens::gguf_file>()));
    const xlens::concept_search search(model);
    const next_token predict(model, text);

    fmt::print(
        "Probability of a concept's words as the next token, %, mean of {} prompts, before and "
        "after\nits neuron is set to a dominance |m|·‖v‖ of {}; control: of all the words, after "
        "other neurons\nof the layer are set to it, drawn at random, mean of {}.\n\n",
        prompts.size(), dominance, random_neurons);
    fmt::print("{:<13} {:<8} {:>5} {:^15} {:^15} {:>7}\n{:28} {:>7} {:>7} {:>7} {:>7} {:>7}\n",
               "concept", "neuron", "z", "searched", "held out", "control", "", "before", "after",
               "before", "after", "after");
    const std::vector<double> before = predict();
    for (const concept_words& wanted : concepts) {
        if (!confirm(search, text, predict, before, wanted)) {
            xlens::fail("{}: the intervention did not promote the words", wanted.name);
        }
    }
} catch (const xlens::error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
}
