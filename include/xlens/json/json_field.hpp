// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A value of a JSON file together with its place ("tokenizer.json: model.vocab"), so that every
/// mistake is reported where it stands. Borrows the document.
class json_field {
public:
    /// `joint` stands between the place and a member's key; a document's root, whose place is the
    /// file's name, has ": ".
    json_field(const nlohmann::json& value, std::string place, std::string_view joint = ".")
        : m_value(&value), m_place(std::move(place)), m_joint(joint) {}

    [[nodiscard]] const nlohmann::json& value() const { return *m_value; }
    [[nodiscard]] const std::string& place() const { return m_place; }

    /// The member `key`, or nothing where it is absent or null. Throws where this is no object.
    [[nodiscard]] std::optional<json_field> find(std::string_view key) const {
        expect(m_value->is_object(), "an object");
        const auto it = m_value->find(std::string(key));
        if (it == m_value->end() || it->is_null()) { return std::nullopt; }
        return json_field(*it, place_of(key));
    }
    [[nodiscard]] json_field at(std::string_view key) const {
        const auto found = find(key);
        if (!found) { fail("{} is missing", place_of(key)); }
        return *found;
    }

    [[nodiscard]] std::string string() const {
        expect(m_value->is_string(), "a string");
        return m_value->get<std::string>();
    }
    [[nodiscard]] bool boolean() const {
        expect(m_value->is_boolean(), "true or false");
        return m_value->get<bool>();
    }
    /// The member `key` as a flag; `otherwise` where it is absent.
    [[nodiscard]] bool flag(std::string_view key, bool otherwise) const {
        const auto found = find(key);
        return found ? found->boolean() : otherwise;
    }
    /// A token id, 0 to 2^31 - 1.
    [[nodiscard]] std::int32_t id() const {
        expect(m_value->is_number_integer(), "an id from 0 to 2147483647");
        // Read as unsigned only where it is: a negative number would wrap.
        const bool fits = m_value->is_number_unsigned() ? m_value->get<std::uint64_t>() <= INT32_MAX
                                                        : m_value->get<std::int64_t>() >= 0;
        expect(fits, "an id from 0 to 2147483647");
        return m_value->get<std::int32_t>();
    }
    [[nodiscard]] std::vector<json_field> items() const {
        expect(m_value->is_array(), "a list");
        std::vector<json_field> out;
        for (std::size_t i = 0; i < m_value->size(); ++i) {
            out.emplace_back((*m_value)[i], fmt::format("{}[{}]", m_place, i));
        }
        return out;
    }

    /// Throws "<place>: expected <what>, got <value>" unless `good`.
    void expect(bool good, std::string_view what) const {
        if (good) { return; }
        // An object or list may be the whole file: name it instead of printing it.
        const std::string got =
            m_value->is_structured() ? std::string(m_value->type_name()) : m_value->dump();
        fail("{}: expected {}, got {}", m_place, what, printable(got));
    }

private:
    [[nodiscard]] std::string place_of(std::string_view key) const {
        return fmt::format("{}{}{}", m_place, m_joint, printable(key));
    }

    const nlohmann::json* m_value;
    std::string m_place;
    std::string_view m_joint;
};

}  // namespace xlens
