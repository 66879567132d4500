// SPDX-License-Identifier: BSD-3-Clause

// The xlens side of compare/run:   xlens_worker MODEL IDS THREADS PRECISION
// What jobs write goes beside IDS.
// Reads jobs, one a line (`decode 512 64`), and answers each with one line of JSON: the seconds
// that the work took, and what came out, for the peers' answers to be compared with.
#include "bounds.hpp"

#include <nlohmann/json.hpp>
#include <xlens/xlens.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

struct answer {
    double seconds = 0.0;
    std::vector<std::int64_t> ids;
    std::map<std::string, std::vector<float>> values;

    void add(std::span<const xlens::scored> tokens) {
        for (const xlens::scored& t : tokens) {
            ids.push_back(t.id);
            values["score"].push_back(t.score);
        }
    }
    void print() const {
        const nlohmann::json out{{"seconds", seconds}, {"ids", ids}, {"values", values}};
        std::cout << out.dump() << std::endl;
    }
};

template <class Work>
double seconds_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Every how many vectors, positions or numbers an answer tells what came out.
constexpr std::size_t told = 16;
/// Tokens of a captured sequence.
constexpr std::size_t window = 512;

class jobs {
public:
    jobs(const xlens::model& model, std::vector<xlens::token_id> ids, std::filesystem::path folder)
        : m_model(model),
          m_lens(model),
          m_ids(std::move(ids)),
          m_folder(std::move(folder)),
          m_bounds(model) {}

    answer run(std::string_view name, std::size_t a, std::size_t b) {
        if (name == "decode") { return decode(a, b, xlens::logit_rows::last); }
        if (name == "greedy") { return decode(a, b, xlens::logit_rows::token); }
        if (name == "prefill") { return prefill(a); }
        if (name == "unembed") { return unembed(a); }
        if (name == "unembed_screened") { return unembed_screened(a); }
        if (name == "project") { return project(a, b); }
        if (name == "project_screened") { return project_screened(a, b); }
        if (name == "trace") { return trace(a); }
        if (name == "matmul") { return matmul(a); }
        if (name == "capture") { return capture(a); }
        if (name == "patch") { return patch(a, b); }
        if (name == "index") { return index(a, b); }
        if (name == "search") { return search(a); }
        if (name.starts_with("bound_")) { return bound(name.substr(6), a, b); }
        xlens::fail("job {}: not there yet", name);
    }

private:
    /// A prompt that was read, and the token that follows.
    struct continued {
        xlens::sequence_state state;
        xlens::token_id next = 0;
    };

    /// Greedy tokens after a prompt, which is read once and kept: by all logits, or by as many as
    /// it takes (`token`).
    answer decode(std::size_t context, std::size_t count, xlens::logit_rows wanted) {
        const auto [at, fresh] = m_read.try_emplace(context);
        continued& from = at->second;
        if (fresh) {
            from.state = m_model.start();
            xlens::prefill(m_model, from.state, prompt(context));
            from.next = best(from.state);
        }
        from.state.truncate(context);
        from.state.wanted = wanted;
        answer out;
        out.ids.push_back(from.next);
        out.seconds = seconds_of([&] {
            for (std::size_t i = 0; i < count; ++i) {
                const auto last = static_cast<xlens::token_id>(out.ids.back());
                m_model.forward(from.state, std::span(&last, 1));
                out.ids.push_back(best(from.state));
            }
        });
        return out;
    }

    answer prefill(std::size_t count) {
        answer out;
        xlens::top_k top(10);
        out.seconds = seconds_of([&] {
            xlens::sequence_state state = m_model.start();
            xlens::prefill(m_model, state, prompt(count));
            top.offer_range(0, logits(state));
        });
        out.add(top.sorted());
        return out;
    }

    /// The unembedding of one vector, with the normaliser.
    answer unembed(std::size_t k) {
        const xlens::vocabulary words(m_model.unembedding);
        return unembed_by([&](const auto& x) { return words.read(x, k).front().top; });
    }
    /// Both ends of it, by a vocabulary that was made ready to screen before.
    answer unembed_screened(std::size_t k) {
        const xlens::vocabulary words(m_model.unembedding);
        words.screen_ends();
        return unembed_by([&](const auto& x) { return words.ends(x, k).front().promotes; });
    }
    /// The vector is the first token's own row of the unembedding.
    template <class Unembed>
    answer unembed_by(Unembed unembed) {
        constexpr std::size_t repeats = 20;
        xt::xtensor<float, 2> x = xt::empty<float>({std::size_t{1}, m_model.config.width});
        m_model.unembedding.direction(m_ids.front(), xlens::rows<float>(x)[0]);
        std::vector<xlens::scored> found;
        answer out;
        out.seconds = seconds_of([&] {
                          for (std::size_t i = 0; i < repeats; ++i) { found = unembed(x); }
                      }) /
                      repeats;
        out.add(found);
        return out;
    }

    /// Both ends of all value vectors of the first layers, by products in f32.
    answer project(std::size_t layers, std::size_t k) {
        const xlens::vocabulary words(m_model.unembedding);
        constexpr std::size_t unscreened = 768;  // few enough that the vocabulary is not screened
        std::vector<xlens::token_ends> found;
        answer out;
        out.seconds = seconds_of([&] {
            const xt::xtensor<float, 2> v = value_vectors(layers);
            const xlens::rows<const float> all = v;
            for (std::size_t i = 0; i < all.count(); i += unscreened) {
                const std::size_t count = std::min(unscreened, all.count() - i);
                for (auto& ends : words.ends(all.subrows(i, count), k)) {
                    found.push_back(std::move(ends));
                }
            }
        });
        for (std::size_t i = 0; i < found.size(); i += told) { out.add(found[i].promotes); }
        return out;
    }

    /// The same with screening, as vocabulary::ends screens so many. Making the screen is shared by
    /// all layers, so of its time these bear their share.
    answer project_screened(std::size_t layers, std::size_t k) {
        if constexpr (xlens::coded_ends_win) {
            return project_by<xlens::coded_vocabulary>(
                layers, [k](const auto& screen, xlens::rows<const float> v) {
                    return xlens::coded_ends(screen, v, k);
                });
        } else if constexpr (xlens::vocabulary_screen::wins) {
            return project_by<xlens::vocabulary_screen>(
                layers,
                [k](const auto& screen, xlens::rows<const float> v) { return screen.ends(v, k); });
        } else {
            xlens::fail("xlens screens with AVX2 or AVX-512 VNNI");
        }
    }
    template <class Screen, class Ends>
    answer project_by(std::size_t layers, Ends ends) {
        std::optional<Screen> screen;
        const double making =
            seconds_of([&] { screen.emplace(m_model.unembedding.sections.front().out); });
        std::vector<xlens::token_ends> found;
        answer out;
        out.seconds =
            seconds_of([&] {
                const xt::xtensor<float, 2> v = value_vectors(layers);
                found = ends(*screen, v);
            }) +
            making * static_cast<double>(layers) / static_cast<double>(m_model.config.layers);
        for (std::size_t i = 0; i < found.size(); i += told) { out.add(found[i].promotes); }
        return out;
    }
    [[nodiscard]] xt::xtensor<float, 2> value_vectors(std::size_t layers) const {
        const auto values = m_model.value_matrices();
        const std::size_t count = values.front().cols();
        xt::xtensor<float, 2> v = xt::empty<float>({layers * count, values.front().rows()});
        for (std::size_t i = 0; i < layers * count; ++i) {
            values[i / count].column(i % count, xlens::rows<float>(v)[i]);
        }
        return v;
    }

    /// xlens::trace without concepts: every layer's readings before and after its FFN update, top
    /// ten with probabilities, and its ten dominant sub-updates, at all positions.
    answer trace(std::size_t tokens) {
        xlens::observe seen(m_model.value_norms(), 10, xlens::observe::positions::all);
        std::vector<xlens::traced_position> found;
        answer out;
        out.seconds = seconds_of([&] {
            xlens::sequence_state state = m_model.start();
            state.wanted = xlens::logit_rows::none;
            m_model.forward(state, prompt(tokens), seen);
            std::vector<std::size_t> all(tokens);
            std::iota(all.begin(), all.end(), std::size_t{0});
            found = xlens::detail::read_pass(m_lens, nullptr, seen, all, 10);
        });
        for (std::size_t l = 0; l < m_model.config.layers; ++l) {
            for (std::size_t p = 0; p < tokens; p += told) {
                const xlens::traced_layer& layer = found[p].layers[l];
                tell(layer.before, out);
                tell(layer.after, out);
                for (const xlens::traced_sub_update& s : layer.sub_updates) {
                    out.ids.push_back(static_cast<std::int64_t>(s.where.index));
                    out.values["coefficient"].push_back(s.coefficient);
                }
            }
        }
        return out;
    }
    static void tell(const xlens::reading& r, answer& out) {
        for (const xlens::scored& t : r.top) {
            out.ids.push_back(t.id);
            out.values["probability"].push_back(r.probability(t));
        }
    }

    /// The unembedding of its own first rows.
    answer matmul(std::size_t count) {
        const auto& e = m_model.unembedding.sections.front().out;
        auto x = xlens::aligned_tensor::from_shape({count, e.cols()});
        for (std::size_t i = 0; i < count; ++i) { e.row(i, xlens::rows<float>(x)[i]); }
        m_product.resize({count, e.rows()});
        answer out;
        out.seconds = seconds_of([&] { xlens::kernels::matmul(e, x, m_product); });
        for (std::size_t i = 0; i < count; i += told) {
            for (std::size_t j = i; j < e.rows(); j += 4096) {
                out.values["product"].push_back(m_product(i, j));
            }
        }
        return out;
    }

    /// All residuals of the first tokens, in windows, as safetensors.
    answer capture(std::size_t count) {
        const std::filesystem::path folder = m_folder / "captured";
        std::filesystem::remove_all(folder);
        std::vector<xlens::source_sequence> windows;
        for (std::size_t first = 0; first < count; first += window) {
            const auto ids = prompt(count).subspan(first, std::min(window, count - first));
            windows.push_back({{ids.begin(), ids.end()}, "window"});
        }
        const xlens::capture_source source = xlens::capture_prompts("ids", std::move(windows));
        const xlens::capture_options options{.sites = {"embedding", "before", "after"}};
        xlens::capture_result written;
        answer out;
        out.seconds =
            seconds_of([&] { written = xlens::capture(m_model, source, options, folder); });
        for (const xlens::capture_file& f : written.files) { tell(folder, f, out); }
        std::filesystem::remove_all(folder);
        return out;
    }
    /// Some numbers of the last row of every window.
    static void tell(const std::filesystem::path& folder, const xlens::capture_file& of,
                     answer& out) {
        const xlens::safetensors_file file(folder / of.name);
        for (const auto& [name, array] : file.tensors()) {
            const std::size_t width = array.shape.at(1);
            for (std::size_t row = window - 1 - of.first_row % window; row < of.rows;
                 row += window) {
                for (std::size_t i = 0; i < width; i += told) {
                    float value = 0.0F;
                    std::memcpy(&value, array.data + (row * width + i) * sizeof(value),
                                sizeof(value));
                    out.values[name].push_back(value);
                }
            }
        }
    }

    /// A prompt with one residual `after` a layer of another prompt, at each position and layer in
    /// turn: by how much the other's next token is preferred. Every `step`-th layer is told.
    answer patch(std::size_t tokens, std::size_t step) {
        const auto both = prompt(2 * tokens + 1);
        xlens::patch_grid_options options;
        options.metric = {.token = both[2 * tokens], .other = both[tokens]};
        xlens::patch_grid_result found;
        answer out;
        out.seconds = seconds_of([&] {
            const auto places =
                xlens::patch_places(std::array{xlens::hook::after}, {}, m_model.config.layers);
            const auto values =
                xlens::source_values(m_model, places, both.subspan(tokens, tokens), tokens);
            found = xlens::patch_grid(m_model, both.first(tokens), values, options);
        });
        for (std::size_t l = 0; l < m_model.config.layers; l += step) {
            for (std::size_t p = 0; p < tokens; ++p) {
                out.values["difference"].push_back(static_cast<float>(found.metric(l, p)));
            }
        }
        return out;
    }

    /// What `xlens index` does, for the first `count` value vectors of the first layer.
    answer index(std::size_t count, std::size_t k) {
        const auto values = m_model.value_matrices().front();
        xt::xtensor<float, 2> v = xt::empty<float>({count, values.rows()});
        for (std::size_t i = 0; i < count; ++i) { values.column(i, xlens::rows<float>(v)[i]); }
        std::vector<xlens::token_ends> found;
        std::vector<float> kurtosis;
        answer out;
        out.seconds = seconds_of([&] {
            found = m_lens.project(v, k, xlens::projection::folded);
            kurtosis = xlens::score_kurtosis(m_model, v);
        });
        for (std::size_t i = 0; i < count; i += told) { out.add(found[i].promotes); }
        return out;
    }

    /// The neurons whose value vectors score highest for the first token.
    answer search(std::size_t limit) {
        const xlens::concept_search neurons(m_model);
        std::vector<xlens::search_hit> found;
        answer out;
        out.seconds =
            seconds_of([&] { found = neurons.find(std::span(m_ids).first(1), {.limit = limit}); });
        for (const xlens::search_hit& hit : found) {
            out.ids.push_back(static_cast<std::int64_t>(hit.where.index));
            out.values["score"].push_back(hit.score);
        }
        return out;
    }

    /// What a job cannot do without, by the processor alone: the bytes of the weights that decoding
    /// or a search reads, or else the multiply-adds of its products in f32.
    answer bound(std::string_view name, std::size_t a, std::size_t b) {
        answer out;
        out.seconds = seconds_of([&] {
            if (name == "decode") {
                for (std::size_t i = 0; i < b; ++i) { m_bounds.read_weights(); }
            } else if (name == "search") {
                m_bounds.read_values();
            } else if (name == "prefill") {
                m_bounds.multiply_prefill(a);
            } else if (name == "trace") {
                m_bounds.multiply_prefill(a);
                m_bounds.multiply_unembedding(2 * m_model.config.layers * a);
            } else if (name == "index") {
                m_bounds.multiply_unembedding(a);
            } else {
                xlens::fail("job bound_{}: not there yet", name);
            }
        });
        return out;
    }

    [[nodiscard]] std::span<const xlens::token_id> prompt(std::size_t count) const {
        if (count > m_ids.size()) {
            xlens::fail("{} tokens asked for, {} given", count, m_ids.size());
        }
        return std::span(m_ids).first(count);
    }
    static std::span<const float> logits(const xlens::sequence_state& state) {
        return {state.logits.data(), state.logits.size()};
    }
    static xlens::token_id best(const xlens::sequence_state& state) {
        return state.answer ? state.answer->id : xlens::greedy{}(logits(state)).id;
    }

    const xlens::transformer<>& m_model;
    xlens::logit_lens m_lens;
    std::vector<xlens::token_id> m_ids;
    std::filesystem::path m_folder;           // for what is written
    std::map<std::size_t, continued> m_read;  // by context
    xlens::aligned_tensor m_product;
    bounds m_bounds;
};

std::vector<xlens::token_id> read_ids(const char* path) {
    std::ifstream file(path);
    return {std::istream_iterator<xlens::token_id>(file), {}};
}

xlens::model open(const char* path, std::string_view precision) {
    const bool native = precision == "native";
    return xlens::load(path, {native ? xlens::precision::native : xlens::precision::f32});
}

void serve(const xlens::model& model, const std::filesystem::path& ids) {
    jobs mine(model, read_ids(ids.c_str()), ids.parent_path());
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string name;
        std::size_t a = 0;
        std::size_t b = 0;
        words >> name >> a >> b;
        mine.run(name, a, b).print();
    }
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 5) { xlens::fail("usage: xlens_worker MODEL IDS THREADS PRECISION"); }
    xlens::set_threads(std::strtoul(argv[3], nullptr, 10));
    const xlens::model file = open(argv[1], argv[4]);
    serve(file, argv[2]);
} catch (const xlens::error& e) {
    std::cout << nlohmann::json{{"error", e.what()}}.dump() << std::endl;
    return 2;
}
