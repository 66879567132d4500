// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/lens_rule.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/transformer.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/hash.hpp>
#include <xlens/early_exit/model_reader.hpp>
#endif

namespace xlens::early_exit {

/// A rule with the threshold that calibration found. A rule that reads the vocabulary borrows the
/// model.
struct fitted_exit {
    any_rule rule;
    float threshold = 0.0F;
    double agreement = 0.0;       ///< that was wanted
    std::uint64_t fitted_on = 0;  ///< hash of the text: what is measured must be another
};

/// Tells texts apart: fitted_exit::fitted_on.
[[nodiscard]] XLENS_API std::uint64_t hash_of(std::span<const token_id> tokens);

/// Throws xlens::error for the text that a rule was fitted on: figures on it would be too good.
/// `name` is what the error calls the text.
XLENS_API void check_other_text(const fitted_exit& e, std::span<const token_id> tokens,
                                std::string_view name);

[[nodiscard]] XLENS_API exit_sizes sizes_of(const hyperparameters& config);

/// Into a file that was opened before the fit, so that one that cannot be written costs no work.
XLENS_API void save(const fitted_exit& e, exit_writer& to);
XLENS_API void save(const fitted_exit& e, const std::filesystem::path& path,
                    std::uint64_t fingerprint);
XLENS_API void save(const fitted_exit& e, const std::filesystem::path& path, const model& m);

namespace detail {

template <std::derived_from<lens_rule> Rule>
Rule load_lens_rule(exit_reader& from, const exit_sizes& sizes, const lens_read& read) {
    const auto stored = from.list<std::uint64_t>("layers");
    for (const std::uint64_t l : stored) {
        if (l >= sizes.layers) {
            fail("{}: exit rule: layer: expected 0 to {}, got {}", from.name(), sizes.layers - 1,
                 l);
        }
    }
    linear_lens lens = from.lens(sizes.layers, sizes.width);
    return Rule(lens_reader(read, std::move(lens)),
                std::vector<std::size_t>(stored.begin(), stored.end()));
}

XLENS_API any_rule load_rule(exit_reader& from, const exit_sizes& sizes, const lens_read& read);

}  // namespace detail

/// Reads what `save` wrote. `read` is the model's logit lens, for rules that need one. Throws
/// xlens::error for anything but a whole file of this version and this model.
XLENS_API fitted_exit load(const std::filesystem::path& path, std::uint64_t fingerprint,
                           const exit_sizes& sizes, const lens_read& read);
/// Rules with one lens that is `remembering` share what they read.
XLENS_API fitted_exit load(const std::filesystem::path& path, const model& m,
                           const lens_read& read);
/// Borrows the model.
XLENS_API fitted_exit load(const std::filesystem::path& path, const model& m);

/// Layers at which a rule decides unless it is told otherwise: from a quarter of them on, every
/// eighth part. Never the last, after which nothing is left to save.
[[nodiscard]] XLENS_API std::vector<std::size_t> default_layers(std::size_t layers);

/// A rule that needs no fit (rule_facts::threshold), with the plain lens, at the default layers.
/// Borrows the model. Throws xlens::error for one that must be fitted.
XLENS_API fitted_exit unfitted(const transformer<>& model, std::string_view name);

#if XLENS_DEFINES(early_exit)

XLENS_API std::uint64_t hash_of(std::span<const token_id> tokens) {
    fnv1a hash;
    hash.add(std::as_bytes(tokens));
    return hash.value();
}

XLENS_API void check_other_text(const fitted_exit& e, std::span<const token_id> tokens,
                                std::string_view name) {
    if (e.fitted_on == hash_of(tokens)) {
        fail("{}: the rule was fitted on this very text; measure on another", name);
    }
}

XLENS_API exit_sizes sizes_of(const hyperparameters& config) {
    return {config.layers, config.width, config.inner_width, config.vocabulary};
}

XLENS_API void save(const fitted_exit& e, exit_writer& to) {
    to.value(e.threshold);
    to.value(e.agreement);
    to.value(e.fitted_on);
    e.rule.save(to);
    to.commit();
}

XLENS_API void save(const fitted_exit& e, const std::filesystem::path& path,
                    std::uint64_t fingerprint) {
    exit_writer to(path, fingerprint);
    save(e, to);
}

XLENS_API void save(const fitted_exit& e, const std::filesystem::path& path, const model& m) {
    save(e, path, m.fingerprint());
}

namespace detail {

XLENS_API any_rule load_rule(exit_reader& from, const exit_sizes& sizes, const lens_read& read) {
    const std::string word = from.string("rule");
    const rule_facts* facts = find_rule(word);
    if (facts == nullptr || facts->told) {
        fail("{}: exit rule: unknown rule '{}'", from.name(), printable(word));
    }
    std::optional<any_rule> out;
    with_rule(word, [&]<class Rule>(std::type_identity<Rule>) {
        if constexpr (std::derived_from<Rule, lens_rule>) {
            out = any_rule(load_lens_rule<Rule>(from, sizes, read));
        } else {
            out = any_rule(Rule::load(from, sizes));
        }
    });
    return *std::move(out);
}

}  // namespace detail

XLENS_API fitted_exit load(const std::filesystem::path& path, std::uint64_t fingerprint,
                           const exit_sizes& sizes, const lens_read& read) {
    exit_reader from(path, fingerprint);
    const auto threshold = from.value<float>("threshold");
    const auto agreement = from.value<double>("agreement");
    const auto fitted_on = from.value<std::uint64_t>("text");
    any_rule rule = detail::load_rule(from, sizes, read);
    from.finish();
    return {std::move(rule), threshold, agreement, fitted_on};
}

XLENS_API fitted_exit load(const std::filesystem::path& path, const model& m,
                           const lens_read& read) {
    return load(path, m.fingerprint(), sizes_of(m.config), read);
}

XLENS_API fitted_exit load(const std::filesystem::path& path, const model& m) {
    return load(path, m, lens_read_of(m));
}

XLENS_API std::vector<std::size_t> default_layers(std::size_t layers) {
    std::vector<std::size_t> out;
    for (std::size_t l = layers / 4; l + 1 < layers; l += std::max<std::size_t>(layers / 8, 1)) {
        out.push_back(l);
    }
    return out;
}

XLENS_API fitted_exit unfitted(const transformer<>& model, std::string_view name) {
    std::optional<any_rule> rule;
    detail::with_rule(name, [&]<class Rule>(std::type_identity<Rule>) {
        if constexpr (std::derived_from<Rule, lens_rule>) {
            rule = any_rule(
                Rule(lens_reader(lens_read_of(model), {}), default_layers(model.config.layers)));
        }
    });
    const rule_facts* facts = find_rule(name);
    if (!rule || !facts->threshold) {
        fail("exit rule '{}': expected one that needs no fit", printable(name));
    }
    return {*std::move(rule), *facts->threshold, 0.0, 0};
}

#endif

}  // namespace xlens::early_exit
