// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/matrix_view.hpp>
#include <xlens/storage/precision.hpp>

#include <cstddef>
#include <string_view>
#include <utility>

namespace xlens {

template <class Format>
class matrix;  // storage/matrix.hpp

/// A matrix whose format is known when its file is read: what models from files are made of, since
/// a file mixes formats from tensor to tensor. A product branches once, never a row or an element.
class any_matrix : public matrix_view {
public:
    any_matrix() = default;
    /// As a matrix of that format: see matrix.
    any_matrix(format_id format, const std::byte* data, std::size_t stored_rows,
               std::size_t stored_cols, bool transposed = false, precision how = precision::f32)
        : any_matrix({row_format_of(format), data, stored_rows, stored_cols, transposed}, format,
                     how) {}
    template <class Format>
    any_matrix(const matrix<Format>& m,  // NOLINT(google-explicit-constructor)
               precision how = precision::f32)
        : any_matrix(m, *format_from_name(Format::name), how) {}

    /// How products with it are computed.
    [[nodiscard]] precision computed_in() const { return m_precision; }
    /// The same matrix, its products computed in f32.
    [[nodiscard]] any_matrix in_f32() const { return {*this, m_format, precision::f32}; }
    /// The same matrix, its products computed in integers where there are such.
    [[nodiscard]] any_matrix in_native() const { return {*this, m_format, precision::native}; }

    /// Calls fn with the matrix<Format> that it is.
    template <class Fn>
    decltype(auto) visit(Fn&& fn) const {
        return visit_format(m_format, [&]<class Format>(Format) -> decltype(auto) {
            return std::forward<Fn>(fn)(matrix<Format>(*this));
        });
    }

    [[nodiscard]] format_id format() const { return m_format; }
    [[nodiscard]] std::string_view format_name() const { return xlens::format_name(m_format); }

    /// These rows of W, without a copy; see matrix_view.
    [[nodiscard]] any_matrix group_rows(const row_groups& rows) const {
        return {matrix_view::group_rows(rows), m_format, m_precision};
    }
    [[nodiscard]] any_matrix slice_rows(std::size_t first, std::size_t count) const {
        return group_rows({first, count, count, count});
    }
    [[nodiscard]] any_matrix transpose() const {
        return {matrix_view::transpose(), m_format, m_precision};
    }

private:
    any_matrix(const matrix_view& view, format_id format, precision how)
        : matrix_view(view), m_format(format), m_precision(how) {}

    format_id m_format = format_id::f32;
    precision m_precision = precision::f32;
};

}  // namespace xlens

#if XLENS_DEFINES(storage)
#include <xlens/storage/matrix.hpp>
#endif
