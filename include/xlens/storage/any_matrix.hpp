// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/matrix.hpp>
#include <xlens/storage/precision.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace xlens {

/// A matrix whose format is known when its file is read: what models from files are made of, since
/// a file mixes formats from tensor to tensor. A product branches once, never a row or an element.
class any_matrix {
public:
    using variant = std::variant<matrix<f32>, matrix<f16>, matrix<bf16>, matrix<q8_0>, matrix<q4_0>,
                                 matrix<q4_1>, matrix<q5_0>, matrix<q5_1>, matrix<q4_k>,
                                 matrix<q5_k>, matrix<q6_k>>;

    any_matrix() = default;
    template <class Format>
    any_matrix(const matrix<Format>& m,  // NOLINT(google-explicit-constructor)
               precision how = precision::f32)
        : m_matrix(m), m_precision(how) {}

    /// How products with it are computed.
    [[nodiscard]] precision computed_in() const { return m_precision; }
    /// The same matrix, its products computed in f32.
    [[nodiscard]] any_matrix in_f32() const {
        any_matrix out = *this;
        out.m_precision = precision::f32;
        return out;
    }

    /// Calls fn with the matrix<Format> that is held.
    template <class Fn>
    decltype(auto) visit(Fn&& fn) const {
        return std::visit(std::forward<Fn>(fn), m_matrix);
    }

    [[nodiscard]] std::size_t rows() const {
        return visit([](const auto& m) { return m.rows(); });
    }
    [[nodiscard]] std::size_t cols() const {
        return visit([](const auto& m) { return m.cols(); });
    }
    [[nodiscard]] std::string_view format_name() const {
        return visit([]<class F>(const matrix<F>&) { return F::name; });
    }
    [[nodiscard]] float operator()(std::size_t r, std::size_t c) const {
        return visit([&](const auto& m) { return m(r, c); });
    }
    void row(std::size_t r, std::span<float> out) const {
        visit([&](const auto& m) { m.row(r, out); });
    }
    void column(std::size_t c, std::span<float> out) const {
        visit([&](const auto& m) { m.column(c, out); });
    }
    [[nodiscard]] any_matrix group_rows(const row_groups& rows) const {
        return visit([&](const auto& m) { return any_matrix(m.group_rows(rows), m_precision); });
    }
    [[nodiscard]] any_matrix slice_rows(std::size_t first, std::size_t count) const {
        return visit(
            [&](const auto& m) { return any_matrix(m.slice_rows(first, count), m_precision); });
    }

    [[nodiscard]] any_matrix transpose() const {
        return visit([&](const auto& m) { return any_matrix(m.transpose(), m_precision); });
    }

private:
    variant m_matrix;
    precision m_precision = precision::f32;
};

}  // namespace xlens
