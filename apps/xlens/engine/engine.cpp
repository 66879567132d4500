// SPDX-License-Identifier: BSD-3-Clause
#include "engine/engine.hpp"

#include "engine/model_path.hpp"
#include "output/note.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/lens_file.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <utility>

namespace xlens::program {

struct engine::parts {
    std::string path;
    std::string precision;
    std::string cache;
    xlens::model model;
    bool warned = false;  // of what the tokenizer warns of
    // Of generate, perplexity and trace.
    std::optional<early_exit::fitted_exit> exit = std::nullopt;
    // Of trace and events.
    std::optional<linear_lens> lens = std::nullopt;
    std::string lens_text = {};
    std::string lens_path = {};
};

namespace {

xlens::model open(const std::filesystem::path& path, const common_flags& flags) {
    if (flags.threads) { set_threads(*flags.threads); }
    return load(path,
                {.precision = flags.computed_in(), .cache = format_from_name(flags.cache).value()});
}

/// Where there is none, says what the program takes instead.
const tokenizer& tokenizer_of(const model& m) {
    try {
        return m.tokenizer();
    } catch (const error& e) { fail("{} (--ids)", e.what()); }
}

}  // namespace

engine::engine(const common_flags& flags) {
    const std::filesystem::path path = model_path(flags.model);
    m_parts = std::make_unique<parts>(
        parts{path.string(), flags.precision, flags.cache, open(path, flags)});
}
engine::~engine() = default;

const xlens::model& engine::model() const { return m_parts->model; }
const hyperparameters& engine::config() const { return m_parts->model.config; }
const tokenizer& engine::text() const {
    const tokenizer& text = tokenizer_of(m_parts->model);
    if (!m_parts->warned) {
        for (const std::string& warning : text.warnings()) { note(warning); }
    }
    m_parts->warned = true;
    return text;
}
const std::string& engine::path() const { return m_parts->path; }
const std::string& engine::precision() const { return m_parts->precision; }
const std::string& engine::cache() const { return m_parts->cache; }
std::string engine::arithmetic() const {
    return m_parts->cache == "f32"
               ? m_parts->precision
               : fmt::format("{}, cache {}", m_parts->precision, m_parts->cache);
}

std::string engine::manifest() const {
    const std::string lens =
        m_parts->lens ? fmt::format(", {}, {:016x}", m_parts->lens_text, m_parts->lens->hash())
                      : std::string();
    return fmt::format("model {:016x}, precision {}, instruction set {}, threads {}{}",
                       m_parts->model.fingerprint(), arithmetic(), instruction_set(), max_threads(),
                       lens);
}

std::string engine::token_text(token_id id) const { return replace_invalid(token_bytes(id)); }

std::string engine::token_bytes(token_id id) const {
    const xlens::model& model = m_parts->model;
    const bool known =
        model.has_tokenizer() && static_cast<std::size_t>(id) < model.tokenizer().size();
    return known ? model.tokenizer().bytes(id) : std::string();
}

void engine::use_exit(const std::string& rule) {
    const early_exit::rule_facts* named = early_exit::find_rule(rule);
    if (named != nullptr && named->told) {
        fail("--exit: '{}' knows the answers; measure it with exit eval", rule);
    }
    if (named != nullptr && !named->threshold) {
        fail("--exit: the rule '{}' must be fitted: give a file of 'xlens exit fit'", rule);
    }
    const xlens::model& model = m_parts->model;
    m_parts->exit =
        named != nullptr ? early_exit::unfitted(model, rule) : early_exit::load(rule, model);
}

const early_exit::fitted_exit* engine::exit() const {
    return m_parts->exit ? &*m_parts->exit : nullptr;
}

void engine::use_lens(const std::string& path) {
    lens_file file = read_lens_file(path);
    m_parts->lens_text = fmt::format("{} lens {}", file.facts.kind, printable(path, 1024));
    m_parts->lens_path = printable(path, 1024);
    m_parts->lens = lens_for(std::move(file), m_parts->model, path);
}

const linear_lens* engine::lens() const { return m_parts->lens ? &*m_parts->lens : nullptr; }
const std::string& engine::lens_text() const { return m_parts->lens_text; }
const std::string& engine::lens_path() const { return m_parts->lens_path; }

}  // namespace xlens::program
