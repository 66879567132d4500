// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/check_parts.hpp>
#include <xlens/model/erase.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(model)
#include <xlens/core/error.hpp>
#include <xlens/storage/fingerprint.hpp>
#include <xlens/text/tokenizer.hpp>
#endif

namespace xlens {

class tokenizer;  // text/tokenizer.hpp

/// What xlens::load returns: a transformer whose parts are chosen by data, whatever the
/// architecture, with all that it needs: the file that its weights lie in, kept open, and the
/// tokenizer where the file has one. May be copied and moved; copies share the file.
class model : public transformer<> {
public:
    /// `tensors` are those that the weights of `parts` point into, under the names of the file.
    /// `no_text` is why there is no tokenizer, where there is none for a reason.
    model(transformer<> parts, std::string name, std::shared_ptr<const tensor_map> tensors,
          std::shared_ptr<const xlens::tokenizer> text, std::string no_text = {});
    /// Of a transformer that was put together by hand or whose architecture is fixed by its type,
    /// and whose weights outlive this. It has no tokenizer and no file. Throws xlens::error for
    /// parts that do not fit together (check_parts).
    template <class Preset, weight_matrix Weights>
    explicit model(const transformer<Preset, Weights>& parts)
        : model(erased(parts), "model in memory", nullptr, nullptr) {
        check_parts(*this);
    }

    /// The file or folder, for messages.
    [[nodiscard]] const std::string& name() const { return m_name; }
    /// Its tensors under the names of the file; throws xlens::error if it has no file.
    [[nodiscard]] const tensor_map& tensors() const;
    /// Tells models apart in the record of a run (storage/fingerprint.hpp); 0 without a file.
    [[nodiscard]] std::uint64_t fingerprint() const;

    [[nodiscard]] bool has_tokenizer() const { return m_tokenizer != nullptr; }
    /// Throws xlens::error if the file has none, or one that cannot be used, and says why; so do
    /// encode and text.
    [[nodiscard]] const xlens::tokenizer& tokenizer() const;
    /// The tokens of a prompt, with the start token where the model wants one.
    [[nodiscard]] std::vector<token_id> encode(std::string_view prompt) const;
    /// What every window of a text begins with (tokenizer::prefix); empty without a tokenizer.
    [[nodiscard]] std::vector<token_id> prefix() const;
    /// The tokens that end a generated text (tokenizer::ends); empty without a tokenizer.
    [[nodiscard]] std::vector<token_id> ends() const;
    /// A token as valid UTF-8, bytes that are none replaced.
    [[nodiscard]] std::string text(token_id id) const;
    [[nodiscard]] std::string text(std::span<const token_id> ids) const;

private:
    std::string m_name;
    std::shared_ptr<const tensor_map> m_tensors;  // owns the file as well
    std::shared_ptr<const xlens::tokenizer> m_tokenizer;
    std::string m_no_text;
};

#if XLENS_DEFINES(model)
XLENS_API model::model(transformer<> parts, std::string name,
                       std::shared_ptr<const tensor_map> tensors,
                       std::shared_ptr<const xlens::tokenizer> text, std::string no_text)
    : transformer<>(std::move(parts)),
      m_name(std::move(name)),
      m_tensors(std::move(tensors)),
      m_tokenizer(std::move(text)),
      m_no_text(std::move(no_text)) {}

XLENS_API const tensor_map& model::tensors() const {
    if (!m_tensors) { fail("{}: expected a file, got weights in memory", m_name); }
    return *m_tensors;
}

XLENS_API std::uint64_t model::fingerprint() const {
    return m_tensors ? xlens::fingerprint(*m_tensors) : 0;
}

XLENS_API const xlens::tokenizer& model::tokenizer() const {
    if (!m_tokenizer && !m_no_text.empty()) { fail("{}; give token ids instead", m_no_text); }
    if (!m_tokenizer) { fail("{}: no tokenizer in it; give token ids", m_name); }
    return *m_tokenizer;
}

XLENS_API std::vector<token_id> model::encode(std::string_view prompt) const {
    return tokenizer().encode_prompt(prompt);
}

XLENS_API std::vector<token_id> model::prefix() const {
    return m_tokenizer ? m_tokenizer->prefix() : std::vector<token_id>();
}

XLENS_API std::vector<token_id> model::ends() const {
    return m_tokenizer ? m_tokenizer->ends() : std::vector<token_id>();
}

XLENS_API std::string model::text(token_id id) const { return tokenizer().text(id); }

XLENS_API std::string model::text(std::span<const token_id> ids) const {
    return tokenizer().decode(ids);
}
#endif

}  // namespace xlens
