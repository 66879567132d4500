// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/capture_folder.hpp>
#include <xlens/trace/capture_manifest.hpp>
#include <xlens/trace/capture_rows.hpp>
#include <xlens/trace/capture_sites.hpp>
#include <xlens/trace/capture_source.hpp>
#include <xlens/trace/position_choice.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/model/state.hpp>
#include <xlens/trace/capture_recorder.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#endif

namespace xlens {

/// A part of a run: sequences whose number n has n mod `of` = `number`. All parts, merged
/// (merge_captures), are the whole.
struct capture_shard {
    std::size_t number = 0;
    std::size_t of = 1;
};
/// From "0/4". Throws xlens::error, naming `what`, for anything else.
XLENS_API capture_shard parse_shard(std::string_view what, std::string_view text);

/// What is captured of every sequence, and how it is written.
struct capture_options {
    std::vector<std::string> sites = {"after"};  ///< capture_sites
    std::vector<captured_array> computed = {};   ///< of sites, such as sae/feature_array.hpp
    std::vector<std::size_t> layers = {};        ///< none: all
    position_choice positions = position_choice::all();
    array_type type = array_type::f32;  ///< or f16
    capture_storage storage = capture_storage::safetensors;
    std::size_t file_bytes = std::size_t{64} << 20U;  ///< of numbers in a file, at most
    capture_shard shard = {};
    std::uint64_t model = 0;  ///< its fingerprint
    std::string precision = "f32";
    std::string edits = "none";  ///< what policies change: a run goes on with the same alone
    std::string run = "{}";      ///< a JSON object for the manifest: how the run was made
    std::chrono::seconds between_checkpoints{20};
    progress_function progress = {};  ///< counts tokens
};

/// What a capture left in its folder.
struct capture_result {
    std::uint64_t sequences = 0;
    std::uint64_t rows = 0;
    std::uint64_t tokens = 0;      ///< of these sequences; 0 where nothing had to be read
    std::uint64_t tokens_now = 0;  ///< of them read by this call
    double seconds = 0.0;          ///< that it took
    std::vector<capture_layout> arrays;
    std::vector<capture_file> files;
    std::string run = "{}";  ///< a JSON object: how it was made
};

namespace detail {
XLENS_API capture_result capture_with(const transformer<>& model, const capture_source& source,
                                      const capture_options& options,
                                      const std::filesystem::path& folder,
                                      dynamic_policies& policies);
}  // namespace detail

/// Writes what passes at some sites of a pass, in some layers, at some positions of many sequences,
/// into a folder: files of arrays, a row a position, that the safetensors package or NumPy read,
/// and `manifest.json`, which says what the rows are of. All sites are recorded in one pass, which
/// ends behind the deepest layer that is needed. Policies run before, and what they change is
/// captured changed.
///
/// Every array has (rows, ..) of one type; `sequence`, `position` and `token` (I32) say of each
/// row what it is of. Memory: a file's rows and the key-value cache of a sequence, however many
/// there are. A run that was interrupted goes on when it is called again, with the bytes of one
/// that was not; a finished one is not run again.
///
/// Throws xlens::error for sites, layers and positions that are not there, layers without a site
/// that is of them, nothing to capture, or two arrays of one name, before anything is read;
/// a folder that holds something else; a number that is none, or that f16 cannot hold; tokens that
/// do not fit the model.
template <class... P>
capture_result capture(const transformer<>& model, const capture_source& source,
                       const capture_options& options, const std::filesystem::path& folder,
                       P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::capture_with(model, source, options, folder, pack);
}

#if XLENS_DEFINES(trace)

XLENS_API capture_shard parse_shard(std::string_view what, std::string_view text) {
    constexpr std::size_t most = 1'000'000;
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto number = detail::whole_number(text.substr(0, slash));
    const auto of =
        slash == text.size() ? std::nullopt : detail::whole_number(text.substr(slash + 1));
    if (!number || !of || *of < 1 || *of > most || *number >= *of) {
        fail("{}: expected I/N with I from 0 to N - 1, such as 0/4, got '{}'", what,
             printable(text));
    }
    return {*number, *of};
}

namespace detail {

/// Positions of a pass. Logits of so many positions are held together, V numbers each.
inline constexpr std::size_t capture_chunk = 512;
inline constexpr std::size_t capture_chunk_with_logits = 64;

inline run_identity identity_of(const capture_options& o, const capture_source& source,
                                std::span<const captured_array> arrays) {
    std::vector<std::string> names;
    for (const captured_array& a : arrays) { names.push_back(a.name + a.computed_by); }
    return {{"model", fmt::format("{:016x}", o.model)},
            {"precision", o.precision},
            {"instruction set", instruction_set()},
            {"interventions", o.edits},
            {"input", source.identity},
            {"arrays", joined(names, " ")},
            {"positions", o.positions.text()},
            {"dtype", std::string(facts_of(o.type).safetensors)},
            {"bytes a file", std::to_string(o.file_bytes)},
            {"shard", fmt::format("{}/{}", o.shard.number, o.shard.of)}};
}

inline capture_facts facts_for(const capture_options& o, const capture_source& source,
                               std::span<const captured_array> arrays) {
    capture_facts out{capture_layouts(arrays, o.type), o.storage, 0, identity_of(o, source, arrays),
                      o.run};
    std::size_t row = 0;
    for (const capture_layout& l : out.layouts) { row += l.row_bytes(); }
    out.file_rows = std::max<std::size_t>(o.file_bytes / row, 1);
    return out;
}

/// Reads sequences into a folder.
class sequence_capturer {
public:
    sequence_capturer(const transformer<>& model, std::span<const captured_array> arrays,
                      const position_choice& positions, capture_folder& to,
                      dynamic_policies& policies)
        : m_model(&model),
          m_positions(&positions),
          m_to(&to),
          m_policies(&policies),
          m_recorder(arrays, to.rows()) {}

    void operator()(std::uint64_t number, const source_sequence& s) {
        const std::vector<std::size_t> wanted = m_positions->in(s.tokens.size());
        if (!wanted.empty()) { read(number, s, wanted); }
        m_to->end_sequence({number, s.tokens, ranges_text(wanted), wanted.size(), s.metadata});
    }

private:
    void read(std::uint64_t number, const source_sequence& s, std::span<const std::size_t> wanted) {
        sequence_state state = m_model->start();
        m_model->check(state, s.tokens);
        state.prompt = s.tokens.size();
        const std::size_t end = wanted.back() + 1;  // what stands after it does not change it
        const std::size_t chunk =
            m_recorder.reads_logits() ? capture_chunk_with_logits : capture_chunk;
        while (state.position < end) {
            m_to->make_room();
            const std::size_t begin = state.position;
            // No more positions than the file has room for: their rows are written into place.
            std::size_t stop = std::min(begin + chunk, end);
            const std::size_t room = m_to->rows().room();
            if (room < wanted.size()) { stop = std::min(stop, wanted[room]); }
            const auto here =
                static_cast<std::size_t>(std::ranges::lower_bound(wanted, stop) - wanted.begin());
            pass(number, s, state, stop, wanted.first(here));
            wanted = wanted.subspan(here);
        }
    }
    void pass(std::uint64_t number, const source_sequence& s, sequence_state& state,
              std::size_t stop, std::span<const std::size_t> positions) {
        const bool last_alone = positions.size() == 1 && positions.front() + 1 == stop;
        state.wanted = !m_recorder.reads_logits() || positions.empty() ? logit_rows::none
                       : last_alone                                    ? logit_rows::last
                                                                       : logit_rows::all;
        capture_rows& rows = m_to->rows();
        for (std::size_t i = 0; i < positions.size(); ++i) {
            rows.put_index(rows.count() + i, number, positions[i], s.tokens[positions[i]]);
        }
        m_recorder.begin(positions, s.what);
        const auto tokens = std::span(s.tokens).subspan(state.position, stop - state.position);
        m_model->forward(state, tokens, *m_policies, m_recorder);
        m_recorder.end();
    }

    const transformer<>* m_model;
    const position_choice* m_positions;
    capture_folder* m_to;
    dynamic_policies* m_policies;
    capture_recorder m_recorder;
};

/// Saves a run's progress now and then: so seldom that it takes a twentieth of the time at most.
class checkpoint_clock {
public:
    explicit checkpoint_clock(std::chrono::seconds between) : m_between(between) {}
    void save(capture_folder& folder) {
        const auto begin = clock::now();
        if (begin < m_next) { return; }
        folder.save();
        const auto end = clock::now();
        m_next = end + std::max<clock::duration>(m_between, 20 * (end - begin));
    }

private:
    using clock = std::chrono::steady_clock;
    clock::duration m_between;
    clock::time_point m_next = clock::now() + m_between;
};

/// The arrays of the sites, then those that are computed.
inline std::vector<captured_array> arrays_of(const capture_options& o, const capture_sizes& sizes) {
    std::vector<captured_array> out = captured_arrays(o.sites, o.layers, sizes);
    const auto of_layers = [](const captured_array& a) { return a.site->per_layer; };
    if (!o.layers.empty() && std::ranges::none_of(out, of_layers)) {
        fail("layers: expected a site of layers with them, such as after, got {}",
             o.sites.empty() ? "none" : joined(o.sites, ", "));
    }
    for (const captured_array& a : o.computed) {
        if (std::ranges::find(out, a.name, &captured_array::name) != out.end()) {
            fail("capture: {}: expected one array of this name, got two", a.name);
        }
        out.push_back(a);
    }
    if (out.empty()) { fail("sites: expected at least 1, got none"); }
    return out;
}

inline void read_sequences(const capture_source& source, const capture_options& o,
                           capture_folder& to, sequence_capturer& capturer, capture_result& out) {
    const capture_progress begun = to.progress();
    fnv1a hash;
    checkpoint_clock saves(o.between_checkpoints);
    const auto next = source.start();
    std::uint64_t number = 0;
    for (auto s = next(); s; s = next(), ++number) {
        if (number < begun.sequences) {  // an earlier run did it
            hash.add(s->tokens.size());
            hash.add(std::as_bytes(std::span(s->tokens)));
        }
        if (number + 1 == begun.sequences && hash.value() != begun.hash) { break; }
        if (number < begun.sequences) { continue; }
        if (number % o.shard.of != o.shard.number) {
            to.skip_sequence(s->tokens);
            continue;
        }
        capturer(number, *s);
        out.tokens_now += s->tokens.size();
        saves.save(to);
        o.progress(static_cast<std::size_t>(to.progress().tokens),
                   source.expected_tokens() / o.shard.of);
    }
    if (begun.sequences > 0 && hash.value() != begun.hash) {
        fail("{}: has changed since the run that is to be continued", source.name);
    }
}

XLENS_API capture_result capture_with(const transformer<>& model, const capture_source& source,
                                      const capture_options& options,
                                      const std::filesystem::path& folder,
                                      dynamic_policies& policies) {
    const auto begin = std::chrono::steady_clock::now();
    const hyperparameters& c = model.config;
    const std::vector<captured_array> arrays =
        arrays_of(options, {model.sizes(), source.longest, c.heads, c.kv_heads, c.head_size});
    source.check(options.positions);
    capture_folder to(folder, facts_for(options, source, arrays));
    capture_result out;
    if (!to.finished()) {
        sequence_capturer capturer(model, arrays, options.positions, to, policies);
        read_sequences(source, options, to, capturer, out);
        to.finish();
    }
    out.sequences = to.progress().captured;
    out.rows = to.progress().rows;
    out.tokens = to.progress().tokens;
    out.arrays = capture_layouts(arrays, options.type);
    out.files = to.files();
    out.run = options.run;
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
